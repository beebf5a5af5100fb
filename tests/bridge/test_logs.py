"""Log lines say which event, order, customer, task and request they are about, and nothing about the person."""

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from celery.utils.log import get_task_logger
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import transaction
from bridge.inbox import process_one
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, RetryLater, process_event
from bridge.observability.logs import redact
from bridge.queue import enqueue
from tests.support import secret_patterns, tokens
from tests.support.deliveries import OTHER_WEBHOOK_SECRET, WEBHOOK_SECRET, deliver, signed_headers
from tests.support.medusa import API_KEY, FakeMedusa
from tests.support.orders import event, line, order, order_event
from workers import inbox as inbox_tasks
from workers import redemptions, upkeep

EMAIL = "jane.doe+shop@example.co.uk"


class Lines:
    """The logged lines, a dictionary for each."""

    def __init__(self, buffer: io.StringIO) -> None:
        self._buffer = buffer

    @property
    def text(self) -> str:
        return self._buffer.getvalue()

    def of(self, name: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.text.splitlines()) if line["event"] == name]

    def one(self, name: str) -> dict[str, Any]:
        (logged,) = self.of(name)
        return logged


@pytest.fixture
def lines(api: TestClient) -> Iterator[Lines]:
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    buffer = io.StringIO()
    before = handler.setStream(buffer)
    yield Lines(buffer)
    handler.setStream(before)


def test_the_webhook_endpoint_logs_request_event_and_order(api: TestClient, lines: Lines) -> None:
    response = deliver(api, order_event(order()), event_id="msg_1")
    logged = lines.one("event_received")
    assert logged["request_id"] == response.headers["x-request-id"]
    assert (logged["event_id"], logged["order_id"], logged["type"]) == ("msg_1", "order_1", "order.placed")


def test_a_proxy_s_request_id_is_kept_and_any_other_text_is_not(api: TestClient) -> None:
    assert api.get("/health/live", headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"
    for odd in ("a b", "x" * 65, "line\tbreak", "é"):
        response = api.get("/health/live", headers={"x-request-id": odd.encode()})
        assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "broken"), [("/store/dust", "read_points"), ("/store/dust/balance", "balance_response")]
)
def test_the_answer_to_a_fault_names_its_log_line_and_is_not_stored(
    api: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch, path: str, broken: str
) -> None:
    monkeypatch.setattr(f"bridge.api.store.balance.{broken}", lambda *_: 1 / 0)
    response = api.get(path, headers=tokens.customer())
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.headers["x-request-id"] == lines.one("unexpected_error")["request_id"]
    assert response.headers["cache-control"] == "private, no-store"


