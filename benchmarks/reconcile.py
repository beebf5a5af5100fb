"""Compare many changed orders with Medusa, in a process that is killed repeatedly."""

import sys
import time
from datetime import UTC, datetime, timedelta
from signal import SIGKILL
from subprocess import TimeoutExpired

from benchmarks.deliveries import customer_name, order_name
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.installation import Installation, new_installation_with
from bridge.development.stack.processes import spawn
from tests.support.medusa import FakeMedusa
from tests.support.orders import iso, order

NAME = "reconcile"
# Beyond this it makes no progress.
MAX_RUNS = 100
_COMPARE = (
    "from bridge.inbox.reconcile import reconcile; from bridge.medusa.client import get_medusa; reconcile(get_medusa())"
)


def measure(scale: Scale) -> Outcome:
    kill_after = scale.seconds / 3
    medusa = FakeMedusa()
    started = datetime.now(UTC) - timedelta(hours=2)
    some_order = order(placed=started)
    for number in range(scale.backlog):
        # Twenty a millisecond, as an import leaves them.
        moment = iso(started + timedelta(milliseconds=number // 20))
        name = order_name(number)
        medusa.orders[name] = {**some_order, "id": name, "customer_id": customer_name(number), "updated_at": moment}
    with new_installation_with(medusa) as installation:
        # The first poll of an installation looks back a day.
        before = time.perf_counter()
        kills = _run_until_complete(installation, kill_after)
        seconds = time.perf_counter() - before
        events = installation.scalar("SELECT count(*) FROM webhook_event")
        orders = installation.scalar("SELECT count(DISTINCT subject) FROM webhook_event")
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name="orders missed", value=scale.backlog - orders, unit="", limit=0, at_most=True
            ),
            Figure(
                measure=NAME, name="orders twice", value=events - orders, unit="", limit=0, at_most=True
            ),
            Figure(measure=NAME, name="kills", value=kills, unit="", limit=MAX_RUNS, at_most=True),
            Figure(measure=NAME, name="until complete", value=seconds, unit="s"),
        ],
        notes=[f"{scale.backlog:,} changed orders, killed every {kill_after:.0f} s"],
    )  # fmt: skip


def _run_until_complete(installation: Installation, kill_after: float) -> int:
    """Return how many processes were killed before one completed."""
    for kills in range(MAX_RUNS):
        with (installation.folder / "reconcile.log").open("ab") as log:
            process = spawn(
                [sys.executable, "-c", _COMPARE], death_signal=SIGKILL, env=installation.environment, stdout=log
            )
            try:
                if process.wait(kill_after) == 0:
                    return kills
                raise RuntimeError((installation.folder / "reconcile.log").read_text()[-2000:])
            except TimeoutExpired:
                process.kill()
                process.wait()
    return MAX_RUNS
