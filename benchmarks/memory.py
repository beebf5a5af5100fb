"""What the processes weigh after many events, and whether they still grow."""

import psutil

from benchmarks.deliveries import webhook
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.house import House, a_house
from benchmarks.load import send
from bridge.stack.processes import until

MOST_MIB, GROWTH_MIB, CUSTOMERS = 150, 5, 10_000
NAME = "memory"


def measure(scale: Scale) -> Outcome:
    half = scale.soak_events // 2
    with (
        a_house() as house,
        house.serving(workers=1) as (port, api),
        house.working("events", "medusa", "sweeps") as worker,
        house.running("beat") as beat,
    ):
        processes = {"API worker": api.pid, "Celery child": worker.pid, "beat": beat.pid}
        weights = []
        for first in (0, half):
            send(
                port, lambda n, first=first: webhook(first + n, n % CUSTOMERS), connections=32, seconds=600, most=half
            )  # fmt: skip
            _drained(house)
            weights.append({name: _mebibytes(name, pid) for name, pid in processes.items()})
    before, after = weights
    figures = []
    for name, weight in after.items():
        figures += [
            Figure(measure=NAME, name=name, value=weight, unit="MiB", limit=MOST_MIB, at_most=True),
            Figure(
                measure=NAME, name=f"{name}: growth in the second half", value=weight - before[name], unit="MiB",
                limit=GROWTH_MIB, at_most=True,
            ),
        ]  # fmt: skip
    return Outcome(
        figures=figures, notes=[f"resident memory after {scale.soak_events} events; of children the heaviest"]
    )


def _drained(house: House) -> None:
    if not until(lambda: house.scalar("SELECT count(*) FROM webhook_event WHERE state = 'pending'") == 0, 300):
        raise RuntimeError("the events are not all handled")


def _mebibytes(name: str, pid: int) -> float:
    process = psutil.Process(pid)
    # A worker's first process only hands out; its children do the work.
    among = process.children() if name == "Celery child" else [process]
    return max(each.memory_info().rss for each in among) / 2**20
