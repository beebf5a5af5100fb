"""All that takes locks, on the same few orders and accounts, at once: no circle, no lost update, no second effect.

Threads in this process, as many as there are connections: what is looked for is between transactions, not processes.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

import celeryconfig
from bridge.audit import audit
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict, Unavailable
from bridge.ids import CustomerId, new_id
from bridge.inbox.drain import drain_once
from bridge.inbox.erasure import erase_customer
from bridge.inbox.reconcile import reconcile
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.book import open_accounts, save
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.settlement.settle import settle_orders
from bridge.wake import NOTICES_EXPIRING, NOTICES_SEND
from tests.concurrency.test_overdraft import deadlocks
from tests.support import tokens
from tests.support.lives import Life, order_lives
from tests.support.medusa import FakeMedusa
from tests.support.receiver import Receiver
from workers import inbox, notices, redemptions, upkeep
from workers import reconcile as reconcile_worker
from workers.app import app

CUSTOMERS, ORDERS, THREADS, STEPS = 6, 30, 8, 40


class Crowd:
    """What its members may do; each of them at random, again and again."""

    def __init__(self, api: TestClient, lives: list[Life], seed: int) -> None:
        self.api = api
        self.lives = lives
        self.chance = random.Random(seed)
        self.customers = [f"cus_{number:03}" for number in range(CUSTOMERS)]

    def settle_some(self) -> None:
        """Many orders in one transaction, in any order, each with any of its facts."""
        some = self.chance.sample(self.lives, 8)
        orders = [read_order(self.chance.choice(life.facts)) for life in some]
        with transaction() as connection:
            settle_orders(connection, orders, now=now())

    def move_orders(self) -> None:
        """Orders that go over to other customers: two accounts in one transaction."""
        some = self.chance.sample(self.lives, 4)
        moved = []
        for life in some:
            facts = {**life.newest, "version": 10 + self.chance.randrange(5)}
            who = self.chance.choice(self.customers)
            moved.append(read_order({**facts, "customer_id": who, "customer": {"id": who, "has_account": True}}))
        with transaction() as connection:
            settle_orders(connection, moved, now=now())

    def adjust(self) -> None:
        with transaction() as connection:
            adjust_balance(
                connection, CustomerId(self.chance.choice(self.customers)), self.chance.choice([200, 50, -90]),
                reason="crowd", description="crowd", idempotency_key=new_id("key"), actor="test", now=now(),
            )  # fmt: skip

    def merge(self) -> None:
        """What joining two customers takes: both accounts, in the order of their ids."""
        one, other = map(CustomerId, self.chance.sample(self.customers, 2))
        with transaction() as connection:
            accounts = open_accounts(connection, [one, other])
            for account in accounts.values():
                account.expire_due(now=now())
            save(connection, accounts.values())

    def redeem(self) -> None:
        who = self.chance.choice(self.customers)
        headers = {**tokens.customer(who), "Idempotency-Key": new_id("key")}
        wish = {"dust": self.chance.choice([10, 60]), "currency_code": "eur"}
        answer = self.api.post("/store/dust/redemptions", json=wish, headers=headers)
        assert answer.status_code in {202, 409}, answer.text
        if answer.status_code == 202:
            redemption_id = answer.json()["redemption"]["id"]
            redemptions.advance.apply(args=[redemption_id])
            if self.chance.random() < 0.5:
                released = self.api.delete(f"/store/dust/redemptions/{redemption_id}", headers=headers)
                assert released.status_code in {200, 503}, released.text

    def erase(self) -> None:
        with transaction() as connection:
            erase_customer(connection, CustomerId(self.chance.choice(self.customers)), actor="test", now=now())

    def upkeep(self) -> None:
        upkeep.mature_and_expire.apply(throw=True)
        upkeep.every_minute.apply(throw=True)

    def sweep(self) -> None:
        with transaction() as connection:
            connection.execute(
                text("UPDATE dust_redemption SET expires_at = now() WHERE state = 'active' AND random() < 0.2")
            )
        redemptions.sweep.apply(throw=True)

    def everything(self) -> tuple[Callable[[], None], ...]:
        return (
            self.settle_some, self.settle_some, self.move_orders, self.adjust, self.adjust, self.merge, self.redeem,
            self.erase, self.upkeep, self.sweep,
        )  # fmt: skip

    def steps(self, number: int) -> None:
        for _ in range(number):
            # Away and in conflict are answers; anything else is not.
            with suppress(Conflict, Unavailable):
                self.chance.choice(self.everything())()


def test_a_random_crowd_finds_no_deadlock(
    api: TestClient, medusa: FakeMedusa, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (redemptions, inbox):
        monkeypatch.setattr(module, "publish", lambda *_: True)
    lives = order_lives(ORDERS, customers=CUSTOMERS, chance=random.Random(7))
    # Somebody's dust is always about to mature or to expire.
    rules = {"earn": {"rates": {"eur": "1"}, "pending_days": 0, "expires_after_days": 40}}
    assert api.put("/admin/dust/programme", json=rules, headers=tokens.admin()).is_success
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda seed: Crowd(api, lives, seed).steps(STEPS), range(THREADS)))
    assert deadlocks(settings["DUST_DATABASE_URL"]) == 0
    assert audit() == []


def tasks_of_the_clock() -> list[Any]:
    """All that beat sends; two of them only where somebody listens to notices."""
    names = {entry["task"] for entry in celeryconfig.beat_schedule.values()} | {NOTICES_SEND, NOTICES_EXPIRING}
    app.loader.import_default_modules()
    return [app.tasks[name] for name in sorted(names)]


def test_two_of_every_beat_and_sweep_at_once_do_what_one_does(
    api: TestClient, medusa: FakeMedusa, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task of the clock, each twice at the same moment, over work that waits for all of them."""
    for module in (redemptions, inbox, notices, reconcile_worker):
        monkeypatch.setattr(module, "publish", lambda *_: True)
    rules = {"earn": {"rates": {"eur": "1"}, "pending_days": 1, "expires_after_days": 3650, "expiry_notice_days": 3}}
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    lives = order_lives(ORDERS, customers=CUSTOMERS, chance=random.Random(8))
    medusa.orders = {life.order_id: life.newest for life in lives}
    for product in ("prod_1", "prod_2"):
        medusa.products[product] = {"id": product, "metadata": {}}
        wish = {"dust_only": True, "dust_price": 5}
        api.put(f"/admin/dust/products/{product}", json=wish, headers=tokens.admin())
    # Three times: what a round brings in or settles is the next one's work.
    for _ in range(3):
        for task in tasks_of_the_clock():
            twice_at_once(lambda task=task: task.apply(throw=True))
    with transaction() as connection:
        moments = {"then": now() - timedelta(minutes=1), "soon": now() + timedelta(days=1)}
        connection.execute(text("UPDATE dust_lot SET matures_at = :then, expires_at = :soon"), moments)
    for task in (upkeep.mature_and_expire, notices.expiring, notices.send):
        twice_at_once(lambda task=task: task.apply(throw=True))
    with transaction() as connection:
        rows = connection.execute(
            text("SELECT reference_id, sum(amount + pending) AS dust, count(*) FILTER (WHERE kind = 'earn') AS earned"
                 " FROM dust_transaction WHERE kind IN ('earn', 'reverse') GROUP BY reference_id")
        )  # fmt: skip
        booked = {row.reference_id: (row.dust, row.earned) for row in rows}
        matured = connection.execute(
            text("SELECT count(*) FROM dust_transaction WHERE kind = 'mature' GROUP BY reference_id")
        ).scalars()
        assert set(matured) <= {1}
    assert booked == {life.order_id: (life.worth[-1], 1) for life in lives if life.worth[-1]}
    assert sum(path.startswith("/admin/products") for _, path in medusa.calls) <= 4
    assert [product["metadata"]["dust_price"] for product in medusa.products.values()] == [5, 5]
    assert drain_once().taken == 0
    assert len(receiver.ids) == len(set(receiver.ids))
    assert receiver.types.count("dust.earned") == len(booked)
    lots = [lot["lot_id"] for each in receiver.got for lot in each["data"].get("lots", ())]
    assert 0 < len(lots) == len(set(lots))
    assert reconcile(get_medusa(), since=now() - timedelta(days=9_999)).drifted == []


def twice_at_once(do: Callable[[], Any]) -> None:
    start = threading.Barrier(2)

    def one(_: int) -> None:
        start.wait(30)
        do()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))
