"""All that takes locks, on the same few orders and accounts, at once: no circle, no lost update, no second effect.

Threads in this process, as many as there are connections: what is looked for is between transactions, not processes.
"""

import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy
from fastapi.testclient import TestClient
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, ExceptionContext, text

import celeryconfig
from bridge.clock import now
from bridge.db import DatabaseAway, transaction
from bridge.errors import Conflict, DustError, Unavailable
from bridge.ids import CustomerId, new_id
from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.store import open_accounts
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.operations.audit import audit
from bridge.queue.enqueue import OUTGOING_EXPIRING, OUTGOING_SEND
from bridge.redemptions.repository import due_redemptions, list_redemptions
from bridge.redemptions.tables import RedemptionState
from bridge.settlement.referral_codes import own_code, state_code
from bridge.settlement.settle import settle_orders
from tests.support import clock, tokens
from tests.support.databases import deadlocks
from tests.support.deliveries import deliver
from tests.support.locks import way_of
from tests.support.medusa import FakeMedusa
from tests.support.order_histories import Life, order_lives
from tests.support.orders import event, line, order_event
from tests.support.receiver import Receiver
from workers import inbox, outgoing, redemptions, upkeep
from workers import reconcile as reconcile_worker
from workers.app import app

CUSTOMERS, ORDERS, THREADS, STEPS = 6, 30, 8, 30
IDS = [f"cus_{number:03}" for number in range(CUSTOMERS)]
PLAIN = {"earn": {"rates": {"eur": "1"}, "pending_days": 0, "expires_after_days": 40}}
# With everything that makes an order take more locks than its own and its customer's.
ALL_RULES = {
    "earn": {**PLAIN["earn"], "limits": {"per_day": 120}},
    "tiers": {"levels": [{"name": "Silver", "from": 50, "factor": "1.5"}]},
    "bonuses": {"signup": 5, "referral": {"referrer": 20, "referred": 10, "max_per_30_days": 3}},
    "guests": {"claim": "registration"},
}


