"""Whatever shape Medusa's answers have, requests are answered in words and tasks end.

Each call is played again and again, each time with one wrong value in one of Medusa's answers.
"""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from tests.support import tokens
from tests.support.ledger import give
from tests.support.medusa import Answer, FakeMedusa, cart_line
from tests.support.orders import order, sample
from tests.support.settling import set_rules, settle
from tests.support.store_api import redeem
from workers import products, reconcile, redemptions

Path = tuple[str | int, ...]
MISSING = object()
WRONG: list[Any] = [None, 7, "text", "nul\0", -1e300, [], {}, [None], ["text"], {"a": 1}, MISSING]
# A random sample of the thousands of values in an order.
MOST = 60

RULES = {
    "earn": {
        "multipliers": [
            {"name": "a", "factor": "2", "category_ids": ["pcat_1"]},
            {"name": "b", "factor": "2", "collection_ids": ["pcol_1"]},
            {"name": "c", "factor": "2", "customer_group_ids": ["cusgroup_1"]},
        ],
    },
    "bonuses": {"signup": 5, "referral": {"referrer": 5, "referred": 5}},
}


def paths(document: Any, at: Path = ()) -> Iterator[Path]:
    """The paths of all values in a document; of a list only those of its first item."""
    if at:
        yield at
    if isinstance(document, dict):
        for name, value in document.items():
            yield from paths(value, (*at, name))
    elif isinstance(document, list) and document:
        yield from paths(document[0], (*at, 0))


def changed(document: Any, path: Path, value: Any) -> Any:
    document = copy.deepcopy(document)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if value is MISSING:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return document


