"""One redemption with a code for each of two products, which two orders use."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.bridge.test_redemptions import figures, give, redeemed, show
from tests.bridge.test_settlement import settle
from tests.support import tokens
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order

MUG, PIN = 300, 50


def orders(codes: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    return [
        order(
            f"order_{product}",
            lines=[line(f"line_{product}", product_id=product, price=5, discount=5, code=codes[product])],
            **more,
        )
        for product in ("prod_mug", "prod_pin")
    ]


@pytest.mark.parametrize("batch", [True, False])
def test_both_orders_are_used_and_canceled_in_one_batch_as_one_by_one(
    api: TestClient, medusa: FakeMedusa, batch: bool
) -> None:
    products = [
        {"product_id": "prod_mug", "dust_only": True, "dust_price": MUG},
        {"product_id": "prod_pin", "dust_only": True, "dust_price": PIN},
    ]
    assert api.post("/admin/dust/products", json={"products": products}, headers=tokens.admin()).status_code == 200
    # Two lots, so that what comes back has to be told apart.
    give(MUG - 20)
    give(1000)
    wish = {"items": [{"product_id": "prod_mug", "quantity": 1}, {"product_id": "prod_pin", "quantity": 1}]}
    redemption = redeemed(api, wish)
    codes = {each["product_id"]: each["code"] for each in redemption["promotions"]}

    def settle_all(documents: list[dict[str, Any]]) -> None:
        if batch:
            settle(*documents)
        else:
            for document in documents:
                settle(document)

    settle_all(orders(codes))
    assert figures(api)[0] == MUG - 20 + 1000 - MUG - PIN
    settle_all(orders(codes, version=2, status="canceled"))
    assert figures(api)[0] == MUG - 20 + 1000
    assert show(api, redemption["id"])["dust_captured"] == 0
    # And again: what is spent once more is known to the next order of the batch.
    settle_all(orders(codes, version=3))
    settle_all(orders(codes, version=4, status="canceled"))
    assert figures(api)[0] == MUG - 20 + 1000
