"""Outgoing webhooks in Medusa's real dashboard: a test, a replay, and a receiver that fails."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from bridge.clock import now
from bridge.development.stack.processes import until
from tests.support.dashboard import fill_moment, keep_checked
from tests.support.live_worlds import World
from tests.support.receiver import OUTGOING_WEBHOOK_SECRET, Receiver, receiving

pytestmark = pytest.mark.live


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    """The shop's own receiver, to which Dust sends."""
    with (
        receiving() as receiver,
        world.bridge.with_settings(
            outgoing_webhook_url=receiver.url, outgoing_webhook_secret=SecretStr(OUTGOING_WEBHOOK_SECRET)
        ),
    ):
        yield receiver


def test_a_merchant_tests_the_receiver_and_replays_what_it_lost(
    receiver: Receiver, dashboard: Page, world: World
) -> None:
    page, drawer = dashboard, dashboard.get_by_role("dialog")
    page.goto("/app/dust?tab=outgoing")
    receiver.answer = lambda _: (500, {}, b"out of order")
    page.get_by_role("button", name="Send a test").click()
    expect(drawer.get_by_text("dust.test").first).to_be_visible()
    expect(drawer.get_by_text("500").first).to_be_visible()
    keep_checked(page, "webhook-test-failed")
    page.keyboard.press("Escape")
    receiver.answer = lambda _: (204, {}, b"")
    page.get_by_role("button", name="Send a test").click()
    expect(drawer.get_by_text(" · 204 · ")).to_be_visible()
    keep_checked(page, "webhook-test")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    # The list was read before the webhook was sent, and is read again.
    expect(page.get_by_role("row").first.get_by_text("delivered")).to_be_visible(timeout=15_000)

    with world.shopper() as shopper:
        bonus = {"customer_ids": [shopper.customer_id], "amount": 70, "reason": "a gift"}
        world.bridge.ask("POST", "/admin/dust/bonuses", bonus, **{"Idempotency-Key": uuid.uuid4().hex})
        assert until(lambda: any(received["type"] != "dust.test" for received in receiver.got), 60)
    page.get_by_role("button", name="Replay a time window").click()
    expect(drawer.get_by_role("button", name="Count")).to_be_disabled()
    fill_moment(drawer, "Created since", now() + timedelta(days=2))
    drawer.get_by_role("button", name="Count").click()
    expect(drawer.get_by_text("0 webhooks would be sent again.")).to_be_visible()
    expect(drawer.get_by_role("button", name="again")).to_be_disabled()
    keep_checked(page, "webhook-replay-none")
    fill_moment(drawer, "Created since", now() - timedelta(hours=1))
    drawer.get_by_role("button", name="Count").click()
    send = drawer.get_by_role("button", name="again")
    expect(send).to_be_visible()
    keep_checked(page, "webhook-replay")
    sent = len(receiver.got)
    send.click()
    expect(drawer).to_have_count(0)
    assert until(lambda: len(receiver.got) > sent, 60)
    assert set(receiver.ids[sent:]) <= set(receiver.ids[:sent])
    keep_checked(page, "webhooks")
