"""`dust import` and `dust export`: round trips, kills in the middle, and undo."""

import csv
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from bridge.clock import now
from bridge.db import DatabaseAway, transaction
from bridge.development.stack.up import DUST
from bridge.ids import CustomerId
from bridge.ledger.merges import merge_customers
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.queries import read_balance
from bridge.ledger.store import open_accounts, save
from tests.support.clock import START, moved
from tests.support.commands import Dust
from tests.support.databases import count
from tests.support.ledger import hold, release
from tests.support.medusa import FakeMedusa
from tests.support.processes import eventually
from tests.support.settling import set_rules

# When a lot of another programme was earned, and the last day on which it is good.
EARNED, LATER = START - timedelta(days=500), START + timedelta(days=1_000)


def write(folder: Path, *lines: str, name: str = "points.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def balance(customer: str) -> int:
    with transaction() as connection:
        return read_balance(connection, CustomerId(customer)).balance


def spend(customer: str, dust: int) -> None:
    with transaction() as connection:
        account = open_accounts(connection, [CustomerId(customer)])[CustomerId(customer)]
        details = PostingDetails(
            kind=Kind.ADJUST, reference_type="adjustment", reference_id="spent", description="", event_at=now()
        )  # fmt: skip
        account.adjust(-dust, details, now=now())
        save(connection, [account])


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_emails_are_looked_up_and_every_ambiguous_row_is_refused(
    dust: Dust, medusa: FakeMedusa, tmp_path: Path
) -> None:
    medusa.add_customer("cus_ada", "ada@x.org")
    medusa.add_customer("cus_Bob", "Bob@x.org")
    medusa.add_customer("cus_1", "twin@x.org")
    medusa.add_customer("cus_2", "Twin@x.org")
    medusa.add_customer("cus_guest", "guest@x.org", has_account=False)
    file = write(
        tmp_path,
        "email,points",
        "ADA@x.org,5",
        "BOB@x.org,0",
        "Bob@x.org,6",
        "ada@x.org,7",
        "Twin@x.org,8",
        "guest@x.org,9",
        "no@x.org,1",
    )
    result = dust("import", file, "--preset", "smile", "--dry-run", "--json")
    assert result.code == 1
    assert (result.json["rows"], result.json["dust"], result.json["zeros"]) == (1, 6, 1)
    assert [(row["line"], row["message"].partition(":")[0]) for row in result.json["refused"]] == [
        (2, "has a balance in line 5 as well"),
        (5, "has a balance in line 2 as well"),
        (6, "belongs to several accounts in Medusa that differ in capitals"),
        (7, "belongs to no customer with an account in Medusa"),
        (8, "belongs to no customer with an account in Medusa"),
    ]
    assert count("SELECT count(*) FROM import_batch") == count("SELECT count(*) FROM dust_transaction") == 0

    result = dust("import", file, "--preset", "smile")
    assert result.code == 1
    assert "Nothing was imported. Correct the file, or use --skip-refused." in result.out
    assert count("SELECT count(*) FROM dust_transaction") == 0

    wrong = tmp_path / "wrong.csv"
    result = dust("import", file, "--preset", "smile", "--skip-refused", "--refused", wrong)
    assert (result.code, balance("cus_ada"), balance("cus_Bob")) == (0, 0, 6)
    assert "Imported: 1 row, 6 points for 1 customer." in result.out
    refused = ["ADA@x.org", "ada@x.org", "Twin@x.org", "guest@x.org", "no@x.org"]
    assert [row["email"] for row in rows_of(wrong)] == refused
    # No e-mail address may be stored.
    with transaction() as connection:
        kept = " ".join(str(row) for row in connection.execute(text("SELECT * FROM import_row")))
    assert "x.org" not in kept

    medusa.add_customer("cus_no", "no@x.org")
    assert dust("import", wrong, "--preset", "smile", "--skip-refused").code == 0
    assert (balance("cus_ada"), balance("cus_no")) == (0, 1)


@pytest.mark.parametrize("name", ["points.csv", "link.csv"])
def test_refused_rows_never_replace_the_imported_file(
    dust: Dust, medusa: FakeMedusa, tmp_path: Path, name: str
) -> None:
    file = write(tmp_path, "customer_id,balance", "cus_1,5", "cus_2,many")
    (tmp_path / "link.csv").symlink_to(file)
    before = file.read_bytes()
    result = dust("import", file, "--trust-ids", "--skip-refused", "--refused", tmp_path / name)
    assert (result.code, "--refused: give another file" in result.err) == (1, True)
    assert file.read_bytes() == before
    assert count("SELECT count(*) FROM dust_transaction") == 0


def test_a_file_asked_for_twice_is_imported_once(dust: Dust, medusa: FakeMedusa, tmp_path: Path) -> None:
    medusa.add_customer("cus_1", "a@x.org")
    file = write(tmp_path, "customer_id,balance", "cus_1,5", name="Smile export (1).csv")
    assert dust("import", file, "--json").json["name"].startswith("Smile-export-1-")
    result = dust("import", file)
    assert "This file was imported before. Nothing was left to do." in result.out
    assert "importing it again would change nothing" in " ".join(dust("import", file, "--dry-run").out.split())
    result = dust("import", file, "--batch", "other")
    assert (result.code, "Use --again when that is meant" in result.err) == (1, True)
    assert balance("cus_1") == 5
    assert dust("import", file, "--batch", "other", "--again").code == 0
    assert balance("cus_1") == 10
    another = write(tmp_path, "customer_id,balance", "cus_1,6")
    result = dust("import", another, "--batch", "other")
    assert (result.code, "is of another file" in result.err) == (1, True)
    assert [(row["state"], row["dust"]) for row in dust("import", "list", "--json").json] == [("posted", 5)] * 2
    assert "other" in dust("import", "list").out


def test_ids_are_checked_unless_they_are_trusted(dust: Dust, medusa: FakeMedusa, tmp_path: Path) -> None:
    medusa.add_customer("cus_guest", "a@x.org", has_account=False)
    file = write(tmp_path, "customer_id,balance", "cus_gone,5", "cus_guest,5")
    result = dust("import", file, "--json")
    assert (result.code, [row["line"] for row in result.json["refused"]]) == (1, [2, 3])
    assert dust("import", file, "--trust-ids").code == 0
    assert balance("cus_gone") == 5
    medusa.away = True
    assert dust("import", write(tmp_path, "customer_id,balance", "cus_x,5")).err.startswith("dust: Medusa answered 503")


@pytest.mark.usefixtures("settings")
def test_lots_keep_their_dates_and_a_shopper_reads_where_they_come_from(dust: Dust, tmp_path: Path) -> None:
    lines = (f"cus_1,30,{EARNED:%Y-%m-%d},{LATER:%Y-%m-%d},", "cus_1,12,,,", f"cus_1,5,,,{LATER:%Y-%m-%d}")
    file = write(tmp_path, "customer_id,amount,earned_at,expires_at,matures_at", *lines)
    dust("import", file, "--trust-ids", "--description", "From our old programme")
    shown = dust("balance", "cus_1", "--json").json
    assert (shown["balance"], shown["pending"]) == (42, 5)
    assert [(expiring["amount"], expiring["expires_at"][:10]) for expiring in shown["expiring"]] == [
        (30, f"{LATER:%Y-%m-%d}")
    ]
    oldest = dust("explain", "cus_1", "--json").json["steps"][0]["sentence"]
    assert oldest.startswith(f"{EARNED:%d %b %Y}: 30 points brought over with an import: From our old programme.")


@pytest.mark.usefixtures("settings")
def test_what_is_exported_can_be_imported(dust: Dust, tmp_path: Path) -> None:
    lots = [
        f"cus_1,30,{EARNED:%Y-%m-%d},{LATER:%Y-%m-%d},",
        "cus_1,12,,,",
        f"cus_2,5,,,{LATER:%Y-%m-%d}",
        "cus_3,9,,,",
        "cus_3,4,,,",
    ]
    dust("import", write(tmp_path, "customer_id,amount,earned_at,expires_at,matures_at", *lots), "--trust-ids")
    spend("cus_1", 31)
    exported = dust("export", "--lots").out
    first = write(tmp_path, exported.rstrip("\n"), name="first.csv")
    # Lots of the same dates are one row.
    assert len(rows_of(first)) == 3
    (tmp_path / "balances.csv").unlink(missing_ok=True)
    assert "3 rows are in" in dust("export", tmp_path / "balances.csv").out.replace("\n", " ")
    assert [row["balance"] for row in rows_of(tmp_path / "balances.csv")] == ["11", "0", "13"]
    assert [row["kind"] for row in csv.DictReader(dust("export", "--transactions").out.splitlines())] == [
        "import", "import", "adjust", "import", "import", "import",
    ]  # fmt: skip
    for batch in dust("import", "list", "--json").json:
        dust("import", "undo", batch["name"])
    assert balance("cus_3") == 0
    # Spent points of the undone import are a debt now, so 11 more points are missing.
    assert balance("cus_1") == -31
    assert dust("import", first, "--trust-ids").code == 0
    second = {row["customer_id"]: row for row in csv.DictReader(dust("export", "--lots").out.splitlines())}
    assert second["cus_2"] == {row["customer_id"]: row for row in rows_of(first)}["cus_2"]
    assert (balance("cus_1"), balance("cus_3")) == (-20, 13)
    assert dust("export", "--lots", "--transactions").code == 1


@pytest.mark.usefixtures("settings")
def test_an_export_is_json_for_programs(dust: Dust, tmp_path: Path) -> None:
    assert dust("export", "--json").json == []
    dust(
        "import",
        write(tmp_path, "customer_id,amount,expires_at", "cus_1,30,", f"cus_2,5,{LATER:%Y-%m-%d}"),
        "--trust-ids",
    )
    assert dust("export", "--json").json == [
        {"customer_id": "cus_1", "balance": 30, "held": 0, "pending": 0},
        {"customer_id": "cus_2", "balance": 5, "held": 0, "pending": 0},
    ]
    file = tmp_path / "lots.json"
    assert "2 rows are in" in dust("export", file, "--lots", "--json").out.replace("\n", " ")
    first, second = json.loads(file.read_text())
    assert (first["amount"], first["expires_at"], second["expires_at"][:4]) == (30, None, f"{LATER:%Y}")


@pytest.mark.usefixtures("settings")
def test_an_export_that_fails_leaves_the_file_as_it_was(
    dust: Dust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: Connection) -> Iterator[tuple[str, ...]]:
        yield ("customer_id", "balance")
        raise DatabaseAway

    file = write(tmp_path, "of yesterday")
    before = list(tmp_path.iterdir())
    monkeypatch.setattr("bridge.imports.export.balances", half)
    result = dust("export", file)
    assert (result.code, file.read_text()) == (1, "of yesterday\n")
    assert dust("export", tmp_path / "new.csv").code == 1
    assert list(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("settings")
def test_points_on_hold_do_not_outlive_an_undo(dust: Dust, tmp_path: Path) -> None:
    set_rules(reversal={"negative_balance": "within_balance"})
    file = write(tmp_path, "customer_id,amount", "cus_1,50")
    name = dust("import", file, "--trust-ids", "--json").json["name"]
    hold(50)
    report = dust("import", "undo", name, "--json").json
    assert (report["waived"], report["not_found"][0]["gone"]) == (0, 50)
    release()
    assert balance("cus_1") == 0


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("lots", "expired"),
    [
        # The points of both accounts have expired in the survivor.
        (["cus_a,100,{soon}", "cus_b,300,{soon}"], {"cus_a": 100, "cus_b": 300}),
        (["cus_b,100,{soon}", "cus_a,300,{soon}"], {"cus_a": 300, "cus_b": 100}),
        # Only a part has expired, and it counts once.
        (["cus_a,300,", "cus_b,100,{soon}"], {"cus_a": 100, "cus_b": 0}),
    ],
)
def test_an_undo_counts_what_expired_in_merged_accounts_once(
    dust: Dust, tmp_path: Path, lots: list[str], expired: dict[str, int]
) -> None:
    soon = (now() + timedelta(days=1)).isoformat()
    file = write(tmp_path, "customer_id,amount,expires_at", *(lot.format(soon=soon) for lot in lots))
    name = dust("import", file, "--trust-ids", "--json").json["name"]
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_a"), CustomerId("cus_b"), actor="ops", now=now())
    with moved(timedelta(days=2)):
        report = dust("import", "undo", name, "--json").json
        expired_of = {missing["customer_id"]: missing["expired"] for missing in report["not_found"]}
        assert {"cus_a": 0, "cus_b": 0} | expired_of == expired
        assert (report["expired"], report["gone"]) == (sum(expired.values()), 0)
        assert (balance("cus_a"), balance("cus_b")) == (0, 0)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(
    ("policy", "balances", "waived"),
    [("allow", [0, -40, 20, 0], 0), ("within_balance", [0, 0, 20, 0], 40)],
)
def test_an_undo_takes_back_what_is_there_and_names_what_is_not(
    dust: Dust, tmp_path: Path, policy: str, balances: list[int], waived: int, swept: bool
) -> None:
    set_rules(reversal={"negative_balance": policy})
    soon = (now() + timedelta(days=1)).isoformat()
    lots = ["cus_1,50,", "cus_2,50,", "cus_3,50,", f"cus_4,30,{soon}", "cus_4,20,"]
    file = write(tmp_path, "customer_id,amount,expires_at", *lots)
    name = dust("import", file, "--trust-ids", "--json").json["name"]
    dust("adjust", "cus_3", "60", "--reason", "gift")
    spend("cus_2", 40)
    spend("cus_3", 40)
    with moved(timedelta(days=2)):
        if swept:
            with transaction() as connection:
                account = open_accounts(connection, [CustomerId("cus_4")])[CustomerId("cus_4")]
                account.expire_due(now=now())
                save(connection, [account])
        result = dust("import", "undo", name, "--json").json
        assert (result["customers"], result["expired"], result["waived"]) == (4, 30, waived)
        assert {missing["customer_id"]: missing["gone"] for missing in result["not_found"]} == {
            "cus_2": 40,
            "cus_3": 40,
            "cus_4": 0,
        }
        assert [balance(f"cus_{number}") for number in (1, 2, 3, 4)] == balances
        again = dust("import", "undo", name)
        assert (again.code, "was undone already" in again.err) == (1, True)
        assert dust("import", "list", "--json").json[0]["state"] == "undone"
        # Its name is free, and its file may be imported once more.
        assert dust("import", file, "--trust-ids", "--skip-refused").code == 0
        assert balance("cus_1") == 50
    result = dust("import", "undo", "nothing")
    assert (result.code, result.err) == (1, "dust: There is no import nothing: `dust import list` names them.\n")


def imported(folder: Path, customers: int) -> Path:
    return write(folder, "customer_id,balance", *(f"cus_{number:06},{number + 1}" for number in range(customers)))


HALFWAY = 1_200
IN_THE_MIDDLE = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"


def kill_halfway(owner: psycopg.Connection, environment: dict[str, str], *command: object) -> None:
    """Run a command, and kill it with SIGKILL while it posts the row of a customer in the middle."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("DUST_")}
    owner.execute("SELECT pg_advisory_lock(4711)")
    process = subprocess.Popen([*DUST, *map(str, command)], env={**around, **environment}, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: process.poll() is not None or owner.execute(IN_THE_MIDDLE).fetchone() == (True,))
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        owner.execute("SELECT pg_advisory_unlock(4711)")


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    """A connection of the database's owner, which can lock one customer's row of the ledger."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER wait BEFORE INSERT ON dust_transaction FOR EACH ROW"
            f" WHEN (NEW.customer_id = 'cus_{HALFWAY:06}') EXECUTE FUNCTION wait()"
        )
        yield connection