class Crowd:
    """What its members may do; each of them at random, again and again."""

    def __init__(self, api: TestClient, lives: list[Life], seed: int) -> None:
        self.api = api
        self.lives = lives
        self.chance = random.Random(seed)

    def any_customer(self) -> str:
        return self.chance.choice(IDS)

    def settle_some(self) -> None:
        """Many orders in one transaction, in any order, each with any of its facts."""
        some = self.chance.sample(self.lives, 8)
        orders = [read_order(self.chance.choice(life.facts)) for life in some]
        with transaction() as connection:
            settle_orders(connection, orders, now=now())

    def move_orders(self) -> None:
        """Orders that go over to other customers: two accounts in one transaction."""
        moved = [read_order(self.of_another(life)) for life in self.chance.sample(self.lives, 4)]
        with transaction() as connection:
            settle_orders(connection, moved, now=now())

    def of_another(self, life: Life, who: str | None = None, **also: Any) -> dict[str, Any]:
        who = who or self.any_customer()
        whose = {"customer_id": who, "customer": {"id": who, "has_account": True}}
        return {**life.newest, "version": 10 + self.chance.randrange(5), **whose, **also}

    def hear(self) -> None:
        """Webhooks of all kinds, for any worker to process."""
        for life in self.chance.sample(self.lives, 5):
            with transaction() as connection:
                paid_with_dust = self.using_a_code(connection, life)
            facts = self.chance.choice([*life.facts, self.of_another(life), paid_with_dust])
            self.checked(deliver(self.api, order_event(facts)), {202})
        for kind in ("customer.created", "customer.deleted", "order.updated"):
            subject = self.chance.choice(self.lives).order_id if kind == "order.updated" else self.any_customer()
            self.checked(deliver(self.api, event(kind, {"id": subject})), {202})

    def using_a_code(self, connection: Connection, life: Life) -> dict[str, Any]:
        """The order, paid for with dust: with a code of its customer's, if there is an open one."""
        who = CustomerId(life.customer_id)
        open_ones = list_redemptions(connection, customer_id=who, state=RedemptionState.ACTIVE, limit=5)
        if not open_ones:
            return life.newest
        code = self.chance.choice(open_ones).codes[0]
        paid_with = line(price=100, discount=float(code.value or 1), code=code.code)
        return {**self.of_another(life, life.customer_id), "items": [paid_with]}

    def drain(self) -> None:
        for event_id in process_batch().split_off:
            inbox.handle.apply(args=[event_id])

    def guests(self) -> None:
        """Orders as a guest, and a customer who proves to support that they were the guest."""
        who = self.any_customer()
        email = f"{who}@shop.test"
        some = [
            read_order(self.of_another(life, customer={"id": who, "has_account": False}, email=email))
            for life in self.chance.sample(self.lives, 3)
        ]
        with transaction() as connection:
            settle_orders(connection, some, now=now())
        requested = {"email": email}
        # 409: the customer has been deleted meanwhile.
        self.ask("POST", f"/admin/dust/customers/{self.any_customer()}/claim", requested, tokens.admin(), {200, 409})
        upkeep.escrow.apply(throw=True)

    def refer(self) -> None:
        """A new customer uses a referral code, and pays an order."""
        new, referrer = CustomerId(f"cus_{self.chance.randrange(100, 130)}"), CustomerId(self.any_customer())
        with transaction() as connection, suppress(DustError):
            state_code(connection, new, own_code(connection, referrer, now=now()), now=now())
        paid = [self.of_another(life, new, payment_status="captured") for life in self.chance.sample(self.lives, 2)]
        with transaction() as connection:
            settle_orders(connection, map(read_order, paid), now=now())

    def adjust(self) -> None:
        with transaction() as connection:
            adjust_balance(
                connection, CustomerId(self.any_customer()), self.chance.choice([200, 50, -90]),
                reason="crowd", description="crowd", idempotency_key=new_id("key"), actor="test", now=now(),
            )  # fmt: skip

    def merge(self) -> None:
        """Two accounts become one, and two again."""
        one, other = self.chance.sample(IDS, 2)
        path = f"/admin/dust/customers/{one}"
        self.ask("POST", f"{path}/merge", {"into": other}, tokens.admin(), {200, 409})
        if self.chance.random() < 0.8:
            self.ask("POST", f"{path}/unmerge", {}, tokens.admin(), {200, 409})
        upkeep.carry_over.apply(throw=True)

    def redeem(self) -> None:
        who = self.any_customer()
        headers = {**tokens.customer(who), "Idempotency-Key": new_id("key")}
        requested = {"dust": self.chance.choice([10, 60]), "currency_code": "eur"}
        answer = self.ask("POST", "/store/dust/redemptions", requested, headers, {202, 409})
        if answer.status_code == 202:
            redemption_id = answer.json()["redemption"]["id"]
            redemptions.advance.apply(args=[redemption_id])
            if self.chance.random() < 0.5:
                life = next(life for life in self.lives if life.customer_id == who)
                with transaction() as connection:
                    settle_orders(connection, [read_order(self.using_a_code(connection, life))], now=now())
            if self.chance.random() < 0.3:
                # 409: an order has used it meanwhile.
                self.ask("DELETE", f"/store/dust/redemptions/{redemption_id}", None, headers, {200, 409})

    def erase(self) -> None:
        self.ask("POST", f"/admin/dust/customers/{self.any_customer()}/erase", {}, tokens.admin(), {200})

    def upkeep(self) -> None:
        """A customer's points expire, and the periodic jobs run."""
        who = CustomerId(self.any_customer())
        with transaction() as connection:
            open_accounts(connection, [who])
            over = text("UPDATE dust_lot SET expires_at = :now WHERE customer_id = :who AND random() < 0.3")
            connection.execute(over, {"who": who, "now": now()})
        for task in (
            upkeep.mature_and_expire,
            upkeep.fold_totals,
            upkeep.correct_future_times,
            upkeep.erase_late_data,
            upkeep.strip_old_bodies,
        ):
            task.apply(throw=True)

    def send_outgoing(self) -> None:
        for task in (outgoing.expiring, outgoing.send):
            task.apply(throw=True)

    def sweep(self) -> None:
        """Some codes are over; all of them locked in the order that everybody keeps."""
        with transaction() as connection:
            over = text(
                "WITH over AS MATERIALIZED (SELECT id FROM dust_redemption WHERE state = 'active' AND random() < 0.2"
                " ORDER BY id FOR UPDATE) UPDATE dust_redemption SET expires_at = :now WHERE id IN (TABLE over)"
            )
            connection.execute(over, {"now": now()})
        redemptions.sweep.apply(throw=True)
        with transaction() as connection:
            due = due_redemptions(connection, now=now(), limit=3)
        for redemption_id in due:
            redemptions.advance.apply(args=[redemption_id])

    def ask(self, method: str, path: str, requested: Any, headers: dict[str, str], fine: set[int]) -> httpx.Response:
        return self.checked(self.api.request(method, path, json=requested, headers=headers), fine)

    def checked(self, answer: httpx.Response, fine: set[int]) -> httpx.Response:
        if answer.status_code == 503:
            raise DatabaseAway
        assert answer.status_code in fine, answer.text
        return answer

    def everything(self) -> tuple[Callable[[], None], ...]:
        return (
            self.settle_some, self.settle_some, self.move_orders, self.hear, self.hear, self.drain, self.drain,
            self.guests, self.refer, self.adjust, self.adjust, self.merge, self.redeem, self.redeem, self.erase,
            self.upkeep, self.send_outgoing, self.sweep,
        )  # fmt: skip

    def steps(self, number: int) -> None:
        for _ in range(number):
            # Away and in conflict are answers; anything else is not.
            with suppress(Conflict, Unavailable):
                self.chance.choice(self.everything())()


