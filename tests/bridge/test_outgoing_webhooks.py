"""Outgoing webhooks: written in the transaction that they report, sent at least once with one id, delaying nothing."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text, update
from typer.testing import CliRunner

from bridge.api import health
from bridge.cli import app
from bridge.cli import outgoing as command
from bridge.clock import now
from bridge.db import get_engine, transaction
from bridge.development.stack.processes import until
from bridge.ids import CustomerId
from bridge.inbox.erasure import erase_customer
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.outgoing_webhooks import announce_expiring
from bridge.medusa.client import get_medusa
from bridge.observability import metrics
from bridge.operations.doctor import processes
from bridge.operations.doctor.finding import Wrong
from bridge.outgoing import send as sending
from bridge.outgoing.outbox import OutgoingWebhook, add_webhooks
from bridge.outgoing.queries import list_webhooks, read_deliveries
from bridge.outgoing.send import send_waiting
from bridge.outgoing.tables import OutgoingWebhookType, outgoing_delivery, outgoing_sender, outgoing_webhook
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.queue.enqueue import OUTGOING_SEND
from bridge.redemptions.medusa_sync import advance
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.clock import moved
from tests.support.databases import waiting_for_locks
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, event, line, order, order_event
from tests.support.receiver import Receiver, status
from tests.support.scrape import scrape
from tests.support.settling import balance, set_rules, settle
from tests.support.store_api import redeemed
from workers import outgoing, upkeep


def rules(**earn: Any) -> None:
    with transaction() as connection:
        add_version(connection, Programme.model_validate({"earn": earn}), author="test", now=PLACED)


def earn(api: TestClient, order_id: str = "order_1", price: float = 500, **more: Any) -> None:
    deliver(api, order_event(order(order_id, lines=[line(price=price)], **more)))
    process_batch()


def write(*names: str) -> None:
    with transaction() as connection:
        add_webhooks(
            connection,
            [OutgoingWebhook(type=OutgoingWebhookType.FAILED, customer_id=None, data={"name": name}) for name in names],
            now=now(),
        )


def send(**how: float) -> int:
    return send_waiting(seconds=how.get("seconds", 20))


def states() -> list[str]:
    """Oldest first."""
    with transaction() as connection:
        return [webhook.state.value for webhook in reversed(list_webhooks(connection, limit=100))]


def names(receiver: Receiver) -> list[str]:
    return [received["data"]["name"] for received in receiver.got]


def test_an_earning_is_sent_with_ids_amounts_and_dates(api: TestClient, receiver: Receiver) -> None:
    rules(expires_after_days=365, pending_days=2)
    earn(api, placed=now())
    assert send() == 1
    (reported,) = receiver.got
    assert (reported["type"], reported["path"]) == ("dust.earned", "/dust")
    data = reported["data"]
    assert data["amount"] == data["pending"] == 500
    assert (data["balance"], data["available"]) == (0, 0)
    assert (data["customer_id"], data["reference_type"], data["reference_id"]) == ("cus_1", "order", "order_1")
    assert data["matures_at"] < data["expires_at"]
    assert data["transaction_id"].startswith("dtx_")
    assert "@" not in str(reported)


def test_a_redemption_is_sent_when_an_order_has_used_it(
    api: TestClient, receiver: Receiver, medusa: FakeMedusa
) -> None:
    earn(api)
    headers = {**tokens.customer(), "idempotency-key": "key"}
    response = api.post("/store/dust/redemptions", json={"dust": 100, "currency_code": "eur"}, headers=headers).json()
    code = advance(response["redemption"]["id"], get_medusa()).redemption.codes[0].code
    deliver(api, order_event(order("order_2", lines=[line(price=50, discount=1, code=code)])))
    process_batch()
    send()
    assert receiver.types == ["dust.earned", "dust.earned", "dust.redeemed"]
    data = receiver.got[2]["data"]
    assert (data["amount"], data["reference_id"]) == (100, response["redemption"]["id"])
    assert [received["data"]["version"] for received in receiver.got] == sorted(
        e["data"]["version"] for e in receiver.got
    )


def test_what_is_rolled_back_is_not_sent(receiver: Receiver) -> None:
    with suppress(ZeroDivisionError), transaction() as connection:
        add_webhooks(
            connection, [OutgoingWebhook(type=OutgoingWebhookType.FAILED, customer_id=None, data={})], now=now()
        )
        raise ZeroDivisionError
    assert states() == []


def test_without_a_receiver_no_webhook_is_written(api: TestClient) -> None:
    earn(api)
    assert states() == []
    assert send() == 0


def test_adjustments_and_reversals_send_no_webhook(api: TestClient, receiver: Receiver) -> None:
    with transaction() as connection:
        words = {"reason": "gift", "description": "", "idempotency_key": "k", "actor": "me"}
        adjust_balance(connection, CustomerId("cus_1"), 5, **words, now=now())
    earn(api)
    deliver(api, order_event(order(status="canceled", version=2), "order.canceled"))
    process_batch()
    send()
    assert receiver.types == ["dust.earned"]


def test_a_payment_that_only_sets_dates_sends_no_webhook(receiver: Receiver) -> None:
    rules(pending_until_paid=True, pending_days=30)
    unpaid = order(payment_status="authorized")
    settle(unpaid)
    summary = {"paid_total": 10, "refunded_total": 0, "transaction_total": 10}
    settle(unpaid | {"payment_status": "captured", "payment_collections": [], "summary": summary})
    assert (balance().pending, states()) == (10, ["waiting"])
    with moved(timedelta(days=31)):
        upkeep.mature_and_expire.apply()
    assert balance().balance == 10


def test_waived_points_send_no_webhook(api: TestClient, medusa: FakeMedusa, receiver: Receiver) -> None:
    set_rules(earn={"rates": {"eur": "100"}}, reversal={"negative_balance": "within_balance"})
    settle(order())
    code = redeemed(api, {"dust": 1000, "currency_code": "eur"})["code"]
    settle(order("order_2", lines=[line(price=10, discount=10, code=code)]))
    settle(order(status="canceled", version=2))
    assert (balance().balance, states()) == (0, ["waiting", "waiting"])


def test_more_lots_than_a_statement_has_parameters_are_announced(receiver: Receiver) -> None:
    rules(expires_after_days=5)
    lots = text(
        "INSERT INTO dust_lot (customer_id, id, source_type, source_id, amount, remaining, held, matured, expires_at,"
        " created_at, origin_version) SELECT 'cus_1', 'dlot_' || n, 'order', 'order_1', 1, 1, 0, true, :at, :now, 1"
        " FROM generate_series(1, 25000) n"
    )
    with transaction() as connection:
        connection.execute(lots, {"at": now() + timedelta(days=5), "now": now()})
        assert announce_expiring(connection, days=7, now=now(), customers=200) == 1
        assert announce_expiring(connection, days=7, now=now(), customers=200) == 0
        connection.rollback()


def test_dust_that_expires_is_sent_once_before_and_once_after(api: TestClient, receiver: Receiver) -> None:
    rules(expires_after_days=30)
    start = now()
    earn(api, "order_1", placed=start)
    earn(api, "order_2", placed=start)
    earn(api, "order_3", placed=start - timedelta(days=5), price=7)
    send()
    receiver.got.clear()
    with moved(timedelta(days=15)):
        assert outgoing.expiring.apply().get() == 1
        assert outgoing.expiring.apply().get() == 0
        send()
    # Of the first two only the day is not yet near; the third is 10 days from its end.
    assert [(received["type"], received["data"]["amount"]) for received in receiver.got] == [("dust.expiring", 7)]
    with moved(timedelta(days=20)):
        assert outgoing.expiring.apply().get() == 1
        send()
    assert receiver.got[1]["data"]["amount"] == 1000
    assert len(receiver.got[1]["data"]["lots"]) == 2
    with moved(timedelta(days=31)):
        upkeep.mature_and_expire.apply().get()
        send()
    assert [(received["type"], received["data"]["amount"]) for received in receiver.got[2:]] == [("dust.expired", 1007)]
    assert receiver.got[2]["data"]["balance"] == 0


def test_points_that_had_expired_when_they_were_booked_are_not_announced(api: TestClient, receiver: Receiver) -> None:
    rules(expires_after_days=30)
    earn(api, "order_old", placed=now() - timedelta(days=40))
    earn(api, "order_new", placed=now() - timedelta(days=20), price=7)
    upkeep.mature_and_expire.apply().get()
    send()
    assert [(received["type"], received["data"]["amount"]) for received in receiver.got] == [("dust.earned", 7)]


def test_expiry_is_not_announced_where_the_programme_says_never(api: TestClient, receiver: Receiver) -> None:
    rules(expires_after_days=30, expiry_notice_days=None)
    earn(api, placed=now())
    with moved(timedelta(days=29)):
        assert outgoing.expiring.apply().get() == 0


def test_two_sweeps_at_once_announce_a_lot_once(api: TestClient, receiver: Receiver, settings: dict[str, str]) -> None:
    rules(expires_after_days=5)
    earn(api, placed=now())
    with ThreadPoolExecutor() as pool:
        with transaction() as connection:
            assert announce_expiring(connection, days=7, now=now(), customers=1) == 1
            # A concurrent call reads the lots before this transaction has committed its marks.
            other = pool.submit(outgoing.expiring.apply)
            assert until(lambda: waiting_for_locks(settings["DUST_DATABASE_URL"]) == 1, 30)
        other.result()
    with transaction() as connection:
        assert len(list_webhooks(connection, type="dust.expiring", limit=100)) == 1


def test_a_lot_that_another_sweep_announces_between_two_queries_is_no_error(
    api: TestClient, receiver: Receiver
) -> None:
    rules(expires_after_days=5)
    earn(api, placed=now())

    with transaction() as connection:

        def announce_first(executing: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if executing is connection and statement.startswith("SELECT dust_lot.customer_id, dust_lot.id"):
                outgoing.expiring.apply()

        sqlalchemy.event.listen(get_engine(), "before_cursor_execute", announce_first)
        assert announce_expiring(connection, days=7, now=now(), customers=1) == 1
    sqlalchemy.event.remove(get_engine(), "before_cursor_execute", announce_first)
    with transaction() as connection:
        assert len(list_webhooks(connection, type="dust.expiring", limit=100)) == 1


def test_held_points_are_not_announced_as_expiring(api: TestClient, receiver: Receiver, medusa: FakeMedusa) -> None:
    rules(expires_after_days=5)
    earn(api, placed=now())
    headers = {**tokens.customer(), "idempotency-key": "key"}
    api.post("/store/dust/redemptions", json={"dust": 100, "currency_code": "eur"}, headers=headers).raise_for_status()
    assert outgoing.expiring.apply().get() == 1
    send()
    assert [(received["type"], received["data"]["amount"]) for received in receiver.got[-1:]] == [
        ("dust.expiring", 400)
    ]


def test_a_failed_event_and_a_refused_redemption_are_sent_to_the_shop(
    api: TestClient, receiver: Receiver, medusa: FakeMedusa
) -> None:
    deliver(api, event("order.placed", {"id": "order_none"}), event_id="msg_1")
    with pytest.raises(EventFailed):
        process_event("msg_1", get_medusa())
    earn(api)
    medusa.refuse_promotions = "jane@example.com may not"
    headers = {**tokens.customer(), "idempotency-key": "key"}
    response = api.post("/store/dust/redemptions", json={"dust": 100, "currency_code": "eur"}, headers=headers).json()
    advance(response["redemption"]["id"], get_medusa())
    send()
    failures = [received["data"] for received in receiver.got if received["type"] == "dust.failed"]
    assert failures[0] == {
        "what": "event", "event_id": "msg_1", "event_type": "order.placed", "subject": "order_none",
        "code": "unknown_in_medusa",
    }  # fmt: skip
    assert failures[1]["redemption_id"] == response["redemption"]["id"]
    assert "jane" not in str(receiver.got)


def test_outgoing_webhooks_go_out_in_the_order_in_which_they_were_written(receiver: Receiver) -> None:
    wanted = [f"{number:03}" for number in range(120)]
    write(*wanted[:60])
    write(*wanted[60:])
    assert send() == 120
    assert names(receiver) == wanted


def test_a_webhook_of_a_killed_sender_is_sent_again_with_the_same_id(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("one")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_store_delivery", die)
        with pytest.raises(KeyboardInterrupt):
            send()
    # The lease of the dead sender has to expire first.
    assert send() == 0
    with moved(timedelta(minutes=2)):
        assert send() == 1
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_of_two_senders_at_once_one_sends(receiver: Receiver) -> None:
    write(*(str(number) for number in range(50)))
    sent: list[int] = []
    threads = [threading.Thread(target=lambda: sent.append(send())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 50
    assert names(receiver) == [str(number) for number in range(50)]


def test_an_unavailable_address_is_not_called_and_gets_everything_when_it_is_back(receiver: Receiver) -> None:
    write("one", "two", "three")
    receiver.answer = status(503, b"we are sorry")
    assert send() == 0
    # The address is called once, and then not until its pause is over.
    assert send() == 0
    assert len(receiver.got) == 1
    receiver.answer = status(200)
    with moved(timedelta(minutes=10)):
        assert send() == 3
    assert sorted(names(receiver)[1:]) == ["one", "three", "two"]
    assert receiver.ids.count(receiver.ids[0]) == 2
    with transaction() as connection:
        log = read_deliveries(connection, receiver.ids[0])
    assert [(line.status, line.answer) for line in log] == [(503, "we are sorry"), (200, None)]


def test_all_webhooks_of_a_long_outage_arrive_soon_after_it(receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(503)
    for minutes in range(0, 600, 6):
        with moved(timedelta(minutes=minutes)):
            send()
    receiver.answer = status(200)
    with moved(timedelta(minutes=605)):
        assert send() == 1
    assert len(receiver.got) == 101


def test_an_address_may_stay_away_for_weeks(receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(503)
    send()
    with transaction() as connection:
        connection.execute(update(outgoing_webhook).values(attempts=5_000))
        connection.execute(update(outgoing_sender).values(failures=5_000))
    with moved(timedelta(minutes=5)):
        assert send() == 0
    receiver.answer = status(200)
    with moved(timedelta(minutes=10)):
        assert send() == 1


def test_an_address_that_stays_away_is_asked_less_and_less_often(receiver: Receiver) -> None:
    def rest_after(hours: int, code: int) -> float:
        receiver.answer = status(code)
        with moved(timedelta(hours=hours)):
            write(str(hours))
            send()
            with transaction() as connection:
                return (connection.scalars(select(outgoing_sender.c.free_at)).one() - now()).total_seconds()

    rests = [rest_after(hours, 503) for hours in range(10)]
    assert all(before < after for before, after in pairwise(rests[:7]))
    assert 0 < rests[0] < 3
    assert 170 < rests[8] <= 300
    assert 170 < rests[9] <= 300
    assert rest_after(11, 200) < 1
    assert rest_after(12, 503) < 3


def test_a_webhook_that_the_receiver_rejects_delays_no_other(receiver: Receiver) -> None:
    write("good", "bad", "fine")
    receiver.answer = lambda call: (422 if call["data"]["name"] == "bad" else 200, {}, b"")
    assert send() == 2
    assert states() == ["delivered", "waiting", "delivered"]


def test_410_ends_the_attempts_and_an_operator_can_send_it_again(api: TestClient, receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(410)
    assert send() == 0
    failed = api.get("/admin/dust/outgoing-webhooks?state=failed", headers=tokens.admin()).json()["outgoing_webhooks"]
    assert [(webhook["id"], webhook["reason"]) for webhook in failed] == [(receiver.ids[0], "Answered 410.")]
    receiver.answer = status(200)
    response = api.post(f"/admin/dust/outgoing-webhooks/{failed[0]['id']}/retry", headers=tokens.admin())
    assert (response.status_code, response.json()["retried"]) == (202, True)
    assert send() == 1
    detail = api.get(f"/admin/dust/outgoing-webhooks/{failed[0]['id']}", headers=tokens.admin()).json()
    assert detail["state"] == "delivered"
    assert [delivery["status"] for delivery in detail["deliveries"]] == [410, 200]
    # A delivered webhook can be sent again too, with the same id.
    api.post(f"/admin/dust/outgoing-webhooks/{failed[0]['id']}/retry", headers=tokens.admin())
    assert send() == 1
    assert len(set(receiver.ids)) == 1


@pytest.mark.parametrize("code", [500, 422])
def test_after_a_day_it_has_failed_with_its_reason_and_all_failed_can_be_sent_again(
    api: TestClient, receiver: Receiver, code: int
) -> None:
    write("one", "two", "three")
    receiver.answer = status(code)
    attempts = 0
    for hour in range(0, 26):
        with moved(timedelta(hours=hour)):
            send()
            attempts = len(receiver.got)
    assert states() == ["failed"] * 3
    assert attempts < 60
    with transaction() as connection:
        assert {webhook.reason for webhook in list_webhooks(connection, limit=9)} == {f"Answered {code}."}
    receiver.answer = status(200)
    with moved(timedelta(hours=26)):
        response = api.post("/admin/dust/outgoing-webhooks/retry", headers=tokens.admin())
        assert response.json()["retried"] == 3
        assert send() == 3


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(302, location=receiver.url + "/elsewhere")
    assert send() == 0
    assert [received["path"] for received in receiver.got] == ["/dust"]
    with transaction() as connection:
        (webhook,) = list_webhooks(connection, limit=1)
    assert "redirects are not followed" in str(webhook.reason)


def test_the_receiver_may_request_a_longer_pause(receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(429, retry_after="200")
    send()
    with moved(timedelta(seconds=150)):
        send()
    assert len(receiver.got) == 1
    with moved(timedelta(seconds=210)):
        send()
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    "retry_after",
    [
        "soon",
        "-1",
        "999999999999999999999",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
        "²",
    ],
)
def test_an_invalid_retry_after_is_ignored(receiver: Receiver, retry_after: str) -> None:
    write("one")
    receiver.answer = lambda _: (503, {"retry-after": retry_after.encode().decode("latin-1")}, b"")
    assert send() == 0
    assert states() == ["waiting"]


def test_long_answers_are_cut_and_secrets_in_them_struck_out(receiver: Receiver) -> None:
    write("one")
    receiver.answer = status(400, b"no \x00 such user jane@example.com \xff " + b"x" * 100_000)
    send()
    with transaction() as connection:
        (log,) = read_deliveries(connection, receiver.ids[0])
    assert str(log.answer).startswith("no  such user [email]")
    assert len(str(log.answer)) <= 500


def test_a_refused_connection_is_a_readable_reason(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    write("one")
    monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_URL", "http://127.0.0.1:1/")
    get_settings.cache_clear()
    assert send() == 0
    with transaction() as connection:
        (webhook,) = list_webhooks(connection, limit=1)
    assert str(webhook.reason).startswith("No answer (ConnectError")


def test_erasing_a_person_drops_what_was_sent_of_them(api: TestClient, receiver: Receiver) -> None:
    earn(api)
    earn(api, "order_2", customer_id="cus_2")
    receiver.answer = status(400, b"sent to a person")
    send()
    with transaction() as connection:
        erase_customer(connection, CustomerId("cus_1"), actor="test", now=now())
    with transaction() as connection:
        assert [webhook.customer_id for webhook in list_webhooks(connection, limit=9)] == ["cus_2"]
        assert connection.scalar(select(func.count()).select_from(outgoing_delivery)) == 1
    export = api.get("/admin/dust/customers/cus_2/export", headers=tokens.admin()).json()
    assert [webhook["type"] for webhook in export["outgoing_webhooks"]] == ["dust.earned"]


def test_outgoing_webhooks_older_than_a_month_are_dropped(receiver: Receiver) -> None:
    write("old")
    with moved(timedelta(days=20)):
        write("young")
        send()
    with moved(timedelta(days=31)):
        assert outgoing.prune.apply().get() == 1
    with transaction() as connection:
        assert connection.scalars(select(outgoing_webhook.c.data["name"].astext)).all() == ["young"]


def test_deliveries_are_paged_and_an_unknown_one_is_404(api: TestClient, receiver: Receiver) -> None:
    write("one", "two", "three")
    first = api.get("/admin/dust/outgoing-webhooks?limit=2", headers=tokens.admin()).json()
    rest = api.get(
        f"/admin/dust/outgoing-webhooks?limit=2&cursor={first['next_cursor']}", headers=tokens.admin()
    ).json()
    assert len(first["outgoing_webhooks"]) == 2
    assert len(rest["outgoing_webhooks"]) == 1
    assert rest["next_cursor"] is None
    response = api.get("/admin/dust/outgoing-webhooks/dwhk_none", headers=tokens.admin())
    assert (response.status_code, response.json()["code"]) == (404, "unknown_webhook")
    assert api.post("/admin/dust/outgoing-webhooks/retry").status_code == 401


def test_the_schema_describes_what_is_sent(api: TestClient) -> None:
    described = api.get("/openapi.json").json()["webhooks"]
    assert set(described) == {kind.value for kind in OutgoingWebhookType}


def dust(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["webhooks", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_command_lists_shows_and_sends_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    monkeypatch.setattr(command, "publish", published.append)
    write("one")
    receiver.answer = status(410, b"moved out")
    send()
    (webhook,) = json.loads(dust("--state", "failed", "--json"))
    assert "moved out" in dust(webhook["id"])
    assert json.loads(dust(webhook["id"], "--json"))["deliveries"][0]["status"] == 410
    assert json.loads(dust(webhook["id"], "--retry", "--json")) == {"retried": 1}
    assert "Nothing to do" in dust("--retry-failed")
    assert "Name the webhook" in dust("--retry")
    assert states() == ["waiting"]
    assert set(published) == {OUTGOING_SEND}


def test_the_doctor_says_what_the_receiver_answers(receiver: Receiver) -> None:
    assert processes._outgoing_webhooks(get_settings()) == "none has failed, and none waits for long"
    write("one")
    with moved(timedelta(hours=1)), pytest.raises(Wrong, match="waiting for 60 minutes"):
        processes._outgoing_webhooks(get_settings())
    receiver.answer = status(410)
    send()
    with pytest.raises(Wrong, match=r"webhooks: 1 \(Answered 410\.\)"):
        processes._outgoing_webhooks(get_settings())


def test_the_figures_of_what_waits_and_of_what_was_sent(
    api: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.start_over()
    health._registry.cache_clear()
    write("one", "two", "three")
    receiver.answer = lambda call: ({"one": 200, "two": 410, "three": 500}[call["data"]["name"]], {}, b"")
    send()
    with moved(timedelta(minutes=2)):
        metric = scrape(api)
    health._registry.cache_clear()
    assert metric("dust_outgoing_webhooks", state="waiting") == metric("dust_outgoing_webhooks", state="failed") == 1
    assert 110 < (metric("dust_outgoing_webhooks_oldest_waiting_seconds") or 0) < 200
    assert metric("dust_outgoing_webhooks_sent_total", type="dust.failed") == 1
    assert metric("dust_outgoing_webhooks_failed_total", status="500") == 1


def test_a_receiver_that_answers_one_byte_at_a_time_is_given_up_on(
    api: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte arrives within the timeout, and the response never ends."""
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    sent = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with closing(connection), suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: " + b"." * 1_000:
                connection.send(bytes([byte]))
                time.sleep(0.1)
                if sent.is_set():
                    return

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(drip, server)
        monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        get_settings.cache_clear()
        write("one")
        assert send() == 0
        sent.set()
    with transaction() as connection:
        attempt = connection.execute(select(outgoing_delivery)).one()
    assert (attempt.status, attempt.reason) == (None, "No answer within 0.5 seconds.")
