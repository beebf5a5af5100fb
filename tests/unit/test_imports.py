"""Files of balances, as spreadsheets and other programmes make them."""

import codecs
import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.imports.presets import PresetName
from bridge.imports.reading import Reading, UnreadableImport, read_balances, rows_at
from bridge.ledger.postings import MAX_DUST

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read(text: str | bytes, preset: PresetName = PresetName.PLAIN) -> Reading:
    return read_balances(text if isinstance(text, bytes) else text.encode(), preset, now=NOW)


def who_and_how_much(reading: Reading) -> list[tuple[str | None, int]]:
    assert reading.problems == []
    return [(entry.customer_id or entry.email, entry.amount) for entry in reading.entries]


def problems(reading: Reading) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.field, problem.message.partition(":")[0]) for problem in reading.problems]


TWO = [("cus_1", 5), ("cus_2", 7)]


@pytest.mark.parametrize(
    "text",
    [
        "customer_id,balance\ncus_1,5\ncus_2,7\n",
        "customer_id,balance\r\ncus_1,5\r\ncus_2,7",
        "Balance;CUSTOMER ID\n5;cus_1\n7;cus_2\n",
        "customer-id\tnotes\tPoints\ncus_1\ta, b\t5\ncus_2\t\t7\n",
        '"customer_id","balance"\n"cus_1","5"\n\n , \n" cus_2 "," 7"\n',
        "sep=;\r\ncustomer_id;balance\r\ncus_1;+5\r\ncus_2;7.00\r\n",
        '\n\ncustomer_id,balance,notes\ncus_1,5,"two\nlines"\ncus_2,7,\u2028\n',
        codecs.BOM_UTF8 + b"customer_id,balance\ncus_1,5\ncus_2,7\n",
        "customer_id|balance\ncus_1|5\ncus_2|7\n".encode("utf-16"),
        "customer_id,balance,town\ncus_1,5,Köln\ncus_2,7,Ulm\n".encode("latin-1"),
        "customer_id,balance\ncus_1,5,,\ncus_2,7,\n",
    ],
)
def test_files_saved_by_spreadsheets_are_accepted(text: str | bytes) -> None:
    assert who_and_how_much(read(text)) == TWO


@pytest.mark.parametrize(
    ("preset", "text"),
    [
        (PresetName.SMILE, "email,points\na@x.org,5\n"),
        (PresetName.SMILE, "First name,Email,Points balance,VIP tier\nA,a@x.org,5,Gold\n"),
        (PresetName.YOTPO, "Full Name,Email,Points Balance,Points Spent\nA B,a@x.org,5,99\n"),
        (PresetName.YOTPO, "Emails,Points\na@x.org,5\n"),
        (PresetName.LOYALTYLION, "merchant_id,email,points_approved,points_pending\n1001,a@x.org,5,40\n"),
        (PresetName.LOYALTYLION, "email,points\na@x.org,5\n"),
        (PresetName.PLAIN, "email,balance\na@x.org,5\n"),
    ],
)
def test_each_preset_knows_its_columns(preset: PresetName, text: str) -> None:
    reading = read(text, preset)
    assert who_and_how_much(reading) == [("a@x.org", 5)]
    assert reading.left_out == (40 if "pending" in text else 0)