@pytest.mark.system
def test_a_killed_import_and_a_killed_undo_go_on_where_they_were(
    dust: Dust, settings: dict[str, str], owner: psycopg.Connection, tmp_path: Path
) -> None:
    customers, posted = 2_000, 1_000
    file = imported(tmp_path, customers)
    command = ("import", file, "--trust-ids", "--batch", "moving")
    kill_halfway(owner, settings, *command)
    assert count("SELECT count(*) FROM dust_transaction") == posted
    assert dust("import", "list", "--json").json[0]["rows"] == {"posted": posted, "waiting": customers - posted}

    result = dust(*command)
    assert f"It continued: {customers - posted} rows." in result.out
    assert count("SELECT sum(balance) FROM dust_balance") == customers * (customers + 1) // 2
    assert count("SELECT count(*) FROM dust_transaction") == customers
    assert dust("audit", "--json").json == []

    undo = ("import", "undo", "moving")
    kill_halfway(owner, settings, *undo)
    assert count("SELECT count(*) FROM import_row WHERE state = 'undone'") == posted
    refused = dust(*command)
    assert (refused.code, "is undoing" in refused.err) == (1, True)
    assert dust(*undo).code == 0
    assert count("SELECT count(*) FROM dust_balance WHERE balance <> 0 OR debt <> 0") == 0
    assert count("SELECT count(*) FROM dust_lot WHERE remaining <> 0") == 0


