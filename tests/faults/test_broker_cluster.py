"""The three nodes of a RabbitMQ are killed in turn under load: Dust connects to the others, and nothing is lost.

No sweep runs: beat sends other tasks, so events and redemptions depend on the messages that were sent for them.
"""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.adjust import adjust_balance
from tests.support import tokens
from tests.support.medusa import FakeMedusa, serving
from tests.support.processes import eventually, serving_dust
from tests.support.rabbitmq import MISSING, RabbitMQ, running_cluster
from tests.support.steady_orders import SteadyOrders, selling

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

QUEUES = {"events", "redemptions", "medusa", "sweeps"}
HANDLED = "SELECT count(handled_at), max(handled_at - received_at) FROM webhook_event WHERE received_at > :began"
SHOPPER, GIFT, DUST_EACH = "cus_shopper", 1_000, 90


class Look:
    """The state of the cluster's queues, from any running node."""

    def __init__(self, nodes: list[RabbitMQ], host: str) -> None:
        self._nodes = nodes
        self._host = host

    def _ask(self, path: str) -> list[dict[str, Any]]:
        node = next(node for node in self._nodes if node.answers())
        document: list[dict[str, Any]] = node.ask("GET", path).raise_for_status().json()
        return document

    def leader(self) -> RabbitMQ:
        """The leader of the queue of events."""
        queues = {queue["name"]: queue for queue in self._ask(f"/api/queues/{self._host}")}
        return next(node for node in self._nodes if node.node == queues["events"]["leader"])

    def connected(self) -> set[str]:
        """The nodes that Dust's processes are connected to."""
        return {connection["node"] for connection in self._ask(f"/api/vhosts/{self._host}/connections")}

    def whole(self) -> bool:
        """Whether every node runs, and has every queue of Dust."""
        if not all(node.answers() for node in self._nodes):
            return False
        queues = [queue for queue in self._ask(f"/api/queues/{self._host}") if queue["name"] in QUEUES]
        return len(queues) == len(QUEUES) and all(
            set(queue["online"]) == {node.node for node in self._nodes} for queue in queues
        )


def test_every_node_of_a_cluster_may_die_one_after_the_other(settings: dict[str, str]) -> None:
    medusa = FakeMedusa()
    give(GIFT)
    with running_cluster() as nodes, serving(medusa) as medusa_url, nodes[0].apart("shop"):
        look = Look(nodes, "shop")
        environment = {
            **settings,
            "DUST_BROKER_URL": ";".join(f"amqp://guest:guest@127.0.0.1:{node.port}/shop" for node in nodes),
            "DUST_MEDUSA_URL": medusa_url,
            "DUST_SWEEP_SECONDS": "86400",
            # Runs of the poll show that messages of beat are processed.
            "DUST_RECONCILE_SECONDS": "1",
        }
        with serving_dust(environment, worker="worker --concurrency 2", beat="beat") as url, selling(url) as orders:
            goes_on(orders, url, "from the start")
            eventually(look.whole)

            bystander = next(n for n in nodes if n is not look.leader() and n.node not in look.connected())
            bystander.kill()
            goes_on(orders, url, "without one that nobody asked")
            bystander.start()
            eventually(look.whole)

            # Dust's processes declared the queues, so their leader is on the node that they are connected to.
            assert look.connected() == {look.leader().node}
            for number in (1, 2):
                leader = look.leader()
                leader.kill()
                goes_on(orders, url, f"without leader {number}")
                leader.start()
                eventually(look.whole)
            orders.close()
            eventually(lambda: rows("SELECT count(*) FROM webhook_event WHERE state <> 'handled'") == [(0,)])
            assert rows("SELECT count(*) FROM webhook_event") == [(orders.acknowledged,)]
    assert orders.refused == 0
    assert dict(rows("SELECT customer_id, balance FROM dust_balance")) == {**orders.balances, SHOPPER: GIFT}
    assert len(medusa.live_codes()) == 4


def goes_on(orders: SteadyOrders, url: str, key: str) -> None:
    """Wait until new events are booked, then a redemption has its code, and a task of beat has run."""
    began = now()
    orders.sell_more()
    eventually(lambda: rows(HANDLED, began=began)[0][0] > 0)
    # Not earlier: while a queue has no leader, messages are refused, and only a sweep would send this one again.
    redeem(url, key)
    eventually(lambda: rows("SELECT count(*) FROM dust_redemption WHERE state <> 'active'") == [(0,)])
    assert httpx.get(f"{url}/health/ready", timeout=60, trust_env=False).json()["degraded"] == []
    asked = now()
    eventually(lambda: rows("SELECT count(*) FROM reconcile_cursor WHERE seen_until > :asked", asked=asked) == [(1,)])
    print(f"{key}: events waited for up to {rows(HANDLED, began=began)[0][1]}")


def redeem(url: str, key: str) -> None:
    headers = {**tokens.customer(SHOPPER), "Idempotency-Key": key}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        requested = {"dust": DUST_EACH, "currency_code": "eur"}
        assert client.post("/store/dust/redemptions", json=requested, headers=headers).status_code == 202


def give(dust: int) -> None:
    with transaction() as connection:
        adjust_balance(
            connection,
            CustomerId(SHOPPER),
            dust,
            reason="gift",
            description="gift",
            idempotency_key="gift",
            actor="test",
            now=now(),
        )


def rows(query: str, **values: Any) -> list[tuple[Any, ...]]:
    with transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]
