"""What merchants and operators do over the admin API: prices, corrections, rules, events; and paging everywhere."""

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import dispose_engine, transaction
from bridge.errors import DustError
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.medusa.client import get_medusa
from bridge.queue.enqueue import INBOX_DRAIN, PRODUCTS_MIRROR
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.admin_api import call, fields
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, line, order, order_event
from workers.products import mirror

PRODUCTS = "/admin/dust/products"


def adjust(api: TestClient, amount: Any, *, key: str = "k", **others: Any) -> httpx.Response:
    body = {"amount": amount, "reason": "gift", **others}
    path = "/admin/dust/customers/cus_1/adjustments"
    return call(api, "POST", path, json=body, headers={"Idempotency-Key": key})


# Products


def test_a_product_is_set_read_changed_listed_and_dropped(api: TestClient, enqueued: list[Any]) -> None:
    first = call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_only": True, "dust_price": 500})
    assert first.status_code == 200
    assert (first.json()["dust_only"], first.json()["dust_price"], first.json()["mirrored"]) == (True, 500, False)
    assert first.json()["updated_by"] == "service"
    # There is no Medusa here to ask for the variants' prices; only a change of a price warns about that.
    assert "Medusa could not be asked" in first.json()["warning"]
    assert call(api, "GET", f"{PRODUCTS}/prod_mug").json() == {**first.json(), "warning": None}
    user = {"authorization": f"Bearer {tokens.token('user_7', actor_type='user')}"}
    changed = call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_price": 400}, headers=user).json()
    assert (changed["dust_only"], changed["dust_price"], changed["updated_by"]) == (False, 400, "user_7")
    assert [product["product_id"] for product in call(api, "GET", PRODUCTS).json()["products"]] == ["prod_mug"]
    dropped = call(api, "DELETE", f"{PRODUCTS}/prod_mug")
    assert dropped.json() == {"id": "prod_mug", "object": "dust_product", "deleted": True}
    for method in ("GET", "DELETE"):
        assert call(api, method, f"{PRODUCTS}/prod_mug").json()["code"] == "unknown_product"
    assert call(api, "GET", PRODUCTS).json()["products"] == []
    assert enqueued == [(PRODUCTS_MIRROR,)] * 3


