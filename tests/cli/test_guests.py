"""`dust guests`, `dust merge` and `dust unmerge`."""

from typing import Any

import pytest
import typer.testing
from sqlalchemy import text

from bridge.cli import app
from bridge.clock import now
from bridge.db import transaction
from tests.support.commands import Dust
from tests.support.orders import line, order
from tests.support.settling import settle

pytestmark = pytest.mark.usefixtures("settings")

ADA = "Ada@Example.com"


def as_a_guest(order_id: str = "order_1", *, email: str = ADA, **more: Any) -> dict[str, Any]:
    return order(order_id, customer_id="cus_guest", guest=True, email=email, placed=now(), **more)


def balance(dust: Dust, customer: str) -> int:
    return int(dust("balance", customer, "--json").json["balance"])


def test_what_waits_for_guests_is_listed_and_shown(dust: Dust) -> None:
    assert "There are no orders of guests yet." in dust("guests", "list").out
    settle(as_a_guest(), as_a_guest("order_2", lines=[line(price=25)]))
    listed = dust("guests", "list", "--json").json
    assert (listed["waiting_orders"], listed["waiting_dust"]) == (2, 35)
    assert {escrow["order_id"]: escrow["dust"] for escrow in listed["escrows"]} == {"order_1": 10, "order_2": 25}
    assert len(dust("guests", "list", "--limit", 1, "--json").json["escrows"]) == 1
    assert dust("guests", "list", "--state", "claimed", "--json").json["escrows"] == []
    assert "35 points of 2 orders wait to be claimed." in dust("guests", "list").out
    reported = dust("guests", "show", "order_2")
    assert "25 points of order #93 put into escrow for the guest." in reported.out
    assert "The guest can claim" in reported.out
    assert dust("guests", "show", "order_2", "--json").json["sentences"] == reported.out.splitlines()
    unknown = dust("guests", "show", "order_9")
    assert (unknown.code, "order_9" in unknown.err) == (1, True)


def test_support_previews_a_claim_for_a_customer_and_makes_it_once(dust: Dust) -> None:
    settle(as_a_guest(), as_a_guest("order_2", email="eve@example.com"))
    claim = ("guests", "claim", "cus_ada", "--email", f" {ADA.lower()}")
    assert "10 points would be claimed." in dust(*claim, "--dry-run").out
    assert balance(dust, "cus_ada") == 0
    claimed = dust(*claim, "--json").json
    assert (claimed["dust"], claimed["orders"]) == (10, [{"dust": 10, "order_id": "order_1"}])
    again = dust(*claim)
    assert "No orders wait under this e-mail." in again.out
    assert "0 points claimed." in again.out
    assert balance(dust, "cus_ada") == 10
    assert "claimed them" in dust("guests", "show", "order_1").out
    # An order that becomes known later is claimed too.
    settle(as_a_guest("order_3"))
    assert dust("guests", "claim", "cus_ada", "--email", ADA, "--json").json["dust"] == 10
    for email in ("ada", "ada@", "@example.com", "ada lovelace@example.com"):
        wrong = dust("guests", "claim", "cus_ada", "--email", email)
        assert (wrong.code, "must be an e-mail address" in wrong.err) == (1, True)


def test_an_address_can_be_typed_so_that_no_history_keeps_it(dust: Dust) -> None:
    settle(as_a_guest())
    result = typer.testing.CliRunner().invoke(app, ["guests", "claim", "cus_ada", "--email", "-"], input=f"{ADA}\n")
    assert result.exit_code == 0, result.output
    assert balance(dust, "cus_ada") == 10


def test_a_new_key_asks_first_and_drops_the_hashes(dust: Dust) -> None:
    settle(as_a_guest())
    runner = typer.testing.CliRunner()
    assert runner.invoke(app, ["guests", "replace-key"], input="n\n").exit_code == 1
    assert dust("guests", "claim", "cus_ada", "--email", ADA, "--dry-run", "--json").json["dust"] == 10
    assert dust("guests", "replace-key", "--yes", "--json").json == {"orders_without_hash": 1}
    assert dust("guests", "claim", "cus_ada", "--email", ADA, "--dry-run", "--json").json["dust"] == 0
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(email_hash) FROM guest_escrow")) == 0


def test_two_accounts_are_merged_and_the_merge_is_undone(dust: Dust) -> None:
    settle(order("order_1", customer_id="cus_old"), order("order_2", customer_id="cus_new", lines=[line(price=5)]))
    report = dust("merge", "cus_old", "--into", "cus_new", "--json").json
    assert (report["customer_id"], report["survivor_id"], report["merged_by"], report["balance"]) == (
        "cus_old", "cus_new", "cli", 15,
    )  # fmt: skip
    merged = dust("merge", "cus_old", "--into", "cus_new").out
    assert "cus_old is merged into cus_new, which has 15 points now" in merged
    refused = dust("merge", "cus_new", "--into", "cus_old")
    assert (refused.code, "merge into that one" in refused.err) == (1, True)
    itself = dust("merge", "cus_3", "--into", "cus_3")
    assert (itself.code, "must be another customer" in itself.err) == (1, True)
    dust("adjust", "cus_new", -8, "--reason", "test")
    assert "cus_old has 7 of its 10 points back." in dust("unmerge", "cus_old").out
    assert (balance(dust, "cus_old"), balance(dust, "cus_new")) == (7, 0)
    nothing = dust("unmerge", "cus_old", "--json")
    assert (nothing.code, "is not merged into another account" in nothing.err) == (1, True)
