"""One redemption with a code for each of two products, which two orders use."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from bridge.db import transaction
from bridge.ledger.tables import dust_lot
from tests.support import tokens
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.settling import set_rules, settle
from tests.support.store_api import figures, redeemed, show

MUG, PIN = 300, 50


def lots() -> dict[str, int]:
    """The remaining points of each lot, by its source."""
    with transaction() as connection:
        rows = connection.execute(select(dust_lot.c.source_id, dust_lot.c.remaining).where(dust_lot.c.remaining > 0))
        return {row.source_id: row.remaining for row in rows}


def orders(codes: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    return [
        order(
            f"order_{product}",
            lines=[line(f"line_{product}", product_id=product, price=5, discount=5, code=codes[product])],
            **more,
        )
        for product in ("prod_mug", "prod_pin")
    ]


def redeem_both(api: TestClient) -> tuple[dict[str, Any], dict[str, str]]:
    """The redemption, and its code for each product."""
    products = [
        {"product_id": "prod_mug", "dust_only": True, "dust_price": MUG},
        {"product_id": "prod_pin", "dust_only": True, "dust_price": PIN},
    ]
    assert api.post("/admin/dust/products", json={"products": products}, headers=tokens.admin()).status_code == 200
    requested = {"items": [{"product_id": "prod_mug", "quantity": 1}, {"product_id": "prod_pin", "quantity": 1}]}
    redemption = redeemed(api, requested)
    return redemption, {promotion["product_id"]: promotion["code"] for promotion in redemption["promotions"]}


@pytest.mark.parametrize("batch", [True, False])
def test_both_orders_are_used_and_canceled_in_one_batch_as_one_by_one(
    api: TestClient, medusa: FakeMedusa, batch: bool
) -> None:
    # Two lots, so that each refund must find its own lot.
    give(MUG - 20)
    give(1000)
    redemption, codes = redeem_both(api)

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
    # The same again: the next order of the batch knows the points that were spent again.
    settle_all(orders(codes, version=3))
    settle_all(orders(codes, version=4, status="canceled"))
    assert figures(api)[0] == MUG - 20 + 1000


@pytest.mark.parametrize("batch", [True, False])
def test_each_lot_gets_back_what_it_gave_also_when_waived_points_are_taken(
    api: TestClient, medusa: FakeMedusa, batch: bool
) -> None:
    set_rules(
        earn={"rates": {"eur": "1"}, "expires_after_days": 30},
        reversal={"negative_balance": "within_balance"},
    )
    old, kept, returned = PLACED, MUG + PIN - 280, 23
    first = [line("line_old", price=10, quantity=28)]
    settle(order("order_old", placed=old, lines=first))
    settle(order("order_kept", placed=old + timedelta(hours=1), lines=[line("line_kept", price=kept)]))
    _, codes = redeem_both(api)
    settle(*orders(codes))
    # All points are spent: what comes back is waived.
    first = [line("line_old", price=10, quantity=28, returned=returned)]
    settle(order("order_old", version=2, placed=old, lines=first))

    canceled = orders(codes, version=2, status="canceled")
    for documents in [canceled] if batch else [canceled[:1], canceled[1:]]:
        settle(*documents)

    assert figures(api)[0] == MUG + PIN - 10 * returned
    assert lots() == {"order_old": 280 - 10 * returned, "order_kept": kept}