def test_a_batch_is_written_whole_or_not_at_all(api: TestClient) -> None:
    good = {"product_id": "prod_a", "dust_price": 1}
    batch = {"products": [good, {"product_id": "prod_b", "dust_only": True, "dust_price": 2}]}
    answer = call(api, "POST", PRODUCTS, json=batch)
    assert [product["product_id"] for product in answer.json()["products"]] == ["prod_a", "prod_b"]
    bad = {"products": [{"product_id": "prod_c", "dust_price": 3}, {"product_id": "prod_d", "dust_price": 0}]}
    assert fields(call(api, "POST", PRODUCTS, json=bad)) == {"products.1.dust_price"}
    assert call(api, "GET", f"{PRODUCTS}/prod_c").status_code == 404
    assert fields(call(api, "POST", PRODUCTS, json={"products": []})) == {"products"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dust_price": 0}, "dust_price"),
        ({"dust_price": -1}, "dust_price"),
        ({"dust_price": 1.5}, "dust_price"),
        ({"dust_price": 5.0}, "dust_price"),
        ({"dust_price": "5"}, "dust_price"),
        ({"dust_price": True}, "dust_price"),
        ({"dust_price": 10**12 + 1}, "dust_price"),
        ({"dust_price": 10**100}, "dust_price"),
        ({"dust_price": {}}, "dust_price"),
        ({"dust_only": True}, "dust_price"),
        ({"dust_only": True, "dust_price": None}, "dust_price"),
        ({"dust_only": "yes", "dust_price": 5}, "dust_only"),
        ({"dust_only": 1, "dust_price": 5}, "dust_only"),
        ({"dust_price": 5, "price": 5}, "price"),
        ({"dust_price": 5, "\ud800": 5}, "body"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_wrong_product_settings_are_refused_by_name(api: TestClient, body: Any, field: str) -> None:
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    assert fields(call(api, "PUT", f"{PRODUCTS}/prod_mug", content=content, headers=headers)) == {field}
    assert call(api, "GET", f"{PRODUCTS}/prod_mug").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"dust_price": NaN}'])
def test_a_body_that_is_no_json_is_a_client_error(api: TestClient, body: bytes) -> None:
    answer = call(api, "PUT", f"{PRODUCTS}/prod_mug", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("product_id", ["%00", "a%20b", "%C3%A9", "x" * 256])
def test_what_cannot_be_an_id_is_refused_by_name(api: TestClient, product_id: str) -> None:
    assert fields(call(api, "GET", f"{PRODUCTS}/{product_id}")) == {"product_id"}


def test_settings_are_mirrored_into_medusas_product_and_removed_again(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.products["prod_mug"] = {"id": "prod_mug", "metadata": {"care": "by hand"}}
    call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_only": True, "dust_price": 500})
    assert mirror() == 1
    assert medusa.products["prod_mug"]["metadata"] == {"care": "by hand", "dust_only": True, "dust_price": 500}
    assert call(api, "GET", f"{PRODUCTS}/prod_mug").json()["mirrored"] is True
    assert mirror() == 0

    call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_price": 300})
    mirror()
    assert medusa.products["prod_mug"]["metadata"] == {"care": "by hand", "dust_only": False, "dust_price": 300}

    call(api, "DELETE", f"{PRODUCTS}/prod_mug")
    assert mirror() == 1
    assert medusa.products["prod_mug"]["metadata"] == {"care": "by hand"}
    assert mirror() == 0
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM dust_product")) == 0


def test_a_copy_that_fails_waits_or_has_an_error(api: TestClient, medusa: FakeMedusa) -> None:
    call(api, "PUT", f"{PRODUCTS}/prod_gone", json={"dust_price": 300})
    medusa.away = True
    assert mirror() == 0
    assert call(api, "GET", f"{PRODUCTS}/prod_gone").json()["mirrored"] is False
    medusa.away = False
    mirror()
    assert "does not know" in call(api, "GET", f"{PRODUCTS}/prod_gone").json()["mirror_error"]
    call(api, "PUT", f"{PRODUCTS}/prod_gone", json={"dust_price": 301})
    assert call(api, "GET", f"{PRODUCTS}/prod_gone").json()["mirror_error"] is None


def test_a_product_set_again_after_a_delete_is_mirrored_anew(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.products["prod_mug"] = {"id": "prod_mug", "metadata": {}}
    call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_price": 500})
    mirror()
    call(api, "DELETE", f"{PRODUCTS}/prod_mug")
    call(api, "PUT", f"{PRODUCTS}/prod_mug", json={"dust_price": 500})
    mirror()
    assert medusa.products["prod_mug"]["metadata"] == {"dust_only": False, "dust_price": 500}


def test_the_storefront_reads_settings_without_a_token_and_caches_them(api: TestClient) -> None:
    call(api, "PUT", f"{PRODUCTS}/prod_a", json={"dust_only": True, "dust_price": 500})
    call(api, "PUT", f"{PRODUCTS}/prod_b", json={"dust_price": 20})
    path = "/store/dust/products?product_id=prod_a&product_id=prod_b&product_id=prod_c"
    first = api.get(path)
    assert first.json()["products"] == {
        "prod_a": {"dust_only": True, "dust_price": 500},
        "prod_b": {"dust_only": False, "dust_price": 20},
    }
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = api.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    call(api, "PUT", f"{PRODUCTS}/prod_b", json={"dust_price": 21})
    changed = api.get(path, headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    many = "&".join(f"product_id=prod_{number}" for number in range(101))
    assert api.get(f"/store/dust/products?{many}").status_code == 422


# Adjustments


def test_an_adjustment_is_a_ledger_row_and_the_same_key_returns_it_again(api: TestClient) -> None:
    first = adjust(api, 100, description="Sorry for the delay")
    assert first.status_code == 201
    row = first.json()
    assert (row["amount"], row["type"], row["kind"], row["balance_after"]) == (100, "credit", "adjust", 100)
    assert (row["reference_id"], row["description"]) == ("gift", "Sorry for the delay")
    again = adjust(api, 100, description="Sorry for the delay")
    assert (again.status_code, again.json()) == (201, row)
    debit = adjust(api, -30, key="other").json()
    assert (debit["amount"], debit["type"], debit["balance_after"]) == (-30, "debit", 70)
    assert call(api, "GET", "/admin/dust/customers/cus_1").json()["balance"] == 70


@pytest.mark.parametrize("other", [{"amount": 101}, {"amount": -100}, {"reason": "else"}, {"description": "else"}])
def test_the_same_key_with_another_body_is_409(api: TestClient, other: dict[str, Any]) -> None:
    adjust(api, 100)
    answer = adjust(api, **{"amount": 100, **other})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert call(api, "GET", "/admin/dust/customers/cus_1").json()["balance"] == 100


def test_the_same_key_for_another_customer_is_another_adjustment(api: TestClient) -> None:
    adjust(api, 100)
    path = "/admin/dust/customers/cus_2/adjustments"
    answer = call(api, "POST", path, json={"amount": 5, "reason": "gift"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201


def test_a_debit_beyond_what_is_available_is_409_and_says_how_much_is(api: TestClient) -> None:
    adjust(api, 100)
    hold = {**tokens.customer(), "Idempotency-Key": "k"}
    requested = {"dust": 60, "currency_code": "eur"}
    assert api.post("/store/dust/redemptions", json=requested, headers=hold).status_code == 202
    answer = adjust(api, -41, key="debit")
    assert (answer.status_code, answer.json()["code"], answer.json()["available"]) == (409, "insufficient_dust", 40)
    assert adjust(api, -40, key="debit").status_code == 201


@pytest.mark.parametrize("amount", [0, 0.5, 1.0, "5", True, None, [], 10**12 + 1, -(10**12) - 1, 10**100])
def test_an_invalid_amount_is_refused_with_its_field(api: TestClient, amount: Any) -> None:
    assert fields(adjust(api, amount)) == {"amount"}
    assert call(api, "GET", "/admin/dust/customers/cus_1").json()["balance"] == 0


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "a\x00b", None, 7])
def test_an_invalid_reason_is_refused_with_its_field(api: TestClient, reason: Any) -> None:
    assert fields(adjust(api, 5, reason=reason)) == {"reason"}


@pytest.mark.parametrize("key", ["x" * 256, "é".encode("latin-1"), "a\tb"])
def test_a_key_of_the_wrong_kind_is_refused_by_name(api: TestClient, key: Any) -> None:
    assert fields(adjust(api, 5, key=key)) == {"Idempotency-Key"}


# Queries


def test_an_unknown_query_parameter_is_named_wherever_one_is_sent(api: TestClient) -> None:
    """A misspelled filter returned everything, and a misspelled date the figures of today."""
    tried = 0
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for method in operations if path.startswith("/admin") else ():
            url = re.sub(r"{\w+}", "id_1", path)
            answer = call(api, method.upper(), url, params={"custommer_id": "cus_1"}, json={})
            assert answer.status_code == 422, (method, path)
            named = {error["field"]: error["message"] for error in answer.json()["errors"]}
            assert named["custommer_id"].startswith("is unknown; "), (method, path)
            tried += 1
    assert tried > 40
    assert call(api, "GET", "/admin/dust/redemptions", params={"customer_id": "cus_1"}).status_code == 200


# The programme


def test_what_was_read_can_be_edited_and_put_back_as_a_new_version(api: TestClient) -> None:
    defaults = call(api, "GET", "/admin/dust/programme").json()
    assert (defaults["version"], defaults["author"]) == (0, "dust")
    defaults["earn"]["rates"] = {"eur": "1.5", "jpy": "0.01"}
    defaults["earn"]["multipliers"] = [{"name": "double week", "factor": "2", "starts_at": "2026-11-22T00:00:00Z"}]
    put = call(api, "PUT", "/admin/dust/programme", json=defaults)
    assert put.status_code == 200
    assert (put.json()["version"], put.json()["author"]) == (1, "service")
    read = call(api, "GET", "/admin/dust/programme").json()
    assert read["earn"]["rates"] == {"eur": "1.5", "jpy": "0.01"}
    assert {**read, "created_at": None} == {**put.json(), "created_at": None}
    again = call(api, "PUT", "/admin/dust/programme", json=read).json()
    assert again["version"] == 2
    assert {name: again[name] for name in ("earn", "redeem")} == {name: read[name] for name in ("earn", "redeem")}
    versions = call(api, "GET", "/admin/dust/programme/versions").json()["versions"]
    assert [version["version"] for version in versions] == [2, 1]


def test_the_list_of_versions_ends_with_the_defaults(api: TestClient) -> None:
    def listed(query: str) -> tuple[list[int], str | None]:
        answer = call(api, "GET", f"/admin/dust/programme/versions?defaults=true{query}").json()
        return [version["version"] for version in answer["versions"]], answer["next_cursor"]

    assert listed("") == ([0], None)
    for rate in ("1", "2"):
        call(api, "PUT", "/admin/dust/programme", json={"earn": {"rates": {"eur": rate}}})
    assert listed("") == ([2, 1, 0], None)
    numbers, cursor = listed("&limit=2")
    assert numbers == [2, 1]
    assert listed(f"&limit=2&cursor={cursor}") == ([0], None)


_WRONG_RULES: list[tuple[dict[str, Any], str]] = [
    ({"earn": {"rates": {"eur": "0"}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": "-1"}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": "NaN"}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": "1.0000001"}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": "1000001"}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": True}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"eur": None}}}, "earn.rates.eur"),
    ({"earn": {"rates": {"EUR": "1"}}}, "earn.rates.EUR"),
    ({"earn": {"rates": {"euro": "1"}}}, "earn.rates.euro"),
    ({"earn": {"rates": []}}, "earn.rates"),
    ({"earn": {"rounding": "down"}}, "earn.rounding"),
    ({"earn": {"when": "order.shipped"}}, "earn.when"),
    ({"earn": {"pending_days": -1}}, "earn.pending_days"),
    ({"earn": {"pending_days": 1.5}}, "earn.pending_days"),
    ({"earn": {"pending_days": True}}, "earn.pending_days"),
    ({"earn": {"expires_after_days": 0}}, "earn.expires_after_days"),
    ({"earn": {"pending_days": 14, "expires_after_days": 14}}, "earn.expires_after_days"),
    ({"earn": {"pending_until_paid": "yes"}}, "earn.pending_until_paid"),
    ({"time_zone": "Mars/Olympus_Mons"}, "time_zone"),
    ({"time_zone": "../etc/passwd"}, "time_zone"),
    ({"time_zone": "Europe"}, "time_zone"),
    ({"time_zone": ""}, "time_zone"),
    ({"earn": {"basis": {"include_tax": "perhaps"}}}, "earn.basis.include_tax"),
    ({"earn": {"basis": {"tax": True}}}, "earn.basis.tax"),
    ({"earn": {"excluded_product_ids": [""]}}, "earn.excluded_product_ids.0"),
    ({"earn": {"excluded_product_ids": ["a\x00"]}}, "earn.excluded_product_ids.0"),
    ({"earn": {"excluded_product_ids": "prod_1"}}, "earn.excluded_product_ids"),
    ({"earn": {"multipliers": [{"factor": "2"}]}}, "earn.multipliers.0.name"),
    ({"earn": {"multipliers": [{"name": "a\x00", "factor": "2"}]}}, "earn.multipliers.0.name"),
    ({"earn": {"multipliers": [{"name": "a", "factor": "-2"}]}}, "earn.multipliers.0.factor"),
    ({"earn": {"multipliers": [{"name": "a", "factor": "1001"}]}}, "earn.multipliers.0.factor"),
    ({"earn": {"multipliers": [{"name": "a", "factor": 2, "starts_at": "2026-11-22T00:00:00"}]}},
     "earn.multipliers.0.starts_at"),
    ({"earn": {"multipliers": [{"name": "a", "factor": 2, "starts_at": "2026-11-22T00:00:00Z",
                                "ends_at": "2026-11-21T00:00:00Z"}]}}, "earn.multipliers.0.ends_at"),
    ({"earn": {"multipliers": [{"name": "\ud800", "factor": "2"}]}}, "earn.multipliers.0.name"),
    ({"bonuses": {"signup": -1}}, "bonuses.signup"),
    ({"bonuses": {"signup": 10**13}}, "bonuses.signup"),
    ({"redeem": {"min_dust": 0}}, "redeem.min_dust"),
    ({"redeem": {"min_dust": 5, "max_dust": 4}}, "redeem.max_dust"),
    ({"redeem": {"rates": {"eur": "100", "jpy": "100"}, "max_dust": 50}}, "redeem.max_dust"),
    ({"redeem": {"max_share": "1.1"}}, "redeem.max_share"),
    ({"redeem": {"max_share": "0"}}, "redeem.max_share"),
    ({"redeem": {"code_ttl_minutes": 0}}, "redeem.code_ttl_minutes"),
    ({"reversal": {"negative_balance": "forbid"}}, "reversal.negative_balance"),
    ({"guests": {"escrow_days": 0}}, "guests.escrow_days"),
    ({"earn": 7}, "earn"),
    ({"burn": {}}, "burn"),
    ({"\ud800": {}}, "body"),
]  # fmt: skip


def test_a_wrong_rule_is_named_and_changes_nothing(api: TestClient) -> None:
    for document, field in _WRONG_RULES:
        # Escaped: half a surrogate pair is JSON, but no UTF-8.
        body = json.dumps(document).encode()
        answer = call(api, "PUT", "/admin/dust/programme", content=body, headers={"content-type": "application/json"})
        assert fields(answer) == {field}, document
    assert call(api, "GET", "/admin/dust/programme").json()["version"] == 0


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"earn": {"pending_days": 30, "expires_after_days": 14}}, ("pending_days", "expires_after_days")),
        ({"redeem": {"min_dust": 5, "max_dust": 4}}, ("min_dust", "max_dust")),
        (
            {"redeem": {"rewards": [
                {"id": "a", "name": "a", "kind": "free_shipping", "dust": 5, "min_cart": {"eur": "1"},
                 "currency_codes": ["usd"]},
            ]}},
            ("min_cart", "currency_codes"),
        ),
        (
            {"earn": {"limits": {"per_order": 10}}, "bonuses": {"referral": {"referrer": 1, "min_earned": 11}}},
            ("min_earned", "per_order"),
        ),
    ],
)  # fmt: skip
def test_two_rules_that_contradict_each_other_are_both_named(
    api: TestClient, document: dict[str, Any], named: tuple[str, str]
) -> None:
    answer = call(api, "PUT", "/admin/dust/programme", json=document)
    assert answer.status_code == 422
    errors = json.dumps(answer.json()["errors"])
    assert all(name in errors for name in named), errors
    assert call(api, "GET", "/admin/dust/programme").json()["version"] == 0


def test_every_wrong_rule_of_one_document_is_named(api: TestClient) -> None:
    document = {"earn": {"pending_days": -1, "rounding": "x"}, "redeem": {"min_dust": 0}, "burn": 1}
    assert fields(call(api, "PUT", "/admin/dust/programme", json=document)) == {
        "earn.pending_days", "earn.rounding", "redeem.min_dust", "burn",
    }  # fmt: skip


# Events


def test_events_are_listed_read_and_retried(api: TestClient, medusa: FakeMedusa, enqueued: list[Any]) -> None:
    body = event("order.placed", {"id": "order_1"})
    deliver(api, body, event_id="msg_1")
    deliver(api, event("cart.updated", {"id": "cart_1"}), event_id="msg_2")
    handle("msg_1")
    failed = call(api, "GET", "/admin/dust/events?state=failed").json()["events"]
    assert [event["id"] for event in failed] == ["msg_1"]
    assert failed[0]["error_code"] == "unknown_in_medusa"
    assert "Medusa has no order order_1" in failed[0]["reason"]
    assert [event["id"] for event in call(api, "GET", "/admin/dust/events?type=cart.updated").json()["events"]] == [
        "msg_2"
    ]
    assert [event["id"] for event in call(api, "GET", "/admin/dust/events?subject=order_1").json()["events"]] == [
        "msg_1"
    ]
    detail = call(api, "GET", "/admin/dust/events/msg_1").json()
    assert (detail["body"], detail["state"], detail["attempts"]) == (body.decode(), "failed", 1)

    medusa.orders["order_1"] = order()
    enqueued.clear()
    retried = call(api, "POST", "/admin/dust/events/msg_1/retry")
    assert (retried.status_code, retried.json()["retried"]) == (202, True)
    assert enqueued == [(INBOX_DRAIN,)]
    assert call(api, "POST", "/admin/dust/events/msg_1/retry").json()["retried"] is False
    handle("msg_1")
    assert call(api, "GET", "/admin/dust/events/msg_1").json()["state"] == "handled"
    assert call(api, "POST", "/admin/dust/events/msg_1/retry").json()["retried"] is False
    assert call(api, "GET", "/admin/dust/customers/cus_1").json()["balance"] == 10


def handle(event_id: str) -> None:
    with suppress(DustError):
        process_event(event_id, get_medusa())


@pytest.mark.parametrize("method_and_path", ["GET /admin/dust/events/msg_0", "POST /admin/dust/events/msg_0/retry"])
def test_an_unknown_event_is_404(api: TestClient, method_and_path: str) -> None:
    method, path = method_and_path.split()
    answer = call(api, method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_event")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=lost", "state"),
        ("type=%00", "type"),
        ("subject=%00", "subject"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=%00", "cursor"),
    ],
)
def test_an_invalid_filter_of_events_is_refused_with_its_field(api: TestClient, query: str, field: str) -> None:
    assert fields(call(api, "GET", f"/admin/dust/events?{query}")) == {field}


# Reconcile


def test_reconcile_finds_an_order_without_a_webhook(api: TestClient, medusa: FakeMedusa, enqueued: list[Any]) -> None:
    medusa.orders["order_1"] = order(placed=now())
    dry = call(api, "POST", "/admin/dust/reconcile", json={"dry_run": True}).json()
    assert (dry["orders_seen"], dry["drifted"], enqueued) == (1, ["order_1"], [])
    report = call(api, "POST", "/admin/dust/reconcile").json()
    assert (report["drifted"], report["dry_run"], enqueued) == (["order_1"], False, [(INBOX_DRAIN,)])
    process_batch()
    assert call(api, "GET", "/admin/dust/customers/cus_1").json()["balance"] == 10
    assert call(api, "POST", "/admin/dust/reconcile").json()["drifted"] == []


def test_reconcile_looks_back_as_far_as_requested(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order(placed=now() - timedelta(days=40))
    assert call(api, "POST", "/admin/dust/reconcile").json()["orders_seen"] == 0
    since = (now() - timedelta(days=41)).isoformat()
    assert call(api, "POST", "/admin/dust/reconcile", json={"since": since}).json()["drifted"] == ["order_1"]


def test_the_next_poll_continues_where_the_last_one_ended(api: TestClient, medusa: FakeMedusa) -> None:
    call(api, "POST", "/admin/dust/reconcile")
    medusa.orders["order_1"] = order(placed=now() + timedelta(hours=30))
    with moved(timedelta(hours=48)):
        # Older than what a first poll reads, but newer than the last poll.
        report = call(api, "POST", "/admin/dust/reconcile").json()
        assert report["drifted"] == ["order_1"]
        again = call(api, "POST", "/admin/dust/reconcile").json()
        assert again["orders_seen"] == 0


def test_reconcile_without_medusa_is_503_and_says_so(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.away = True
    answer = call(api, "POST", "/admin/dust/reconcile")
    assert (answer.status_code, answer.json()["code"]) == (503, "medusa_unavailable")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [({"since": "yesterday"}, "since"), ({"since": "2026-11-22T00:00:00"}, "since"), ({"dry_run": "x"}, "dry_run")],
)
def test_a_wrong_reconcile_request_is_refused_by_name(api: TestClient, body: dict[str, Any], field: str) -> None:
    assert fields(call(api, "POST", "/admin/dust/reconcile", json=body)) == {field}


# Paging


@pytest.fixture
def _many_open_redemptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a customer have more open redemptions than one page has."""
    monkeypatch.setattr("bridge.redemptions.service.MAX_OPEN_REDEMPTIONS", 100)


def _products(api: TestClient) -> None:
    batch = [{"product_id": f"prod_{number:02}", "dust_price": 1} for number in range(23)]
    assert call(api, "POST", PRODUCTS, json={"products": batch}).status_code == 200


def _transactions(api: TestClient) -> None:
    for number in range(23):
        assert adjust(api, 10, key=str(number)).status_code == 201


def _redemptions(api: TestClient) -> None:
    _transactions(api)
    requested = {"dust": 1, "currency_code": "eur"}
    for number in range(23):
        headers = {**tokens.customer(), "Idempotency-Key": str(number)}
        assert api.post("/store/dust/redemptions", json=requested, headers=headers).status_code == 202


def _events(api: TestClient) -> None:
    # All were received at the same time, so the id decides their order.
    for number in range(23):
        deliver(api, event("cart.updated", {"id": "cart_1"}), event_id=f"msg_{number:02}")
    with transaction() as connection:
        connection.execute(text("UPDATE webhook_event SET received_at = :now"), {"now": now()})


def _versions(api: TestClient) -> None:
    for _ in range(23):
        assert call(api, "PUT", "/admin/dust/programme", json={}).status_code == 200


_LISTS: dict[str, tuple[Callable[[TestClient], None], str, str, dict[str, str]]] = {
    "/admin/dust/products": (_products, "products", "product_id", tokens.admin()),
    "/store/dust/products": (_products, "products", "", {}),
    "/store/dust/transactions": (_transactions, "transactions", "id", tokens.customer()),
    "/admin/dust/customers/cus_1/transactions": (_transactions, "transactions", "id", tokens.admin()),
    "/store/dust/redemptions": (_redemptions, "redemptions", "id", tokens.customer()),
    "/admin/dust/redemptions": (_redemptions, "redemptions", "id", tokens.admin()),
    "/admin/dust/events": (_events, "events", "id", tokens.admin()),
    "/admin/dust/programme/versions": (_versions, "versions", "version", tokens.admin()),
}


@pytest.mark.usefixtures("_many_open_redemptions")
@pytest.mark.parametrize("path", _LISTS)
def test_pages_have_each_row_once(api: TestClient, path: str) -> None:
    make, _, _, headers = _LISTS[path]
    make(api)
    whole = rows_of_page(api, path, {"limit": 100})
    assert (len(whole), len(set(whole))) == (23, 23)
    for limit in (1, 5, 22, 23, 24):
        seen: list[Any] = []
        query: dict[str, Any] = {"limit": limit}
        while query.get("cursor", "") is not None:
            page = rows_of_page(api, path, query)
            seen += page
            query["cursor"] = api.get(path, params=query, headers=headers).json()["next_cursor"]
            assert len(page) == limit or query["cursor"] is None
        assert seen == whole


def rows_of_page(api: TestClient, path: str, query: dict[str, Any]) -> list[Any]:
    """The ids on a page, in order."""
    _, name, key, headers = _LISTS[path]
    answer = api.get(path, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    rows = answer.json()[name]
    return list(rows) if isinstance(rows, dict) else [row[key] for row in rows]


_STRANGE_CURSORS = ("", "x", "!!!", "é", "YQ==", "AAAA", "OTk5", "2026-11-22", "x" * 501, "0", "LTE")


@pytest.mark.parametrize("path", _LISTS)
def test_an_invented_cursor_is_422(api: TestClient, path: str) -> None:
    *_, headers = _LISTS[path]
    for cursor in _STRANGE_CURSORS:
        assert fields(api.get(path, params={"cursor": cursor}, headers=headers)) == {"cursor"}, cursor


_NUMBERED = {
    "versions": "/admin/dust/programme/versions",
    "transactions": "/admin/dust/customers/cus_1/transactions",
    "statement": "/store/dust/transactions",
    "outgoing_webhooks": "/admin/dust/outgoing-webhooks",
}


@pytest.mark.parametrize("listing", _NUMBERED)
def test_a_cursor_with_a_number_that_no_row_has_is_no_internal_error(api: TestClient, listing: str) -> None:
    path = _NUMBERED[listing]
    headers = tokens.admin() if path.startswith("/admin") else tokens.customer()
    for number in (0, 2**31, 10**18 - 1):
        cursor = base64.urlsafe_b64encode(f"{listing}:{number}".encode()).decode().rstrip("=")
        assert api.get(path, params={"cursor": cursor}, headers=headers).status_code == 200, number


# It also has pending points, so its positions are not those of the merchant's list.
_OF_ITS_OWN = "/store/dust/transactions"


@pytest.mark.usefixtures("_many_open_redemptions")
def test_a_cursor_of_another_list_is_422(api: TestClient) -> None:
    cursors = {}
    for make in {make for make, *_ in _LISTS.values()}:
        if make is not _transactions:  # which _redemptions has called
            make(api)
    for path, (_, name, _, headers) in _LISTS.items():
        kind = path if path == _OF_ITS_OWN else name
        cursors[path] = (kind, api.get(path, params={"limit": 1}, headers=headers).json()["next_cursor"])
    for path, (*_, headers) in _LISTS.items():
        name, _ = cursors[path]
        for kind, cursor in cursors.values():
            answer = api.get(path, params={"cursor": cursor}, headers=headers)
            assert answer.status_code == (200 if kind == name else 422), (path, kind)


# Health


def test_health_says_how_long_the_oldest_work_waits(api: TestClient) -> None:
    assert api.get("/health/live").json() == {"status": "ok"}
    ages = {"oldest_waiting_event_seconds": None, "oldest_waiting_promise_seconds": None}
    empty = {"status": "ok", "degraded": ["broker"], **ages}
    assert api.get("/health/ready").json() == empty
    deliver(api, order_event(order(lines=[line(price=1000)])))
    with moved(timedelta(seconds=90)):
        assert 90 <= api.get("/health/ready").json()["oldest_waiting_event_seconds"] < 120
    process_batch()
    assert api.get("/health/ready").json() == empty
    headers = {**tokens.customer(), "Idempotency-Key": "k"}
    api.post("/store/dust/redemptions", json={"dust": 500, "currency_code": "eur"}, headers=headers)
    with moved(timedelta(seconds=90)):
        assert api.get("/health/ready").json()["oldest_waiting_promise_seconds"] >= 90


@pytest.mark.parametrize(
    ("url", "missing"), [("postgresql://nobody@127.0.0.1:1/none", ["database"]), ("postgres", ["migrations"])]
)
def test_ready_names_what_is_missing(
    api: TestClient, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, url: str, missing: list[str]
) -> None:
    there = settings["DUST_DATABASE_URL"]
    # The server's own database `postgres` is there, and empty.
    use_database(monkeypatch, url if "://" in url else f"{there.rpartition('/')[0]}/{url}")
    try:
        answer = api.get("/health/ready")
        assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (503, "not_ready", missing)
        assert "retry-after" in answer.headers
        assert api.get("/health/live").status_code == 200
    finally:
        use_database(monkeypatch, there)


def use_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DUST_DATABASE_URL", url)
    get_settings.cache_clear()
    dispose_engine()


# Requests that Medusa refuses


def test_a_refused_publishable_key_is_503(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DUST_MEDUSA_PUBLISHABLE_KEY", "pk_of_another_shop")
    get_settings.cache_clear()
    get_medusa.clear()
    answer = api.post("/store/dust/quote", json={"cart_id": "cart_1"}, headers=tokens.customer())
    assert (answer.status_code, answer.json()["code"]) == (503, "medusa_unavailable")
    assert "check the keys" in caplog.text