class Shapes:
    def __init__(self, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answer = medusa._route
        self._seen: dict[tuple[str, Path], None] = {}
        self._change: tuple[str, Path, Any] | None = None
        monkeypatch.setattr(medusa, "_route", self._route)

    def _route(self, method: str, path: str, query: Any, body: Any) -> Answer:
        status, document = self._answer(method, path, query, body)
        name = f"{method} {'/'.join(path.split('/')[:4])}"
        if self._change and self._change[0] == name:
            # Another answer of the same call may lack this value.
            with suppress(KeyError, IndexError, TypeError):
                document = changed(document, *self._change[1:])
        elif self._change is None and status == 200:
            self._seen |= dict.fromkeys((name, path) for path in paths(document))
        return status, document

    def play(self, work: Callable[[], object]) -> None:
        """Fails unless `work` returns nothing, whatever is wrong. What it returns or raises says what went wrong."""
        self._change, self._seen = None, {}
        assert not work()
        changes = [(name, path, value) for name, path in self._seen for value in WRONG]
        wrong = []
        for change in random.Random(1).sample(changes, min(MOST, len(changes))):
            self._change = change
            try:
                problem = work()
            except Exception as error:
                problem = repr(error)
            if problem:
                wrong.append(f"{change}: {problem}")
        self._change = None
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def shapes(api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """A shop in which everything is asked of Medusa."""
    medusa.plugin = True
    set_rules(**RULES)
    give(100_000)
    medusa.add_cart(lines=[cart_line("prod_1", total=20)], shipping=5)
    medusa.carts["cart_1"]["customer"] = {"id": "cus_1", "has_account": True, "groups": [{"id": "cusgroup_1"}]}
    medusa.add_cart("cart_2", customer_id=None, lines=[cart_line("prod_1", total=20)])
    medusa.add_product("prod_1", 10, 10)
    medusa.products["prod_1"] |= {"collection_id": "pcol_1", "categories": [{"id": "pcat_1"}]}
    medusa.add_customer("cus_1", "one@example.com")
    medusa.customers["cus_1"]["groups"] = [{"id": "cusgroup_1"}]
    medusa.add_customer("cus_2", "two@example.com")
    api.put("/admin/dust/products/prod_1", json={"dust_price": 5}, headers=tokens.admin()).raise_for_status()
    return Shapes(medusa, monkeypatch)


def fault(response: httpx.Response) -> str | None:
    return response.text[:80] if response.status_code == 500 else None


ITEMS = {"currency_code": "eur", "items": [{"product_id": "prod_1", "amount": 5}]}
PRICES = {"products": [{"product_id": "prod_1", "dust_price": 5}, {"product_id": "prod_2", "dust_price": 5}]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/store/dust/quote", {"cart_id": "cart_1"}),
        ("POST", "/store/dust/quote/guest", {"cart_id": "cart_2"}),
        ("POST", "/store/dust/forecast", ITEMS),
        ("GET", "/admin/dust/customers?q=one", None),
        ("PUT", "/admin/dust/products/prod_1", {"dust_price": 5}),
        ("POST", "/admin/dust/products", PRICES),
        ("PUT", "/admin/dust/programme", RULES),
        ("POST", "/admin/dust/orders/order_1/preview", {"cancel": True}),
        ("POST", "/admin/dust/orders/order_1/preview", {"returns": [{"line_item_id": "ordli_1", "quantity": 1}]}),
        ("POST", "/admin/dust/orders/order_1/preview", {"refund": "1.00"}),
        ("POST", "/admin/dust/reconcile", {"dry_run": True, "since": "2027-01-01T00:00:00Z"}),
    ],
)
def test_a_request_is_answered(
    api: TestClient, medusa: FakeMedusa, shapes: Shapes, method: str, path: str, body: Any
) -> None:
    medusa.orders["order_1"] = order()
    settle(medusa.orders["order_1"])
    credentials = tokens.admin() if path.startswith("/admin") else {} if path.endswith("guest") else tokens.customer()
    shapes.play(lambda: fault(api.request(method, path, json=body, headers=credentials)))


def test_an_open_change_is_previewed_or_refused(api: TestClient, medusa: FakeMedusa, shapes: Shapes) -> None:
    case = sample("orders_with_open_changes")["order edit"]
    order_id = case["open"]["id"]
    medusa.orders[order_id], medusa.open_changes[order_id] = case["open"], case["preview"]
    path = f"/admin/dust/orders/{order_id}/preview"
    shapes.play(lambda: fault(api.post(path, json={"open_change": True}, headers=tokens.admin())))


def test_a_referral_is_stored_or_refused(api: TestClient, shapes: Shapes) -> None:
    code = api.get("/store/dust/referral", headers=tokens.customer("cus_2")).json()["code"]
    shapes.play(lambda: fault(api.post("/store/dust/referral", json={"code": code}, headers=tokens.customer())))


def test_a_redemption_continues_or_waits(api: TestClient, medusa: FakeMedusa, shapes: Shapes) -> None:
    count = 0

    def work() -> str | None:
        nonlocal count
        count += 1
        customer_id = f"cus_r{count}"
        give(1000, customer_id)
        medusa.add_cart("cart_r", customer_id=customer_id, lines=[cart_line("prod_1", total=20)])
        medusa.orders["order_r"] = order("order_r", customer_id=customer_id, placed=now() - timedelta(minutes=1))
        response = redeem(api, {"cart_id": "cart_r", "dust": 100}, customer_id=customer_id)
        if response.status_code != 202:
            return fault(response)
        redemption_id = response.json()["redemption"]["id"]
        redemptions.advance.run(redemption_id)
        return fault(api.delete(f"/store/dust/redemptions/{redemption_id}", headers=tokens.customer(customer_id)))

    shapes.play(work)


def test_the_poll_and_the_copy_of_prices_end(api: TestClient, medusa: FakeMedusa, shapes: Shapes) -> None:
    count = 0

    def work() -> None:
        nonlocal count
        count += 1
        medusa.orders["order_1"] = order("order_1", updated=now(), version=count)
        api.put("/admin/dust/products/prod_1", json={"dust_price": 5 + count}, headers=tokens.admin())
        products.mirror.run()
        reconcile.orders.run()

    shapes.play(work)
