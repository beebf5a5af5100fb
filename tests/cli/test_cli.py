"""The `dust` command: what it prints for people and for programs, and how it fails."""

import io
import json
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import typer.main
from pydantic import SecretStr
from sqlalchemy import text
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bridge.cli import app, main
from bridge.clock import now
from bridge.db import dispose_engine, transaction
from bridge.development.stack.processes import bound_socket
from bridge.inbox.events import read_event
from bridge.inbox.process_batch import process_batch
from bridge.inbox.receive import receive
from bridge.setting_types import webhook_key
from bridge.settings import get_settings
from tests.support import processes
from tests.support.commands import Dust
from tests.support.databases import count
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order
from tests.support.settling import set_rules, settle


def keep(body: bytes, event_id: str) -> None:
    with transaction() as connection:
        receive(connection, event_id, read_event(body), body, now=now())


def every_command() -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        commands += [(name, subcommand) for subcommand in inner] if inner else [(name,)]
    return commands


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_commands_help_shows_an_example_and_json(dust: Dust, command: tuple[str, ...]) -> None:
    result = dust(*command, "--help")
    assert result.code == 0
    assert "--json" in result.out
    _, _, example = " ".join(result.out.split()).partition("Example: ")
    assert f"dust {' '.join(command)}" in example


def test_the_first_commands_of_the_contract_are_there() -> None:
    assert {" ".join(command) for command in every_command()} >= {
        "up", "demo", "serve", "worker", "beat", "flower", "migrate", "secret", "trigger", "events", "retry",
        "balance", "history", "adjust", "product set", "reconcile", "audit",
    }  # fmt: skip


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("wrong", ["cus_1 ", "cus_1,", " cus_1", "ada@example.com", "", "c" * 256])
def test_points_are_given_to_no_customer_that_medusa_cannot_have(dust: Dust, wrong: str) -> None:
    """Copied with a space or a comma, an id is another customer's, and the points would be lost."""
    for command in (
        ("adjust", wrong, 50, "--reason", "gift"),
        ("bonus", "cus_2", wrong, "--amount", 50, "--reason", "gift"),
        ("merge", "cus_2", "--into", wrong),
        ("merge", wrong, "--into", "cus_2"),
        ("guests", "claim", wrong, "--email", "a@x.org"),
        ("balance", wrong),
        ("product", "set", wrong, "--price", 5),
    ):
        result = dust(*command)
        assert (result.code, "is not an id of Medusa" in " ".join(result.err.replace("│", "").split())) == (2, True), (
            command
        )
    assert count("SELECT count(*) FROM dust_balance") == count("SELECT count(*) FROM dust_product") == 0


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb"])
def test_a_key_is_as_the_api_takes_it(dust: Dust, key: str) -> None:
    assert dust("adjust", "cus_1", 50, "--reason", "gift", "--key", key).code == 2
    assert dust("bonus", "cus_1", "--amount", 50, "--reason", "gift", "--key", key).code == 2
    assert count("SELECT count(*) FROM dust_balance") == 0


@pytest.mark.usefixtures("settings")
def test_balance_history_and_adjust(dust: Dust) -> None:
    assert dust("balance", "cus_1").out == "0 points: 0 available, 0 held, 0 pending\n"
    assert "No transactions yet." in dust("history", "cus_1").out
    assert dust("adjust", "cus_1", 50, "--reason", "gift").out.startswith("+50 points, balance 50 (dtx_")
    debit = ["adjust", "cus_1", "-20", "--reason", "credited twice", "--key", "once", "--json"]
    result = dust(*debit)
    assert (result.json["amount"], result.json["balance_after"], result.json["reference_id"]) == (
        -20,
        30,
        "credited twice",
    )
    assert dust(*debit).json == result.json
    assert dust("balance", "cus_1", "--json").json["balance"] == 30
    assert [row["amount"] for row in dust("history", "cus_1", "--json").json] == [-20, 50]
    assert [row["amount"] for row in dust("history", "cus_1", "--limit", 1, "--json").json] == [-20]
    assert "50" in dust("history", "cus_1").out


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2027-05-01", "2027-05-01T00:00:00+00:00"),
        # They were seconds since 1970.
        ("20270501", "2027-05-01T00:00:00+00:00"),
        ("2027-05-01T08:00", "2027-05-01T08:00:00+00:00"),
        ("2027-05-01 08:00:30", "2027-05-01T08:00:30+00:00"),
        ("2027-05-01T08:00:00Z", "2027-05-01T08:00:00+00:00"),
        # The zone was dropped.
        ("2027-05-01T01:00+02:00", "2027-04-30T23:00:00+00:00"),
        ("2027-05-01T20:00:00.5-08:00", "2027-05-02T04:00:00.500000+00:00"),
    ],
)
def test_a_time_has_the_zone_that_is_written_or_utc(dust: Dust, written: str, moment: str) -> None:
    at = dust("report", "liability", "--at", written, "--json").json["at"]
    assert datetime.fromisoformat(at) == datetime.fromisoformat(moment)


