"""Whatever ids, headers and bodies contain, a log has one line for each event, and no control characters."""

import io
import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import structlog
from fastapi.testclient import TestClient

from bridge.inbox.process_batch import process_batch
from bridge.observability.logs import set_up_logs
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.deliveries import deliver, signed_headers
from tests.support.orders import event, order, order_event

FORGED = '{"level": "critical", "event": "forged"}'
NASTY = [f"\n{FORGED}", f"\r\n{FORGED}", f"\u2028{FORGED}", f"%0a{FORGED}", "\x1b[2J\x1b[31m", "\x08", "\x85", "\x00"]


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, api: TestClient) -> Iterator[io.StringIO]:
    """The lines that are logged from now on, in each format."""
    monkeypatch.setenv("DUST_LOG_FORMAT", request.param)
    get_settings.cache_clear()
    before, root = structlog.get_config(), logging.getLogger()
    handlers = root.handlers
    set_up_logs(get_settings())
    buffer = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(buffer)
    yield buffer
    structlog.configure(**before)
    root.handlers = handlers


def send(api: TestClient, nasty: str) -> None:
    """Send the text in every place of a request that takes text."""
    raw = nasty.encode()
    path = quote(f"cus_1{nasty}")
    api.get(f"/store/dust/redemptions/{path}", headers=tokens.customer())
    api.get(f"/{path}", headers={"x-request-id": raw, "traceparent": raw})  # type: ignore[arg-type]
    api.get("/store/dust", headers=tokens.customer(f"cus_1{nasty}"))
    given = {"amount": 5, "reason": f"gift{nasty}"}
    headers = {**tokens.admin(), "Idempotency-Key": quote(nasty)}
    api.post("/admin/dust/customers/cus_1/adjustments", json=given, headers=headers)
    body = order_event(order())
    signed: dict[str, str | bytes] = {**signed_headers(body), "webhook-id": raw}
    api.post("/webhooks/medusa", content=body, headers=signed)  # type: ignore[arg-type]
    deliver(api, event(f"order.placed{nasty}", {"id": "order_1"}))
    deliver(api, event("order.placed", {"id": f"order_1{nasty}"}))
    deliver(api, event("payment.captured", {"id": "pay_1", "order": {"id": f"order_1{nasty}"}}))
    strange = order("order_2")
    strange["currency_code"] = f"eur{nasty}"
    strange["items"][0]["id"] = f"item{nasty}"
    deliver(api, order_event(strange))


def test_no_input_creates_another_log_line(api: TestClient, log: io.StringIO) -> None:
    for nasty in NASTY:
        send(api, nasty)
    process_batch()
    for nasty in NASTY:
        logging.getLogger("a.library").warning("it was told %s", nasty)
    text = log.getvalue()
    # Colours are our own; nothing else may begin with an escape.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]", plain), plain
    lines = plain.split("\n")[:-1]
    assert lines
    if get_settings().log_format == "json":
        assert all(json.loads(line)["event"] != "forged" for line in lines)
    assert not any(line.startswith(FORGED) for line in lines), plain