@contextmanager
def deadlocks_noted() -> Iterator[list[str]]:
    """Every deadlock, and every lock that did not come, of this process: what Postgres says, and what each thread did.

    Postgres' own count comes late, and says of none what it was.
    """
    noted: list[str] = []

    def note(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, DeadlockDetected | LockNotAvailable):
            stacks = (traceback.extract_stack(frame) for frame in sys._current_frames().values())
            noted.append("\n  ".join([str(context.original_exception), *map(way_of, stacks)]))

    sqlalchemy.event.listen(Engine, "handle_error", note)
    try:
        yield noted
    finally:
        sqlalchemy.event.remove(Engine, "handle_error", note)


@pytest.mark.parametrize("rules", [PLAIN, ALL_RULES], ids=["plain", "all rules"])
def test_a_random_crowd_finds_no_deadlock(
    api: TestClient,
    medusa: FakeMedusa,
    receiver: Receiver,
    settings: dict[str, str],
    rules: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (redemptions, inbox, outgoing):
        monkeypatch.setattr(module, "publish", lambda *_, **__: True)
    lives = order_lives(ORDERS, customers=CUSTOMERS, chance=random.Random(7))
    medusa.orders = {life.order_id: life.newest for life in lives}
    for who in IDS:
        medusa.add_customer(who, f"{who}@shop.test")
    answer = api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    assert answer.is_success, answer.text
    # Time goes on: a lot must not expire in the very moment in which it was spent.
    with clock.running(), deadlocks_noted() as noted, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda seed: Crowd(api, lives, seed).steps(STEPS), range(THREADS)))
    assert noted == []
    assert deadlocks(settings["DUST_DATABASE_URL"]) == 0
    assert audit() == []
    with transaction() as connection:
        kinds = set(connection.execute(text("SELECT DISTINCT kind FROM dust_transaction")).scalars())
        failed = connection.execute(text("SELECT type, error_code, reason FROM webhook_event WHERE state = 'failed'"))
        assert failed.all() == []
    # It did what it is there for.
    assert kinds >= {"earn", "reverse", "adjust", "hold", "release", "redeem", "merge", "expire"}


def tasks_of_the_clock() -> list[Any]:
    """All tasks that beat sends; two of them only where outgoing webhooks have a receiver."""
    names = {entry["task"] for entry in celeryconfig.beat_schedule.values()} | {OUTGOING_SEND, OUTGOING_EXPIRING}
    app.loader.import_default_modules()
    return [app.tasks[name] for name in sorted(names)]


def test_two_of_every_beat_and_sweep_at_once_do_what_one_does(
    api: TestClient, medusa: FakeMedusa, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task of the clock, each twice at the same moment, over work that waits for all of them."""
    for module in (redemptions, inbox, outgoing, reconcile_worker):
        monkeypatch.setattr(module, "publish", lambda *_, **__: True)
    rules = {"earn": {"rates": {"eur": "1"}, "pending_days": 1, "expires_after_days": 3650, "expiry_notice_days": 3}}
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    lives = order_lives(ORDERS, customers=CUSTOMERS, chance=random.Random(8))
    medusa.orders = {life.order_id: life.newest for life in lives}
    for product in ("prod_1", "prod_2"):
        medusa.products[product] = {"id": product, "metadata": {}}
        requested = {"dust_only": True, "dust_price": 5}
        api.put(f"/admin/dust/products/{product}", json=requested, headers=tokens.admin())
    # Three times: what a round brings in or settles is the next one's work.
    for _ in range(3):
        for task in tasks_of_the_clock():
            twice_at_once(lambda task=task: task.apply(throw=True))
    with transaction() as connection:
        moments = {"then": now() - timedelta(minutes=1), "soon": now() + timedelta(days=1)}
        connection.execute(text("UPDATE dust_lot SET matures_at = :then, expires_at = :soon"), moments)
    for task in (upkeep.mature_and_expire, outgoing.expiring, outgoing.send):
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
    assert sum(verb == "POST" and path.startswith("/admin/products") for verb, path in medusa.calls) <= 4
    assert [product["metadata"]["dust_price"] for product in medusa.products.values()] == [5, 5]
    assert process_batch().taken == 0
    assert len(receiver.ids) == len(set(receiver.ids))
    assert receiver.types.count("dust.earned") == len(booked)
    lots = [lot["lot_id"] for received in receiver.got for lot in received["data"].get("lots", ())]
    assert 0 < len(lots) == len(set(lots))
    assert reconcile(get_medusa(), since=now() - timedelta(days=9_999)).drifted == []


def twice_at_once(do: Callable[[], Any]) -> None:
    start = threading.Barrier(2)

    def one(_: int) -> None:
        start.wait(30)
        do()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))