@pytest.mark.usefixtures("settings")
def test_a_balance_names_the_last_day_of_points_in_the_shops_time_zone(dust: Dust) -> None:
    set_rules(time_zone="America/New_York", earn={"expires_after_days": 30})
    settle(order())
    assert "10 expire 2027-06-10" in dust("balance", "cus_1").out


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["adjust", "cus_1", "-1", "--reason", "r"], 1, "You need 1 point and have 0."),
        (["adjust", "cus_1", "0", "--reason", "r"], 1, "amount: must be a whole number"),
        (["adjust", "cus_1", "5", "--reason", " "], 1, "reason: is required"),
        (["adjust", "cus_1", "1.5", "--reason", "r"], 2, "valid integer"),
        (["adjust", "cus_1", "5"], 2, "--reason"),
        (["bonus", "cus_1", "--amount", "0", "--reason", "r"], 2, "--amount"),
        (["bonus", "cus_1", "--amount", "5", "--reason", " "], 1, "reason: is required"),
        (["product", "set", "prod_1", "--price", "0"], 2, "--price"),
        (["product", "set", "prod_1"], 2, "--price"),
        (["retry"], 1, "Give an event id, or --all-failed."),
        (["retry", "msg_1", "--all-failed"], 1, "Give an event id, or --all-failed."),
        (["retry", "msg_0"], 1, "There is no event msg_0."),
        (["events", "--state", "lost"], 2, "lost"),
        (["reconcile", "--since", "yesterday"], 2, "valid datetime"),
        (["reconcile", "--since", "1764547200"], 2, "'1764547200' is not a valid datetime: write 2026-12-01"),
        (["report", "liability", "--at", "17.5"], 2, "is not a valid datetime"),
        (["trigger", "order.placed", "--order", "/nowhere.json"], 2, "/nowhere.json"),
        (["trigger", "order.placed", "--url", "http://127.0.0.1:1"], 1, "Nothing answers at http://127.0.0.1:1"),
        (["trigger", "order.placed", "--url", "http://shop..example"], 1, "Nothing answers at http://shop..example"),
        (["trigger", "order.placed", "--url", "ht!tp"], 1, "Nothing answers at ht!tp"),
        (["balance", "cus_\udcff"], 1, "dust: Argument 2 is not UTF-8."),
        (["adjust", "cus_1", "5", "--reason", "\ud800"], 1, "dust: Argument 5 is not UTF-8."),
        (["migrate", "--revision", "later"], 1, "There is no revision later"),
        (["export", "/dev/full"], 1, "dust: No space left on device: /dev/full"),
        (["export", "/nowhere/points.csv"], 1, "dust: No such file or directory: /nowhere/points.csv"),
        (["worker", "--queues", "redemption"], 1, "there is no queue 'redemption'. The queues are events,"),
        (["worker", "--queues", "events,,medusa"], 1, "there is no queue ''"),
        (["report", "movements", "--until", "0001-01-01"], 1, "must be in the years 1900 to 2999"),
        (["report", "movements", "--since", "9999-12-01", "--until", "9999-12-31", "--by", "month"], 1, "1900 to 2999"),
        (["report", "marketing", "--from", "0001-01-01"], 1, "from: must not be before 2000-01-01"),
        (["report", "liability", "--at", "0001-01-01"], 1, "1900 to 2999"),
        (["reconcile", "--since", "9999-12-31"], 1, "1900 to 2999"),
        (["backfill", "--until", "0001-01-01", "--dry-run"], 1, "1900 to 2999"),
        (["fly"], 2, "fly"),
        (["balance"], 2, "CUSTOMER"),
    ],
)
def test_a_wrong_call_is_reported_in_plain_words(dust: Dust, words: list[str], code: int, complaint: str) -> None:
    result = dust(*words)
    assert (result.code, result.out) == (code, "")
    assert complaint.lower() in " ".join(result.err.replace("│", " ").split()).lower(), result.err


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\x00\xff\xfe", b"", b"[]", b"null"])
@pytest.mark.parametrize(
    "command",
    [("programme", "check"), ("import",), ("scenario",), ("trigger", "order.placed", "--order")],
    ids=lambda words: words[0],
)
def test_a_file_of_anything_is_reported_in_plain_words(
    dust: Dust, settings: dict[str, str], tmp_path: Path, command: tuple[str, ...], content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    result = dust(*command, file)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("dust: ")


@pytest.mark.usefixtures("settings")
def test_trigger_at_a_server_that_is_not_dust(dust: Dust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpx.post", lambda *_, **__: httpx.Response(200, html="<html>A page</html>"))
    result = dust("trigger", "order.placed", "--url", "http://shop.test")
    assert (result.code, "http://shop.test is not Dust (200)" in result.err) == (1, True)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("host", "options", "address"),
    [
        ("::", [], "http://[::1]:8600"),
        ("::1", [], "http://[::1]:8600"),
        ("0.0.0.0", [], "http://127.0.0.1:8600"),
        ("0.0.0.0", ["--url", "http://dust.test/"], "http://dust.test"),
    ],
)
def test_trigger_calls_the_api_where_it_listens(
    dust: Dust, monkeypatch: pytest.MonkeyPatch, host: str, options: list[str], address: str
) -> None:
    called: list[tuple[str, bool]] = []

    def post(url: str, *, trust_env: bool, **_: Any) -> httpx.Response:
        called.append((url, trust_env))
        return httpx.Response(202, json={})

    monkeypatch.setenv("DUST_HOST", host)
    get_settings.cache_clear()
    monkeypatch.setattr("httpx.post", post)
    assert dust("trigger", "order.placed", *options).code == 0
    # Only another machine can be behind a proxy.
    assert called == [(f"{address}/webhooks/medusa", bool(options))]


@pytest.mark.usefixtures("settings", "dust")
@pytest.mark.parametrize(("is_terminal", "mark"), [(False, "✗".encode()), (True, b"\\u2717")])
def test_an_output_without_unicode(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, mark: bytes) -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding="latin-1")
    out.isatty = lambda: is_terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "argv", ["dust", "doctor"])
    with pytest.raises(SystemExit):
        main()
    out.flush()
    assert mark + b" broker: DUST_BROKER_URL is not set" in written.getvalue()