def test_lots_have_dates_of_their_own() -> None:
    reading = read(
        "customer_id,amount,earned_at,expires_at,matures_at\n"
        "cus_1,5,2026-01-02,2026-12-31,\n"
        "cus_1,6,2026-01-02T03:04:05+01:00,2027-01-01T00:00:00Z,2026-12-01\n"
    )
    first, second = reading.entries
    assert reading.has_lots
    # A day ends when it is over: dust that expires on New Year's Eve can be spent on it.
    assert (first.earned_at, first.expires_at) == (
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC) - timedelta.resolution,
    )
    assert second.earned_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert second.matures_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_each_wrong_row_is_named_by_line_field_and_fix() -> None:
    reading = read(
        b"customer_id,email,amount,earned_at,expires_at\n"
        b"cus_1,,-5,,\n"  # 2
        b"cus_1,,1.5,,\n"
        b"cus_1,,1000000000001,,\n"
        b'cus_1,,"1,250",,\n'
        b"cus_1,,,,\n"
        b",,5,,\n"
        b",nobody,5,,\n"
        b"cus 1,,5,,\n"
        b"cus_1,,5\n"  # 10
        b"cus_1,,5,,,x\n"
        b"cus_1,,5,01/02/2026,\n"
        b"cus_1,,5,2027-01-01,\n"
        b"cus_1,,5,,2026-11-21\n"
        b",caf\xe9@x.org,5,,\n"
        b"cus_1,,five,,\n"
        b"cus_1,,\xd9\xa5,,\n"
        b"cus_1,,nan,,\n"
        b"cus_1,,0,,\n"
        b"cus_1,,5,,\n"
    )
    assert problems(reading) == [
        (2, "amount", "is below zero"),
        (3, "amount", "is a fraction"),
        (4, "amount", f"is more than {MAX_DUST}"),
        (5, "amount", "is not a whole number"),
        (6, "amount", "is empty"),
        (7, "email", "is empty"),
        (8, "email", "is not an e-mail address"),
        (9, "customer_id", "is not an id of Medusa"),
        (10, "row", "has 3 cells where the first line names 5"),
        (11, "row", "has 6 cells where the first line names 5"),
        (12, "earned_at", "is not a date"),
        (13, "earned_at", "is still to come"),
        (14, "expires_at", "is over, so there is nothing to bring"),
        (15, "email", "is not UTF-8"),
        (16, "amount", "is not a whole number"),
        (17, "amount", "is not a whole number"),
        (18, "amount", "is not a whole number"),
    ]
    assert all(problem.message.partition(": ")[2] for problem in reading.problems)
    assert (reading.zeros, [entry.line for entry in reading.entries]) == (1, [20])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("column", ["earned_at", "matures_at", "expires_at"])
@pytest.mark.parametrize(
    "moment",
    [
        "9999-12-31",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59-12:00",
        "3000-01-02",
        "0001-01-01",
        "0001-01-01T00:00:00+14:00",
        "1899-12-30",
    ],
)
def test_a_date_that_some_time_zone_cannot_show_is_refused(column: str, moment: str, zone: str) -> None:
    """9999-12-31 is how other programs write never."""
    file = f"customer_id,amount,{column}\ncus_1,5,{moment}\n".encode()
    reading = read_balances(file, PresetName.PLAIN, now=NOW, time_zone=zone)
    assert problems(reading) == [(2, column, "is not in the years 1900 to 2999")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("customer_id\ncus_1\n", "needs customer_id or email, and amount or balance or points or dust."),
        ("email,points balance\na@x.org,5\n", "They fit --preset smile."),
        ("customer_id,balance,Balance\ncus_1,5,6\n", "Two columns are called balance"),
        ("customer_id,balance,amount\ncus_1,5,6\n", "keep one"),
        ('customer_id,balance\ncus_1,"5\n' + "x" * 200_000, "Line 2 cannot be read"),
    ],
)
def test_a_file_without_rows_or_columns_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnreadableImport) as refused:
        read(text)
    assert why in refused.value.message


def test_lines_are_those_of_the_file_though_a_cell_has_several() -> None:
    text = 'customer_id,notes,balance\ncus_1,"a\nb\nc",5\ncus_2,,-1\n\ncus_3,,x\n'
    assert [line for line, _, _ in problems(read(text))] == [5, 7]
    assert [line for line, _ in rows_at(text.encode(), PresetName.PLAIN, {5, 7})] == [1, 5, 7]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)


@given(
    rows=st.lists(st.tuples(st.from_regex(r"\Acus_[0-9A-Z]{1,10}\Z"), CELLS, st.integers(1, MAX_DUST)), max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
)
def test_what_a_csv_writer_writes_is_read(
    rows: list[tuple[str, str, int]], delimiter: str, end: str, mark: bool
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(("customer_id", "note", "balance"))
    writer.writerows(rows)
    reading = read(out.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    assert who_and_how_much(reading) == [(customer, dust) for customer, _, dust in rows]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(content: bytes) -> None:
    for start in (b"", b"customer_id,amount,expires_at\n", b"email;balance\n"):
        try:
            reading = read(start + content)
        except UnreadableImport:
            continue
        assert all(0 < entry.amount <= MAX_DUST for entry in reading.entries)
