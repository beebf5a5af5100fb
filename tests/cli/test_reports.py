"""`dust report …`."""

import csv
import json
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from typer.testing import CliRunner, Result

from bridge.cli import app
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import InvalidInput
from bridge.medusa.orders import read_order
from bridge.settlement.settle import settle_orders
from tests.support.clock import moved
from tests.support.orders import line, order


@pytest.fixture(autouse=True)
def _an_order(settings: dict[str, str]) -> None:
    with transaction() as connection:
        settle_orders(connection, [read_order(order(lines=[line(price=250)]))], now=now())


def dust(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", *words])


def test_every_report_is_a_table_a_file_and_json(tmp_path: Path) -> None:
    for name in ("liability", "movements", "expiring", "breakage"):
        assert "250" in dust(name).output, name
        assert "250" in dust(name, "--json").output, name
        file = tmp_path / f"{name}.csv"
        assert "are in" in dust(name, "--csv", str(file)).output
        with file.open(newline="") as opened:
            assert any("250" in row.values() for row in csv.DictReader(opened)), name
        assert dust(name, "--csv", "-").stdout.partition(",")[0] == file.read_text().partition(",")[0]


def test_marketing_figures_are_lines_on_the_screen_and_columns_in_a_file(tmp_path: Path) -> None:
    result = dust("marketing", "--from", "2027-04-01")
    assert "revenue_eur" in result.stdout
    assert "250.00" in result.stdout
    assert "often buy more anyway" in result.output
    april, may, total = csv.DictReader(dust("marketing", "--from", "2027-04-01", "--csv", "-").stdout.splitlines())
    assert (april["orders"], may["orders"], total["orders"]) == ("0", "1", "1")
    assert json.loads(dust("marketing", "--from", "2027-05-01", "--json").stdout)[-1]["month"] == "total"
    assert "must not be before from" in str(dust("marketing", "--from", "2027-05-02", "--to", "2027-05-01").exception)


def test_imported_balances_are_not_points_issued(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("customer_id,balance\ncus_9,5000\n")
    assert CliRunner().invoke(app, ["import", str(file), "--trust-ids", "--batch", "old"]).exit_code == 0
    assert '"points_issued": 250' in dust("marketing", "--json").stdout
    assert CliRunner().invoke(app, ["import", "undo", "old"]).exit_code == 0
    assert '"points_issued": 250' in dust("marketing", "--json").stdout


def test_forecasts_are_a_file_too() -> None:
    assert dust("forecasts", "--csv", "-").stdout.splitlines()[:2] == ["outcome,orders", "kept,0"]


def test_pictures_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    for name in ("movements", "expiring"):
        file = tmp_path / f"{name}.svg"
        assert "are in" in dust(name, "--plot", str(file)).output
        picture = ElementTree.parse(file)
        assert picture.getroot().tag.endswith("svg")
        assert not picture.findall(".//{http://www.w3.org/2000/svg}script[@{http://www.w3.org/1999/xlink}href]")


def test_what_nothing_moved_by_is_not_on_the_screen() -> None:
    output = dust("movements").output
    assert "earn" in output
    assert "expire" not in output


def test_closes_are_verified(settings: dict[str, str]) -> None:
    with moved(timedelta(days=1, hours=1)):
        assert "250" in dust("closes").output
        assert dust("closes", "--verify").exit_code == 0
        with psycopg.connect(settings["DUST_DATABASE_URL"]) as owner:
            owner.execute("ALTER TABLE daily_close DISABLE TRIGGER append_only")
            owner.execute("UPDATE daily_close SET outstanding = 251")
        result = dust("closes", "--verify")
        assert result.exit_code == 1
        assert "outstanding was 251, the ledger now has 250" in result.stderr
        with psycopg.connect(settings["DUST_DATABASE_URL"]) as owner:
            owner.execute("UPDATE daily_close SET outstanding = 250")


def test_impossible_ranges_are_refused_in_words() -> None:
    assert isinstance(dust("movements", "--since", "2026-02-02", "--until", "2026-02-02").exception, InvalidInput)
    message = str(dust("movements", "--since", "2000-01-01").exception)
    assert "use --by month" in message
    assert dust("movements", "--since", "2000-01-01", "--by", "month").exit_code == 0