class FullDisk(io.StringIO):
    def write(self, _line: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_fails_no_request(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    full = logging.StreamHandler(FullDisk())
    monkeypatch.setattr(logging.getLogger(), "handlers", [full])
    monkeypatch.setattr(logging, "raiseExceptions", False)
    assert deliver(api, order_event(order())).status_code == 202


def test_the_ids_of_a_request_are_not_in_the_log_lines_of_the_next(api: TestClient, lines: Lines) -> None:
    deliver(api, order_event(order()), event_id="msg_1")
    deliver(api, event("customer.created", {"id": "cus_9"}), event_id="msg_2")
    second = lines.of("event_received")[1]
    assert (second["event_id"], second["customer_id"]) == ("msg_2", "cus_9")
    assert "order_id" not in second


def test_a_batch_is_one_line_that_names_each_event(api: TestClient, lines: Lines) -> None:
    for number in range(3):
        deliver(api, order_event(order(f"order_{number}", customer_id=f"cus_{number}")), event_id=f"msg_{number}")
    process_batch()
    logged = lines.one("events_handled")
    assert logged["number"] == 3
    assert {"event_id": "msg_1", "order_id": "order_1", "customer_id": "cus_1"} in logged["events"]


def test_an_event_in_its_own_task_is_logged_with_order_and_customer(
    api: TestClient, medusa: FakeMedusa, lines: Lines
) -> None:
    medusa.orders["order_1"] = order()
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    process_event("msg_1")
    logged = lines.one("event_handled")
    assert (logged["event_id"], logged["order_id"], logged["customer_id"]) == ("msg_1", "order_1", "cus_1")


def test_each_line_of_a_task_names_the_task(api: TestClient, medusa: FakeMedusa, lines: Lines) -> None:
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    failed = inbox_tasks.handle.apply(args=["msg_1"], task_id="task-1")
    assert isinstance(failed.result, EventFailed)
    logged = lines.one("event_failed")
    assert (logged["task_id"], logged["task"]) == ("task-1", "inbox.handle")
    assert (logged["event_id"], logged["order_id"]) == ("msg_1", "order_1")
    upkeep.fold_totals.apply(task_id="task-2")
    get_task_logger(__name__).warning("between tasks")
    assert "task_id" not in lines.one("between tasks")


def test_an_event_that_is_failed_from_outside_is_named_too(api: TestClient, lines: Lines) -> None:
    deliver(api, event("payment.captured", {"id": "pay_1"}), event_id="msg_1")
    process_one.fail_event("msg_1", "its worker was killed")
    logged = lines.one("event_failed")
    assert (logged["event_id"], logged["payment_id"]) == ("msg_1", "pay_1")


def test_the_customer_and_the_redemption_are_named(api: TestClient, medusa: FakeMedusa, lines: Lines) -> None:
    redemption = hold_dust(api)
    medusa.refuse_promotions = "no such currency"
    redemptions.advance.apply(args=[redemption], task_id="task-1")
    logged = lines.one("redemption_ended")
    assert (logged["redemption_id"], logged["customer_id"], logged["state"]) == (redemption, "cus_1", "failed")
    assert logged["task_id"] == "task-1"


def hold_dust(api: TestClient) -> str:
    deliver(api, order_event(order(lines=[line(price=500)])))
    process_batch()
    headers = {**tokens.customer(), "idempotency-key": "key"}
    response = api.post("/store/dust/redemptions", json={"dust": 100, "currency_code": "eur"}, headers=headers)
    return str(response.json()["redemption"]["id"])


def test_a_whole_flow_with_its_failures_logs_no_person_and_no_secret(
    api: TestClient, medusa: FakeMedusa, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = {**order(lines=[line(price=500)]), "email": EMAIL}
    body = order_event(person)
    deliver(api, body, event_id="msg_1")
    api.post("/webhooks/medusa", content=body, headers=signed_headers(body, secret=OTHER_WEBHOOK_SECRET))
    process_batch()
    customer = tokens.customer()
    headers = {**customer, "idempotency-key": "key"}
    requested = {"dust": 100, "currency_code": "eur"}
    redemption = api.post("/store/dust/redemptions", json=requested, headers=headers).json()["redemption"]
    redemptions.advance.apply(args=[redemption["id"]])
    code = next(iter(medusa.live_codes()))
    medusa.refuse_promotions = f"A customer with email {EMAIL} and key {API_KEY} has it already"
    second = api.post("/store/dust/redemptions", json=requested, headers={**headers, "idempotency-key": "other"}).json()
    redemptions.advance.apply(args=[second["redemption"]["id"]])
    api.get("/store/dust", headers={"authorization": customer["authorization"] + "x"})
    # Medusa is away, an order is unknown to it, and an error of Dust quotes its input.
    deliver(api, event("order.placed", {"id": "order_9", "email": EMAIL}), event_id="msg_2")
    medusa.away = True
    with pytest.raises(RetryLater):
        process_event("msg_2")
    medusa.away = False

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(f"{EMAIL} {customer['authorization']} {WEBHOOK_SECRET} {API_KEY} {code}")

    monkeypatch.setattr(process_one, "order_of_event", broken)
    with pytest.raises(EventFailed):
        process_event("msg_2")
    monkeypatch.setattr("bridge.api.admin.events.list_events", broken)
    assert api.get("/admin/dust/events", headers=tokens.admin()).status_code == 500
    upkeep.audit.apply()
    assert len(lines.text.splitlines()) > 10
    for name in ("event_broke", "unexpected_error", "redemption_ended", "event_rescheduled"):
        assert lines.of(name), name
    for pattern in secret_patterns.NOT_FOR_LOGS:
        assert not re.search(pattern, lines.text), re.search(pattern, lines.text)
    assert code not in lines.text
    assert tokens.ADMIN_TOKEN not in lines.text


@pytest.mark.parametrize(
    ("line_", "expected"),
    [
        ("mail to a.b+c@shop.example failed", "mail to [email] failed"),
        ("task_id=sk_y and task_1", "task_id=sk_y and task_1"),
        ("at postgresql://dust:pa55word@db:5432/dust", "at postgresql://[login]@db:5432/dust"),
        ("key sk_0123456789abcdef.", "key [secret]."),
        ("whsec_c3VwZXItc2VjcmV0", "[secret]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [token]"),
        ("DUST-0123456789ABCDEF is used", "[code] is used"),
        ("order_01J9ZK3V5C of cus_01J9ZK3V5C", "order_01J9ZK3V5C of cus_01J9ZK3V5C"),
        ("celery@worker-1 ready", "celery@worker-1 ready"),
        ("to jörg@bücher.example.", "to [email]."),
        ("to 'jo@xn--bcher-kva.example'", "to [email]'"),
        ("to <ユーザー@例え。テスト>", "to <[email]>"),
        ("to उपयोगकर्ता@उदाहरण.परीक्षा now", "to [email] now"),
        ("to bu\u0308cher@bu\u0308cher.example", "to [email]"),
        ("to o'brien@shop.example", "to [email]"),
        ("?q=jo%40b%C3%BCcher.example&limit=5", "?q=[email]&limit=5"),
        ("at amqp://dust:p@ss@one:5672", "at amqp://[login]@one:5672"),
        ("{'authorization': 'Basic c2tfdGVzdF8wMTIzNDU2Nzg5Og=='}", "{'authorization': 'Basic [secret]'}"),
        ("{'authorization': 'bearer abc.def'}", "{'authorization': 'bearer [token]'}"),
    ],
)
def test_secrets_and_personal_data_are_redacted(line_: str, expected: str) -> None:
    assert redact(line_) == expected


@pytest.mark.parametrize("text_", ["a" * 200_000 + "@", "a'" * 100_000 + "@", "a" * 200_000 + "%40", "a@" * 100_000])
def test_redaction_of_long_texts_takes_linear_time(text_: str) -> None:
    started = time.process_time()
    redact(text_)
    assert time.process_time() - started < 0.5


def test_a_token_is_redacted_anywhere_in_a_line() -> None:
    assert redact(f"got {tokens.token()} from") == "got [jwt] from"


@pytest.mark.parametrize(
    ("secret", "mark"),
    [
        (EMAIL, "[email]"),
        ("jörg@bücher.example", "[email]"),
        ("nina@例え。テスト", "[email]"),
        (tokens.token(), "[jwt]"),
        (API_KEY, "[secret]"),
        ("DUST-0123456789ABCDEF", "[code]"),
    ],
)
def test_escaped_characters_do_not_prevent_redaction(lines: Lines, secret: str, mark: str) -> None:
    task_log = get_task_logger("bridge.test")
    for before in (" ", "\n", "\t", "\r\n", '"', "\\", "ü\n"):
        try:
            raise ValueError(f"cannot read{before}{secret}")
        except ValueError:
            structlog.get_logger("bridge.test").exception(
                f"said{before}{secret}", given=[{"a": (f"{before}{secret}",)}]
            )
            task_log.exception("said%s%s", before, secret)
        for line_ in lines.text.splitlines()[-2:]:
            logged = json.loads(line_)
            assert logged["event"] == f"said{before}{mark}"
            assert logged["exception"].endswith(f"cannot read{before}{mark}")
            assert secret not in line_
            assert secret.encode("unicode-escape").decode() not in line_
    assert len(lines.text.splitlines()) == 14


def test_errors_of_the_database_come_without_values(
    api: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        with transaction() as connection:
            connection.execute(text("SELECT 1 / 0 WHERE :name <> ''"), {"name": " ".join(["Jane", "Doe"])})

    monkeypatch.setattr("bridge.api.admin.events.list_events", broken)
    api.get("/admin/dust/events", headers=tokens.admin())
    assert "Jane Doe" not in lines.text
    assert "division by zero" in lines.text


def test_what_celery_repeats_while_the_broker_is_away_is_logged_once_a_minute(
    api: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = time.monotonic()
    monkeypatch.setattr("bridge.observability.logs.time.monotonic", lambda: seconds)
    lost, sent = "consumer: Connection to broker lost.", "Scheduler: Sending due task %s"
    for _ in range(10):
        logging.getLogger("celery.worker.consumer.consumer").warning(lost)
        logging.getLogger("celery.beat").info(sent, "inbox.drain")
    assert (len(lines.of(lost)), len(lines.of(sent % "inbox.drain"))) == (1, 10)
    seconds += 60
    logging.getLogger("celery.worker.consumer.consumer").warning(lost)
    assert len(lines.of(lost)) == 2


def test_a_broker_that_is_away_is_logged_when_that_begins_and_when_it_ends(
    api: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Publisher:
        away = True

        def send_task(self, *_: Any, **__: Any) -> None:
            if self.away:
                raise ConnectionError

    publisher = Publisher()
    monkeypatch.setattr(enqueue, "_publisher", lambda: publisher)
    monkeypatch.setattr(enqueue, "_broker_away", False)
    assert [enqueue.publish(enqueue.INBOX_DRAIN) for _ in range(3)] == [False, False, False]
    publisher.away = False
    assert [enqueue.publish(enqueue.INBOX_DRAIN) for _ in range(3)] == [True, True, True]
    assert lines.one("message_not_sent")["error"] == "ConnectionError"
    assert lines.one("messages_sent_again")["task"] == "inbox.drain"
