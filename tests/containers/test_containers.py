"""docker-compose.yml with running services: restarts under load, a hung worker, a backup and its restore.

The tests follow one another and share the services (`conftest.py`), so the file is run as a whole.
"""

import json
import time

import httpx
import pytest

from bridge.development.stack.processes import until
from tests.support.containers.engine import CommandFailed
from tests.support.containers.load import CUSTOMERS, POINTS_OF_AN_ORDER, Load
from tests.support.containers.stack import SERVICES, Stack
from tests.support.processes import answers
from tests.support.tokens import token

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

# The checks of `dust doctor` that do not need a complete Medusa.
CHECKS = {
    "secrets", "database", "migrations", "sessions", "privileges", "programme", "database clock", "time",
    "outgoing webhooks", "broker", "workers", "beat", "medusa", "flower",
}  # fmt: skip
HANDLED_SECONDS = 120.0


def balance(stack: Stack, customer: str) -> int:
    """The balance, as the storefront reads it."""
    headers = {"authorization": f"Bearer {token(customer, secret=stack.variables['DUST_JWT_SECRET'])}"}
    response = httpx.get(f"{stack.url}/store/dust/balance", headers=headers, trust_env=False).raise_for_status()
    points: int = response.json()["balance"]
    return points


def balances(stack: Stack, database: str = "dust") -> str:
    return stack.sql("SELECT * FROM dust_balance ORDER BY customer_id", database=database)


def audit_is_clean(stack: Stack) -> bool:
    return stack.run("api", "dust", "audit").returncode == 0


def test_every_service_is_healthy(stack: Stack) -> None:
    for service in SERVICES:
        # One check may take too long on a busy machine; the services' `retries` allow for that.
        stack.wait_until_healthy(service)


def test_a_signed_event_gives_points(stack: Stack) -> None:
    stack.output("api", "dust", "trigger", "order.placed", "--customer", "cus_first")
    assert until(lambda: balance(stack, "cus_first") == POINTS_OF_AN_ORDER, HANDLED_SECONDS)


def test_the_doctor_finds_nothing(stack: Stack) -> None:
    def findings() -> dict[str, tuple[bool | None, str]]:
        output = stack.run("api", "dust", "doctor", "--json", "--flower", "http://flower:5555").stdout
        return {service["check"]: (service["ok"], service["detail"]) for service in json.loads(output)}

    # Beat's first message is not handled at once.
    until(lambda: findings()["beat"][0] is True, HANDLED_SECONDS)
    services = findings()
    assert {name: services[name] for name in CHECKS if services[name][0] is not True} == {}


def test_flower_asks_for_its_login(stack: Stack) -> None:
    user, _, password = stack.variables["DUST_FLOWER_BASIC_AUTH"].partition(":")
    assert httpx.get(f"{stack.flower_url}/tasks", trust_env=False).status_code == 401
    assert answers(f"{stack.flower_url}/tasks", auth=(user, password))


def test_ports_are_published_on_loopback_only(stack: Stack) -> None:
    published = {
        service: [address["HostIp"] for addresses in (ports or {}).values() for address in addresses or []]
        for service in SERVICES
        if isinstance(network := stack.inspected(service)["NetworkSettings"], dict)
        for ports in [network["Ports"]]
    }
    assert {service: hosts for service, hosts in published.items() if hosts} == {
        "api": ["127.0.0.1"],
        "flower": ["127.0.0.1"],
    }


@pytest.mark.parametrize(
    ("service", "host", "port", "reached"),
    [
        ("beat", "redis", 6379, True),
        ("beat", "postgres", 5432, False),
        ("worker", "postgres", 5432, True),
        ("api", "flower", 5555, True),
    ],
)
def test_a_service_reaches_only_what_it_needs(stack: Stack, service: str, host: str, port: int, reached: bool) -> None:
    code = f"import socket; socket.create_connection(({host!r}, {port}), 5)"
    assert (stack.python(service, code).returncode == 0) is reached


def test_the_file_system_of_a_container_is_read_only(stack: Stack) -> None:
    assert stack.python("api", "open('/opt/dust/x', 'w')").returncode != 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dust_transaction SET amount = amount + 1",
        "DELETE FROM dust_transaction",
        "TRUNCATE dust_transaction",
        "ALTER TABLE dust_transaction DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON dust_transaction",
        "SET session_replication_role = replica",
        "SET ROLE dust",
        "GRANT dust TO dust_serve",
        "CREATE TABLE anything (id int)",
        "CREATE ROLE anybody",
    ],
)
def test_the_serving_login_cannot_change_the_ledger(stack: Stack, statement: str) -> None:
    assert int(stack.sql("SELECT count(*) FROM dust_transaction", user="dust_serve")) > 0
    with pytest.raises(CommandFailed, match=r"permission denied|must be owner"):
        stack.sql(statement, user="dust_serve")


