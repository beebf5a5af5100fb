"""An event that kills the process that reads it, in the middle of a batch of healthy events."""

import pytest

from bridge.development.stack.processes import until
from tests.support.faults.installation import Servers, installation, own_servers
from tests.support.faults.scenarios import customer_walk
from tests.support.faults.workload import PATIENCE_SECONDS
from tests.support.orders import order_event

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

HEALTHY = 30


def test_an_event_that_kills_its_worker_is_split_off_and_fails_and_its_batch_goes_through(where: Servers) -> None:
    # The waits are those of a deployment, because their interplay is tested.
    more = {"FAULTS_POISON": "order_x_poison", "FAULTS_UNHURRIED": "1", "DUST_SWEEP_SECONDS": "5"}
    with own_servers(where, 10) as own, installation(own, more=more) as running:
        with customer_walk(running, "x") as walk:
            for number in range(HEALTHY):
                document = walk.order(f"o{number}", f"c{number}", 10)
                walk.settles(document, 10)
                walk.deliver(f"o{number}", order_event(document))
                if number == HEALTHY // 2:
                    walk.deliver("poison", order_event(walk.order("poison", "p", 10)))

        def states() -> dict[str, int]:
            return dict(walk.sql("SELECT state, count(*) FROM webhook_event WHERE id LIKE 'msg%%' GROUP BY state"))

        assert until(lambda: states() == {"handled": HEALTHY, "failed": 1}, PATIENCE_SECONDS), states()
        (found_row,) = walk.sql("SELECT id, error_code, reason FROM webhook_event WHERE state = 'failed'")
        assert found_row[:2] == ("msg_x_poison", "task_ended")
        deaths = running.output.getvalue().count("exited with 'signal 9 (SIGKILL)'")
        # It kills one or two batches, then its own task until it has failed; more if batches overlap on a busy machine.
        assert 2 <= deaths <= 30, deaths
