"""An event that kills the process that works on it, whatever task it is in: it is parked, the rest goes through."""

import psutil
import psycopg
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.events import read_event
from bridge.inbox.receive import receive
from bridge.stack.redis import embedded_redis
from tests.stack.conftest import data_folder
from tests.support.orders import order, order_event
from tests.support.processes import eventually, running

GOOD = 20


def kill_whoever_works_on_the_poison(owner: psycopg.Connection) -> None:
    """Find the process at the other end of the connection that is stuck on it, and SIGKILL that."""
    query = "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    ports = {row[0] for row in owner.execute(query).fetchall()}
    for process in psutil.Process().children(recursive=True):
        try:
            mine = {each.laddr.port for each in process.net_connections() if each.laddr}
            if mine & ports:
                process.kill()
        except psutil.Error:
            continue


def states() -> dict[str, str]:
    with transaction() as connection:
        return {row.id: row.state for row in connection.execute(text("SELECT id, state FROM webhook_event"))}


def test_a_deadly_event_is_parked_and_the_others_go_through(settings: dict[str, str]) -> None:
    with psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION deadly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.reference_id = 'order_poison' THEN PERFORM pg_sleep(20); END IF; RETURN NEW; END $$"
        )
        owner.execute("CREATE TRIGGER deadly BEFORE INSERT ON dust_transaction FOR EACH ROW EXECUTE FUNCTION deadly()")
        with transaction() as connection:
            for number, order_id in enumerate([*(f"order_{n}" for n in range(GOOD)), "order_poison"]):
                body = order_event(order(order_id))
                receive(connection, f"msg_{number:02}", read_event(body), body, now=now())
        with data_folder() as folder, embedded_redis(folder) as broker:
            environment = {**settings, "DUST_BROKER_URL": broker, "DUST_SWEEP_SECONDS": "1"}
            with running(environment, worker="worker --concurrency 2", beat="beat"):

                def all_is_settled() -> bool:
                    kill_whoever_works_on_the_poison(owner)
                    return "pending" not in states().values()

                eventually(all_is_settled, 120)
    settled = states()
    assert settled.pop(f"msg_{GOOD:02}") == "failed"
    assert set(settled.values()) == {"handled"}
    with transaction() as connection:
        reason = connection.scalar(text("SELECT reason FROM webhook_event WHERE state = 'failed'"))
    assert "Its task was ended" in str(reason)
