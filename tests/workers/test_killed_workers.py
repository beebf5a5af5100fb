"""Workers are killed, and the broker is emptied and killed, while two thousand events are processed: nothing is lost
or done twice.

The database is made slow at the one statement in the middle of a batch, so that kills find transactions open.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import psycopg
import pytest
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.events import read_event
from bridge.inbox.receive import receive
from tests.support.brokers import Broker, own_broker
from tests.support.ledger import stored_balances
from tests.support.medusa import FakeMedusa, serving
from tests.support.order_histories import OrderHistory, balances, order_histories
from tests.support.orders import event, order_event
from tests.support.processes import dust_processes, eventually, running

pytestmark = pytest.mark.servers

EVENTS, CUSTOMERS = 2_000, 50
# Events without a snapshot, which are processed in their own tasks that read Medusa.
BARE = 100
DISTURBANCES = 6
# The supervisor gives a program up that dies five times in a row within ten seconds of its start.
PARENT_KILLS = (1, 4)


@pytest.fixture
def owner(settings: dict[str, str]) -> Iterator[psycopg.Connection]:
    """The database's owner, who has made each posting of the ledger take ten milliseconds."""
    with psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER dawdle BEFORE INSERT ON dust_transaction FOR EACH ROW EXECUTE FUNCTION dawdle()"
        )
        yield connection


def test_workers_killed_at_random_lose_nothing_and_do_nothing_twice(
    settings: dict[str, str], owner: psycopg.Connection
) -> None:
    chance = random.Random(1)

    def kill_one(number: int, _broker: Broker) -> None:
        eventually(lambda: kill(chance, parent=number in PARENT_KILLS))

    work_while_disturbed(settings, owner, chance, kill_one)


def test_a_broker_that_is_emptied_and_killed_only_delays_events(
    settings: dict[str, str], owner: psycopg.Connection
) -> None:
    def empty_or_kill(number: int, broker: Broker) -> None:
        # It may still be restarting after the last kill.
        eventually(broker.answers)
        if number % 2:
            broker.kill()
        else:
            broker.empty()

    work_while_disturbed(settings, owner, random.Random(2), empty_or_kill)


def work_while_disturbed(
    settings: dict[str, str],
    owner: psycopg.Connection,
    chance: random.Random,
    disturb: Callable[[int, Broker], None],
) -> None:
    """Give a worker and beat two thousand events in portions, and disturb each portion in the middle."""
    histories = order_histories(700, customers=CUSTOMERS, chance=chance)
    bodies = two_thousand_events(histories, chance)
    medusa = FakeMedusa()
    medusa.orders = {history.order_id: history.newest for history in histories}
    with own_broker() as broker, serving(medusa) as medusa_url:
        environment = {
            **settings,
            "DUST_BROKER_URL": broker.url,
            "DUST_MEDUSA_URL": medusa_url,
            "DUST_SWEEP_SECONDS": "1",
            # The poll would find lost events, and must not be needed.
            "DUST_RECONCILE_SECONDS": "86400",
        }
        with running(environment, worker="worker --concurrency 2", beat="beat"):
            for number in range(DISTURBANCES):
                keep(bodies, number, DISTURBANCES)
                eventually(lambda: posting_now(owner))
                time.sleep(chance.uniform(0, 0.5))
                disturb(number, broker)
            eventually(all_are_handled)
    assert stored_balances() == balances(histories)


def two_thousand_events(histories: list[OrderHistory], chance: random.Random) -> list[bytes]:
    """In random sequence: snapshots of all ages, many repeated, and events that only name the order."""
    # The newest of each is among them, so that the end does not depend on the poll.
    bodies = [order_event(history.newest) for history in histories]
    bodies += [event("order.updated", {"id": history.order_id}) for history in chance.sample(histories, BARE)]
    bodies += [
        order_event(chance.choice(history.facts)) for history in chance.choices(histories, k=EVENTS - len(bodies))
    ]
    chance.shuffle(bodies)
    return bodies


def keep(bodies: list[bytes], portion: int, portions: int) -> None:
    """Store every `portions`-th event, as the endpoint does."""
    with transaction() as connection:
        for number in range(portion, len(bodies), portions):
            receive(connection, f"msg_{number:04}", read_event(bodies[number]), bodies[number], now=now())


def posting_now(owner: psycopg.Connection) -> bool:
    """Whether some worker is in the middle of a transaction that posts."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    return owner.execute(query).fetchone() is not None


def kill(chance: random.Random, *, parent: bool) -> bool:
    """SIGKILL for the worker's parent or any of its children; False when there is none just now."""
    processes = dust_processes("worker")
    among = processes[:1] if parent else processes[1:]
    if not among:
        return False
    with suppress(psutil.NoSuchProcess):
        chance.choice(among).kill()
        return True
    return False


def all_are_handled() -> bool:
    with transaction() as connection:
        # Events whose own task died are due at once, instead of after a minute.
        statement = "UPDATE webhook_event SET next_attempt_at = :now WHERE next_attempt_at > :now"
        connection.execute(text(statement), {"now": now()})
        rows = connection.execute(text("SELECT state, count(*) AS number FROM webhook_event GROUP BY state"))
        return {row.state: row.number for row in rows} == {"handled": EVENTS}
