"""`dust programme`: show, check and set rules, and simulate them on past orders."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bridge.db import transaction
from tests.support.clock import START
from tests.support.commands import Dust
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order

# Of last year.
JANUARY = START.replace(year=START.year - 1, month=1, day=10)
YEAR = JANUARY.year
MONTH = timedelta(days=31)


def rules_file(folder: Path, **parts: Any) -> Path:
    file = folder / "rules.json"
    file.write_text(json.dumps(parts))
    return file


def everything() -> dict[str, int]:
    """The number of rows of each table."""
    with transaction() as connection:
        names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        return {name: int(connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in names}


@pytest.mark.usefixtures("settings")
def test_rules_are_shown_checked_and_set(dust: Dust, tmp_path: Path) -> None:
    assert "The rules were never changed." in dust("programme", "versions").out
    file = rules_file(tmp_path, earn={"rates": {"eur": "2"}}, bonuses={"signup": 50})
    assert dust("programme", "check", file, "--json").json["changes"] == [
        {"rule": "bonuses.signup", "now": "0", "then": "50"},
        {"rule": "earn.rates.eur", "now": '"1"', "then": '"2"'},
    ]
    assert "✓ it is valid" in dust("programme", "check", file).out
    assert dust("programme", "set", file).out == "Version 1 is in force.\n"
    # `set` accepts what `show` prints.
    file.write_text(dust("programme", "show").out)
    assert "It changes nothing." in dust("programme", "check", file).out
    assert dust("programme", "show", "--version", 0).json["earn"]["rates"] == {"eur": "1"}
    assert [row["version"] for row in dust("programme", "versions", "--json").json] == [1]
    assert dust("programme", "show", "--version", 7).err.startswith("dust: There is no version 7")


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"earn": {"rates": {"eur": "-1"}}}', "earn.rates.eur: "),
        ('{"erm": {}}', "erm: "),
    ],
)
@pytest.mark.parametrize("command", ["check", "set"])
def test_a_wrong_document_is_reported_field_by_field(
    dust: Dust, tmp_path: Path, content: str, complaint: str, command: str
) -> None:
    file = tmp_path / "rules.json"
    file.write_text(content)
    result = dust("programme", command, file)
    assert (result.code, complaint in result.err) == (1, True), result.err
    assert everything()["programme_version"] == 0


def test_changed_rules_are_tried_on_old_orders_and_nothing_is_written(
    dust: Dust, medusa: FakeMedusa, tmp_path: Path
) -> None:
    shirts = [line(price=100)]
    mixed = [line("a", price=100), line("b", price=50, product_id="prod_hat")]
    for number, (lines, customer, placed) in enumerate(
        [(shirts, "cus_1", JANUARY), (mixed, "cus_2", JANUARY), (mixed, "cus_1", JANUARY + MONTH)]
    ):
        medusa.orders[f"order_{number}"] = order(f"order_{number}", customer_id=customer, lines=lines, placed=placed)
    medusa.orders["order_old"] = order("order_old", placed=JANUARY - MONTH)
    medusa.orders["order_late"] = order("order_late", placed=JANUARY + 3 * MONTH)
    medusa.orders["order_guest"] = order("order_guest", placed=JANUARY, guest=True)
    medusa.orders["order_bad"] = {**order("order_bad", placed=JANUARY), "items": "none"}
    hats = {"name": "hats", "factor": "3", "product_ids": ["prod_hat"]}
    file = rules_file(tmp_path, earn={"rates": {"eur": "1"}, "multipliers": [hats]})
    before = everything()
    range_ = ("--since", f"{YEAR}-01-01", "--until", f"{YEAR}-03-01")
    picture = tmp_path / "plot.svg"
    report = dust("programme", "simulate", file, *range_, "--plot", picture, "--json").json
    assert everything() == before
    assert (report["orders"], report["now"], report["then"], report["difference"]) == (4, 400, 600, 200)
    assert (report["changed"], report["customers"], report["unreadable"]) == (2, 2, ["order_bad"])
    assert [(month["name"], month["orders"], month["now"], month["then"]) for month in report["by_month"]] == [
        (f"{YEAR}-01", 3, 250, 350),
        (f"{YEAR}-02", 1, 150, 250),
    ]
    assert {rule["name"]: (rule["now"], rule["then"]) for rule in report["by_rule"]} == {
        "hats": (0, 300),
        "rate alone": (400, 300),
    }
    assert {affected["order_id"]: affected["difference"] for affected in report["most_affected"]} == {
        "order_1": 100,
        "order_2": 100,
    }
    assert picture.read_text().startswith("<?xml")
    reported = dust("programme", "simulate", file, *range_, "--top", 1)
    assert "400 points by the current rules (version 0), 600 by the changed ones: +200." in " ".join(
        reported.out.split()
    )
    assert "█" in reported.out
    assert "order_0" not in reported.out
    assert everything() == before


def test_a_simulation_gives_the_same_points_as_settlement(dust: Dust, medusa: FakeMedusa, tmp_path: Path) -> None:
    """A simulation of the present rules gives what the ledger holds, for every kind of rule."""
    from bridge.inbox.process_batch import process_batch

    dust("programme", "set", rules_file(tmp_path, earn={"rates": {"eur": "1.5"}, "rounding": "ceiling"}))
    dust("product", "set", "prod_mug", "--price", 300, "--dust-only")
    for number in range(7):
        lines = [line("a", price=9.99, quantity=3, returned=number % 3), line("b", price=5, product_id="prod_mug")]
        status = "canceled" if number == 6 else "pending"
        medusa.orders[f"order_{number}"] = order(
            f"order_{number}", lines=lines, placed=JANUARY, status=status, credit=number
        )
    report = dust("programme", "simulate", tmp_path / "rules.json", "--since", f"{YEAR}-01-01", "--json").json
    dust("reconcile", "--since", f"{YEAR}-01-01")
    process_batch()
    booked = dust("balance", "cus_1", "--json").json["balance"]
    assert (report["now"], report["then"]) == (booked, booked)
    assert booked > 0


def test_a_simulation_says_that_limits_and_tiers_begin_at_nothing(
    dust: Dust, medusa: FakeMedusa, tmp_path: Path
) -> None:
    medusa.orders["order_1"] = order("order_1", placed=JANUARY)
    for changes, expected in (
        ({"earn": {"limits": {"per_order": 5}}}, False),
        ({"earn": {"limits": {"per_day": 5}}}, True),
        ({"tiers": {"levels": [{"name": "gold", "from": 100, "factor": "2"}]}}, True),
    ):
        ask = ("programme", "simulate", rules_file(tmp_path, **changes), "--since", f"{YEAR}-01-01")
        assert dust(*ask, "--json").json["limits_and_tiers_begin_at_nothing"] is expected
        assert (f"Orders before {YEAR}-01-01 do not count" in " ".join(dust(*ask).out.split())) is expected


def test_a_role_without_temporary_tables_reads_what_to_do(
    dust: Dust, medusa: FakeMedusa, database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        name = database.rpartition("/")[2]
        owner.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
        result = dust("programme", "simulate", rules_file(tmp_path), "--since", f"{YEAR}-01-01")
        # Other tests use the database.
        owner.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO PUBLIC')
    assert (result.code, "GRANT TEMPORARY ON DATABASE" in result.err) == (1, True), result.err


@pytest.mark.usefixtures("settings")
def test_a_currency_that_the_shop_does_not_have_is_refused(dust: Dust, tmp_path: Path, medusa: FakeMedusa) -> None:
    file = rules_file(tmp_path, redeem={"rates": {"eur": "100", "xyz": "1"}})
    for command in ("check", "set"):
        refused = dust("programme", command, file)
        assert refused.code == 1
        assert "redeem.rates.xyz: 'xyz' is not a currency of the shop" in refused.err
    medusa.away = True
    assert "Version 1 is in force." in dust("programme", "set", file).out