@pytest.mark.system
def test_an_import_killed_halfway_can_be_undone_as_it_is(
    dust: Dust, settings: dict[str, str], owner: psycopg.Connection, tmp_path: Path
) -> None:
    kill_halfway(owner, settings, "import", imported(tmp_path, 2_000), "--trust-ids", "--batch", "moving")
    assert dust("import", "undo", "moving", "--json").json["customers"] == 1_000
    assert count("SELECT sum(balance) FROM dust_balance") == 0
    assert dust("import", "list", "--json").json[0]["rows"] == {"undone": 1_000, "dropped": 1_000}


@pytest.mark.usefixtures("settings")
def test_the_audit_sees_an_import_that_is_not_in_the_books(dust: Dust, tmp_path: Path) -> None:
    dust("import", write(tmp_path, "customer_id,balance", "cus_1,5"), "--trust-ids")
    with transaction() as connection:
        connection.execute(text("UPDATE import_row SET amount = 6"))
    breaches = dust("audit", "--json").json
    assert {(breach["check"], breach["subject"]) for breach in breaches} == {
        ("imports_are_in_the_ledger", "cus_1"),
        ("the_ledger_adds_up", "all customers"),
    }
    with transaction() as connection:
        connection.execute(text("UPDATE import_row SET amount = 5"))


@pytest.mark.usefixtures("settings")
def test_a_person_s_export_names_their_imports(dust: Dust, tmp_path: Path) -> None:
    from bridge.reports.customer_export import export_customer

    dust("import", write(tmp_path, "customer_id,balance", "cus_1,5"), "--trust-ids")
    with transaction() as connection:
        document = export_customer(connection, CustomerId("cus_1"))
    assert [(row["line"], row["amount"]) for row in json.loads(json.dumps(document["imports"], default=str))] == [
        (2, 5)
    ]