def test_the_owner_is_no_superuser_and_is_stopped_by_the_triggers(stack: Stack) -> None:
    assert stack.sql("SELECT rolname FROM pg_roles WHERE rolsuper") == "postgres"
    assert stack.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == "dust"
    with pytest.raises(CommandFailed, match="is append-only"):
        stack.sql("UPDATE dust_transaction SET amount = amount + 1", user="dust")


def test_a_simulation_has_its_temporary_tables(stack: Stack) -> None:
    ended = stack.python(
        "api",
        "from bridge.clock import now\n"
        "from bridge.db import transaction\n"
        "from bridge.programme.versions import current_version\n"
        "from bridge.simulation.sandbox import sandbox\n"
        "with transaction() as connection:\n"
        "    programme = current_version(connection).programme\n"
        "with sandbox(programme, now=now()) as trial:\n"
        "    print(len(list(trial.rows())))\n",
    )
    assert ended.stdout.split() == [b"0"], ended.stderr.decode()


def test_no_event_is_lost_while_services_restart(stack: Stack) -> None:
    with Load(stack.url, stack.variables["DUST_WEBHOOK_SECRETS"]) as load:
        time.sleep(2)
        for service in SERVICES:
            print(f"\nRestarting {service} under load", end="", flush=True)
            before = sum(load.accepted.values())
            stack.compose("restart", service)
            stack.wait_until_healthy(service)
            print(f": {sum(load.accepted.values()) - before} events accepted meanwhile", end="", flush=True)
    print(f"\n{sum(load.accepted.values())} events accepted, {load.refused} attempts repeated", flush=True)
    expected = {customer: POINTS_OF_AN_ORDER * events for customer, events in load.accepted.items()}
    assert min(expected.values()) > 0
    until(lambda: {customer: balance(stack, customer) for customer in CUSTOMERS} == expected, HANDLED_SECONDS)
    assert {customer: balance(stack, customer) for customer in CUSTOMERS} == expected
    assert stack.sql("SELECT count(*) FROM webhook_event WHERE state = 'failed'") == "0"
    assert audit_is_clean(stack)


@pytest.mark.parametrize("service", ["worker", "redemptions-worker", "medusa-worker"])
def test_the_health_check_of_a_worker_that_hangs_fails(stack: Stack, service: str) -> None:
    stack.wait_until_healthy(service)
    # Every process of the container but process 1, which passes signals on.
    stack.output(service, "sh", "-c", "kill -STOP -1")
    assert not stack.is_healthy(service)
    stack.output(service, "sh", "-c", "kill -CONT -1")
    stack.wait_until_healthy(service)


def test_a_worker_that_is_killed_is_started_again_and_one_that_is_stopped_is_unhealthy(stack: Stack) -> None:
    before = stack.process_id("worker")
    stack.run("worker", "sh", "-c", "kill -KILL -1")
    assert until(lambda: stack.process_id("worker") not in {0, before}, HANDLED_SECONDS)
    stack.wait_until_healthy("worker")
    stack.compose("stop", "worker")
    assert not stack.is_healthy("worker")
    stack.compose("start", "worker")
    stack.wait_until_healthy("worker")


def test_a_backup_is_restored_into_a_fresh_database(stack: Stack) -> None:
    """As docs/how-to/docker-compose.md says."""
    backup = stack.output("postgres", "pg_dump", "--username=postgres", "--format=custom", "dust")
    print(f"\nThe backup has {len(backup)} bytes", end="", flush=True)
    stack.output("postgres", "createdb", "--username=postgres", "--owner=dust", "dust_restored")
    stack.output(
        *("postgres", "pg_restore", "--username=postgres", "--dbname=dust_restored", "--exit-on-error"), data=backup
    )
    assert balances(stack, "dust_restored") == balances(stack) != ""
    stack.output("api", "sh", "-c", 'DUST_DATABASE_URL="${DUST_DATABASE_URL%/dust}/dust_restored" dust audit')
    owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert stack.sql(owner, database="dust_restored") == "dust"
    with pytest.raises(CommandFailed, match="permission denied"):
        stack.sql("UPDATE dust_transaction SET amount = 1", user="dust_serve", database="dust_restored")
    # It replaces the first database, and Dust continues with it.
    users = ("api", "worker", "redemptions-worker", "medusa-worker", "flower")
    for service in users:
        stack.compose("stop", service)
    stack.sql("ALTER DATABASE dust RENAME TO dust_before", database="postgres")
    stack.sql("ALTER DATABASE dust_restored RENAME TO dust", database="postgres")
    for service in users:
        stack.compose("start", service)
        stack.wait_until_healthy(service)
    before = balance(stack, "cus_first")
    stack.output("api", "dust", "trigger", "order.placed", "--customer", "cus_first")
    assert until(lambda: balance(stack, "cus_first") == before + POINTS_OF_AN_ORDER, HANDLED_SECONDS)
    assert audit_is_clean(stack)
