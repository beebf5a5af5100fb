"""Everything that takes locks runs concurrently on a few orders and accounts: no deadlock, lost or repeated update.

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
from tests.support.locks import own_stack
from tests.support.medusa import FakeMedusa
from tests.support.order_histories import OrderHistory, order_histories
from tests.support.orders import event, line, order_event
from tests.support.receiver import Receiver
from workers import inbox, outgoing, redemptions, upkeep
from workers import reconcile as reconcile_worker
from workers.app import app

CUSTOMERS, ORDERS, THREADS, STEPS = 6, 30, 8, 30
IDS = [f"cus_{number:03}" for number in range(CUSTOMERS)]
PLAIN = {"earn": {"rates": {"eur": "1"}, "pending_days": 0, "expires_after_days": 40}}
# These rules make an order take more locks than its own and its customer's.
ALL_RULES = {
    "earn": {**PLAIN["earn"], "limits": {"per_day": 120}},
    "tiers": {"levels": [{"name": "Silver", "from": 50, "factor": "1.5"}]},
    "bonuses": {"signup": 5, "referral": {"referrer": 20, "referred": 10, "max_per_30_days": 3}},
    "guests": {"claim": "registration"},
}


class Crowd:
    """The actions that the threads repeat at random."""

    def __init__(self, api: TestClient, histories: list[OrderHistory], seed: int) -> None:
        self.api = api
        self.histories = histories
        self.chance = random.Random(seed)

    def any_customer(self) -> str:
        return self.chance.choice(IDS)

    def settle_some(self) -> None:
        """Many orders in one transaction, in any order, each with any of its facts."""
        some = self.chance.sample(self.histories, 8)
        orders = [read_order(self.chance.choice(history.facts)) for history in some]
        with transaction() as connection:
            settle_orders(connection, orders, now=now())

    def move_orders(self) -> None:
        """Settle orders that were transferred to other customers: two accounts in one transaction."""
        moved = [read_order(self.of_another(history)) for history in self.chance.sample(self.histories, 4)]
        with transaction() as connection:
            settle_orders(connection, moved, now=now())

    def of_another(self, history: OrderHistory, customer_id: str | None = None, **also: Any) -> dict[str, Any]:
        customer_id = customer_id or self.any_customer()
        whose = {"customer_id": customer_id, "customer": {"id": customer_id, "has_account": True}}
        return {**history.newest, "version": 10 + self.chance.randrange(5), **whose, **also}

    def deliver_webhooks(self) -> None:
        """Webhooks of all kinds, for any worker to process."""
        for history in self.chance.sample(self.histories, 5):
            with transaction() as connection:
                paid_with_dust = self.using_a_code(connection, history)
            facts = self.chance.choice([*history.facts, self.of_another(history), paid_with_dust])
            self.checked(deliver(self.api, order_event(facts)), {202})
        for kind in ("customer.created", "customer.deleted", "order.updated"):
            subject = self.chance.choice(self.histories).order_id if kind == "order.updated" else self.any_customer()
            self.checked(deliver(self.api, event(kind, {"id": subject})), {202})

    def using_a_code(self, connection: Connection, history: OrderHistory) -> dict[str, Any]:
        """The order with an open code of its customer, if there is one."""
        customer_id = CustomerId(history.customer_id)
        open_ones = list_redemptions(connection, customer_id=customer_id, state=RedemptionState.ACTIVE, limit=5)
        if not open_ones:
            return history.newest
        code = self.chance.choice(open_ones).codes[0]
        paid_with = line(price=100, discount=float(code.value or 1), code=code.code)
        return {**self.of_another(history, history.customer_id), "items": [paid_with]}

    def drain(self) -> None:
        for event_id in process_batch().split_off:
            inbox.handle.apply(args=[event_id])

    def guests(self) -> None:
        """Orders as a guest, and a customer who proves to support that they were the guest."""
        customer_id = self.any_customer()
        email = f"{customer_id}@shop.test"
        some = [
            read_order(self.of_another(history, customer={"id": customer_id, "has_account": False}, email=email))
            for history in self.chance.sample(self.histories, 3)
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
        paid = [
            self.of_another(history, new, payment_status="captured")
            for history in self.chance.sample(self.histories, 2)
        ]
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
        customer_id, survivor_id = self.chance.sample(IDS, 2)
        path = f"/admin/dust/customers/{customer_id}"
        self.ask("POST", f"{path}/merge", {"into": survivor_id}, tokens.admin(), {200, 409})
        if self.chance.random() < 0.8:
            self.ask("POST", f"{path}/unmerge", {}, tokens.admin(), {200, 409})
        upkeep.carry_over.apply(throw=True)

    def redeem(self) -> None:
        customer_id = self.any_customer()
        headers = {**tokens.customer(customer_id), "Idempotency-Key": new_id("key")}
        requested = {"dust": self.chance.choice([10, 60]), "currency_code": "eur"}
        response = self.ask("POST", "/store/dust/redemptions", requested, headers, {202, 409})
        if response.status_code == 202:
            redemption_id = response.json()["redemption"]["id"]
            redemptions.advance.apply(args=[redemption_id])
            if self.chance.random() < 0.5:
                history = next(history for history in self.histories if history.customer_id == customer_id)
                with transaction() as connection:
                    settle_orders(connection, [read_order(self.using_a_code(connection, history))], now=now())
            if self.chance.random() < 0.3:
                # 409: an order has used it meanwhile.
                self.ask("DELETE", f"/store/dust/redemptions/{redemption_id}", None, headers, {200, 409})

    def erase(self) -> None:
        self.ask("POST", f"/admin/dust/customers/{self.any_customer()}/erase", {}, tokens.admin(), {200})

    def upkeep(self) -> None:
        """A customer's points expire, and the periodic jobs run."""
        customer_id = CustomerId(self.any_customer())
        with transaction() as connection:
            open_accounts(connection, [customer_id])
            over = text("UPDATE dust_lot SET expires_at = :now WHERE customer_id = :who AND random() < 0.3")
            connection.execute(over, {"who": customer_id, "now": now()})
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
        """Some redemptions expire. Their rows are locked in the common order."""
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

    def checked(self, response: httpx.Response, fine: set[int]) -> httpx.Response:
        if response.status_code == 503:
            raise DatabaseAway
        assert response.status_code in fine, response.text
        return response

    def everything(self) -> tuple[Callable[[], None], ...]:
        return (
            self.settle_some, self.settle_some, self.move_orders, self.deliver_webhooks, self.deliver_webhooks,
            self.drain, self.drain, self.guests, self.refer, self.adjust, self.adjust, self.merge, self.redeem,
            self.redeem, self.erase, self.upkeep, self.send_outgoing, self.sweep,
        )  # fmt: skip

    def steps(self, number: int) -> None:
        for _ in range(number):
            # Unavailable and conflict are expected errors; all others are not.
            with suppress(Conflict, Unavailable):
                self.chance.choice(self.everything())()