@pytest.mark.usefixtures("settings")
def test_a_misspelt_variable_is_named_beside_the_output(dust: Dust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUST_RATE_LIMT_PUBLIC", "5/minute")
    result = dust("balance", "cus_1", "--json")
    assert result.err == "dust: DUST_RATE_LIMT_PUBLIC is no setting: is DUST_RATE_LIMIT_PUBLIC meant?\n"
    assert result.json["balance"] == 0


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("answer", ["[]", "7", "null", '"ok"', "[" * 100_000])
def test_trigger_at_a_program_with_other_json(dust: Dust, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("httpx.post", lambda *_, **__: httpx.Response(200, text=answer))
    result = dust("trigger", "order.placed", "--url", "http://shop.test", "--json")
    assert (result.code, "http://shop.test is not Dust (200)" in result.err) == (1, True)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("words", ["[/b] sorry", "for [red]", "[link=x]", "with :gift: and [bold]"])
def test_text_in_brackets_or_colons_is_shown_as_it_is(dust: Dust, tmp_path: Path, words: str) -> None:
    assert dust("adjust", "cus_1", 5, "--reason", words, "--description", words).code == 0
    assert [row["description"] for row in dust("history", "cus_1", "--json").json] == [words]
    # A narrow terminal breaks the cells.
    shown = "".join(dust("history", "cus_1").out.replace("│", " ").split())
    assert all(word in shown for word in words.split())
    file = tmp_path / words.replace("/", "")
    result = dust("export", file)
    assert (result.code, "".join(file.name.split()) in "".join(result.out.split())) == (0, True)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(("option", "most"), [("--reason", 200), ("--description", 500)])
def test_texts_are_as_long_as_the_api_takes_them(dust: Dust, option: str, most: int) -> None:
    given = {"--reason": "gift", option: "ü" * most}
    assert dust("adjust", "cus_1", 5, *sum(given.items(), ())).code == 0
    assert dust("bonus", "cus_1", "--amount", 5, *sum(given.items(), ())).code == 0
    given[option] += "ü"
    for command in (["adjust", "cus_1", 5], ["bonus", "cus_1", "--amount", 5]):
        result = dust(*command, *sum(given.items(), ()))
        assert (result.code, f"at most {most} characters" in result.err) == (2, True)
    assert dust("balance", "cus_1", "--json").json["balance"] == 10


@pytest.mark.usefixtures("settings")
def test_bonus(dust: Dust) -> None:
    give = ["bonus", "cus_2", "cus_1", "--amount", 50, "--reason", "birthday", "--key", "once"]
    assert [line.partition(" (")[0] for line in dust(*give).out.splitlines()] == [
        "cus_1: +50 points, balance 50",
        "cus_2: +50 points, balance 50",
    ]
    assert len(dust(*give, "--json").json["transactions"]) == 2
    assert dust("balance", "cus_2", "--json").json["balance"] == 50


@pytest.mark.usefixtures("settings")
def test_product_set(dust: Dust) -> None:
    result = dust("product", "set", "prod_1", "--price", 500, "--dust-only")
    assert result.out == "prod_1: 500 points, points only\n"
    # No Medusa answers in this test.
    assert "could not be asked whether all variants" in result.err
    result = dust("product", "set", "prod_1", "--price", 400, "--json")
    assert result.json == {"product_id": "prod_1", "dust_only": False, "dust_price": 400}


def test_product_set_refuses_variants_that_differ_in_price(dust: Dust, medusa: FakeMedusa) -> None:
    medusa.add_product("prod_1", 10, 100)
    result = dust("product", "set", "prod_1", "--price", 500)
    assert (result.code, result.out) == (1, "")
    assert "Size 0 10.00 EUR, Size 1 100.00 EUR" in " ".join(result.err.split())
    medusa.add_product("prod_1", 10, 10)
    result = dust("product", "set", "prod_1", "--price", 500)
    assert (result.code, result.err) == (0, "")


@pytest.mark.usefixtures("settings")
def test_events_and_retry(dust: Dust) -> None:
    assert dust("events").out == "There is none.\n"
    keep(event("order.placed", {"id": "order_1"}), "msg_1")
    keep(event("cart.updated", {}), "msg_2")
    with transaction() as connection:
        connection.execute(
            text("UPDATE webhook_event SET state = 'failed', reason = 'no', next_attempt_at = NULL WHERE id = 'msg_1'")
        )
    assert [row["id"] for row in dust("events", "--json").json] == ["msg_2", "msg_1"]
    failed = dust("events", "--state", "failed", "--json").json
    assert [(row["id"], row["state"], row["reason"]) for row in failed] == [("msg_1", "failed", "no")]
    assert "msg_2" in dust("events", "--type", "cart.updated").out
    assert dust("retry", "msg_1").out.startswith("1 will be processed again")
    assert dust("retry", "msg_1", "--json").json == {"retried": 0}
    assert dust("retry", "--all-failed", "--json").json == {"retried": 0}


def test_reconcile_says_what_it_found(dust: Dust, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    since = f"{now() - timedelta(days=20):%Y-%m-%d}"
    output = " ".join(dust("reconcile", "--since", since, "--dry-run").out.split())
    assert f"1 orders seen since {since} 00:00; 1 orders and 0 customers would be stored." in output
    assert dust("reconcile", "--since", since, "--json").json["drifted"] == ["order_1"]
    process_batch()
    assert dust("reconcile", "--since", since, "--json").json["drifted"] == []
    medusa.away = True
    said_away = dust("reconcile")
    assert said_away.code == 1
    assert said_away.err.startswith("dust: Medusa answered 503")


@pytest.mark.usefixtures("settings")
def test_audit_names_what_it_checked_and_every_breach(dust: Dust) -> None:
    dust("adjust", "cus_1", 50, "--reason", "gift")
    result = dust("audit")
    assert result.code == 0
    assert "✓ balance is sum of rows" in result.out
    assert dust("audit", "--json").json == []
    with transaction() as connection:
        connection.execute(text("UPDATE dust_balance SET balance = 51"))
    result = dust("audit", "--json")
    assert result.code == 1
    assert {breach["check"] for breach in result.json} == {"balance_is_sum_of_rows", "lots_are_the_balance"}
    assert {breach["subject"] for breach in result.json} == {"cus_1"}
    result = dust("audit")
    assert result.code == 1
    assert "cus_1" in result.out
    with transaction() as connection:
        connection.execute(text("UPDATE dust_balance SET balance = 50"))


def test_a_secret_is_new_each_time_and_one_that_settings_take(dust: Dust, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = dust("secret").out.strip(), dust("secret").out.strip()
    assert first != second
    monkeypatch.setenv("DUST_WEBHOOK_SECRETS", f"{first},{second}")
    get_settings.cache_clear()
    secrets = get_settings().webhook_secrets
    get_settings.cache_clear()
    assert [len(webhook_key(secret)) for secret in secrets] == [32, 32]


@pytest.mark.usefixtures("settings")
def test_a_secret_a_token_the_rules_and_the_schema_are_json_for_programs(dust: Dust) -> None:
    assert len(webhook_key(SecretStr(dust("secret", "--json").json["secret"]))) == 32
    assert dust("token", "cus_1", "--json").json["token"].startswith("eyJ")
    assert dust("programme", "show", "--json").json == dust("programme", "show").json
    assert dust("openapi", "--json").json == dust("openapi").json


@pytest.mark.usefixtures("settings")
def test_a_server_that_is_started_with_json_logs_json(dust: Dust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    monkeypatch.setenv("DUST_PORT", "0")
    for more, log_format in (([], "console"), (["--json"], "json")):
        monkeypatch.setenv("DUST_LOG_FORMAT", "console")
        get_settings.cache_clear()
        assert dust("serve", *more).code == 0
        assert get_settings().log_format == log_format


@pytest.mark.system
def test_trigger_sends_what_a_real_server_takes(dust: Dust, settings: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({"order": order("order_7")}))
    with processes.serving_dust(settings) as url:
        assert dust("trigger", "order.placed", "--customer", "cus_1", "--url", url).out.startswith("202 accepted msg_")
        assert dust("trigger", "order.placed", "--order", file, "--url", url, "--json").json["status"] == "accepted"
        assert dust("trigger", "cart.updated", "--url", url, "--json").json["status"] == "ignored"
        result = dust("trigger", "order placed", "--url", url)
        assert (result.code, result.out[:4]) == (1, "400 ")
    process_batch()
    assert dust("balance", "cus_1", "--json").json["balance"] == 20 + 10
    file.write_text("[]")
    result = dust("trigger", "order.placed", "--order", file)
    assert (result.code, "is not the JSON of an order" in result.err) == (1, True)


@pytest.mark.parametrize("command", [["balance", "cus_1"], ["audit"], ["events"], ["migrate"]])
def test_missing_settings_are_named_with_exit_code_two(dust: Dust, command: list[str]) -> None:
    get_settings.cache_clear()
    result = dust(*command)
    get_settings.cache_clear()
    assert (result.code, result.out, result.err) == (2, "", "dust: DUST_DATABASE_URL is not set\n")


def test_an_unreachable_database_is_reported_in_plain_words(
    dust: Dust, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(url: str) -> None:
        monkeypatch.setenv("DUST_DATABASE_URL", url)
        get_settings.cache_clear()
        dispose_engine()

    use("postgresql://nobody@127.0.0.1:1/none")
    try:
        for command in (["balance", "cus_1"], ["migrate"], ["migrate", "--check"]):
            result = dust(*command)
            assert (result.code, result.out) == (1, ""), command
            assert result.err.startswith("dust: The database is out of reach"), command
    finally:
        use(settings["DUST_DATABASE_URL"])


def test_the_api_keeps_connections_longer_than_a_proxy_and_trusts_only_known_ones(
    dust: Dust, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_PORT", "0")
    monkeypatch.setenv("DUST_TRUSTED_PROXIES", "10.0.0.1, 10.1.0.0/16, 10.2.0.5/16, 2001:db8::1")
    get_settings.cache_clear()
    served: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda _app, **options: served.update(options))
    assert dust("serve").code == 0
    # nginx keeps a connection to a server for 60 s, and so does the load balancer of AWS.
    assert served["timeout_keep_alive"] > 60
    trusted = ProxyHeadersMiddleware(None, served["forwarded_allow_ips"]).trusted_hosts
    for address in ("10.0.0.1", "10.1.2.3", "10.2.0.7", "::ffff:10.0.0.1", "::ffff:10.1.2.3", "2001:db8::1"):
        assert address in trusted
    for address in ("10.0.0.2", "127.0.0.1", "::ffff:10.0.0.2", "2001:db8::2", "unix"):
        assert address not in trusted


def test_all_proxies_are_trusted_if_one_of_them_is_a_star(
    dust: Dust, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_PORT", "0")
    monkeypatch.setenv("DUST_TRUSTED_PROXIES", "127.0.0.1,*")
    get_settings.cache_clear()
    served: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda _app, **options: served.update(options))
    assert dust("serve").code == 0
    assert served["forwarded_allow_ips"] == "*"


def test_an_address_that_cannot_be_listened_on_names_its_setting(
    dust: Dust, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("uvicorn names no setting"))

    def complaint(host: str, port: int) -> str:
        monkeypatch.setenv("DUST_HOST", host)
        monkeypatch.setenv("DUST_PORT", str(port))
        get_settings.cache_clear()
        result = dust("serve")
        assert (result.code, result.out) == (1, "")
        return result.err

    with bound_socket() as other:
        other.listen()
        port = other.getsockname()[1]
        expected = f"dust: cannot listen on 127.0.0.1:{port} (Address already in use): set DUST_PORT\n"
        assert complaint("127.0.0.1", port) == expected
    # An address for documentation (RFC 5737), which no machine has.
    assert complaint("192.0.2.1", 8600).endswith("set DUST_HOST\n")


def test_responses_of_an_inherited_socket_leave_at_once(
    dust: Dust, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    with bound_socket() as listening, socket.socket() as client:
        assert dust("serve", "--fd", str(listening.fileno())).code == 0
        listening.listen()
        client.connect(listening.getsockname())
        with listening.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("settings")
def test_migrate_and_its_check(dust: Dust) -> None:
    assert dust("migrate", "--check").out == "✓ migrations and models are in step\n"
    assert dust("migrate", "--check", "--json").json == {"differences": []}
    assert dust("migrate").out.startswith("database at ")
    assert dust("migrate", "--json").json == {"revision": "0001", "was": "0001"}


def test_migrate_says_what_to_do_with_a_database_of_an_unreleased_version(dust: Dust, settings: dict[str, str]) -> None:
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0027'")
    result = dust("migrate")
    assert (result.code, result.out) == (1, "")
    assert "is at 0027, which this version of Dust does not know." in result.err
    assert "start with an empty database" in result.err
    assert "Traceback" not in result.err
    assert "which this version does not know" in dust("doctor").out


@pytest.mark.system
def test_the_command_starts_without_the_web_framework() -> None:
    """FastAPI takes a second to import, which `dust --help` should not wait for."""
    code = "import sys, bridge.cli; sys.exit('fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