@contextmanager
def deadlocks_noted() -> Iterator[list[str]]:
    """Every deadlock and lock timeout of this process: Postgres' message, and what each thread did.

    Postgres' own count is delayed and has no details.
    """
    noted: list[str] = []

    def note(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, DeadlockDetected | LockNotAvailable):
            stacks = (traceback.extract_stack(frame) for frame in sys._current_frames().values())
            noted.append("\n  ".join([str(context.original_exception), *map(own_stack, stacks)]))

    sqlalchemy.event.listen(Engine, "handle_error", note)
    try:
        yield noted
    finally:
        sqlalchemy.event.remove(Engine, "handle_error", note)


@pytest.mark.parametrize("rules", [PLAIN, ALL_RULES], ids=["plain", "all rules"])
def test_random_concurrent_actions_cause_no_deadlock(
    api: TestClient,
    medusa: FakeMedusa,
    receiver: Receiver,
    settings: dict[str, str],
    rules: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (redemptions, inbox, outgoing):
        monkeypatch.setattr(module, "publish", lambda *_, **__: True)
    histories = order_histories(ORDERS, customers=CUSTOMERS, chance=random.Random(7))
    medusa.orders = {history.order_id: history.newest for history in histories}
    for customer_id in IDS:
        medusa.add_customer(customer_id, f"{customer_id}@shop.test")
    response = api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    assert response.is_success, response.text
    # The clock runs: a lot must not expire in the same moment in which it was spent.
    with clock.running(), deadlocks_noted() as noted, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda seed: Crowd(api, histories, seed).steps(STEPS), range(THREADS)))
    assert noted == []
    assert deadlocks(settings["DUST_DATABASE_URL"]) == 0
    assert audit() == []
    with transaction() as connection:
        kinds = set(connection.execute(text("SELECT DISTINCT kind FROM dust_transaction")).scalars())
        failed = connection.execute(text("SELECT type, error_code, reason FROM webhook_event WHERE state = 'failed'"))
        assert failed.all() == []
    # Every action had an effect.
    assert kinds >= {"earn", "reverse", "adjust", "hold", "release", "redeem", "merge", "expire"}


def tasks_of_the_clock() -> list[Any]:
    """All tasks that beat sends; two of them only if outgoing webhooks have a receiver."""
    names = {entry["task"] for entry in celeryconfig.beat_schedule.values()} | {OUTGOING_SEND, OUTGOING_EXPIRING}
    app.loader.import_default_modules()
    return [app.tasks[name] for name in sorted(names)]


def test_two_concurrent_runs_of_each_periodic_task_have_the_effect_of_one(
    api: TestClient, medusa: FakeMedusa, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task of beat runs twice at the same time, with work waiting for all of them."""
    for module in (redemptions, inbox, outgoing, reconcile_worker):
        monkeypatch.setattr(module, "publish", lambda *_, **__: True)
    rules = {"earn": {"rates": {"eur": "1"}, "pending_days": 1, "expires_after_days": 3650, "expiry_notice_days": 3}}
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    histories = order_histories(ORDERS, customers=CUSTOMERS, chance=random.Random(8))
    medusa.orders = {history.order_id: history.newest for history in histories}
    for product in ("prod_1", "prod_2"):
        medusa.products[product] = {"id": product, "metadata": {}}
        requested = {"dust_only": True, "dust_price": 5}
        api.put(f"/admin/dust/products/{product}", json=requested, headers=tokens.admin())
    # Three rounds, because a round can create work for the next one.
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
    assert booked == {history.order_id: (history.worth[-1], 1) for history in histories if history.worth[-1]}
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

    def run_at_once(_: int) -> None:
        start.wait(30)
        do()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run_at_once, range(2)))
