"""Memory of the processes after many events, and whether it still grows."""

from functools import partial

import psutil

from benchmarks.deliveries import webhook
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.installation import Installation, new_installation
from benchmarks.load import send
from bridge.development.stack.processes import until

MAX_MIB, GROWTH_MIB, CUSTOMERS = 150, 5, 10_000
NAME = "memory"


def measure(scale: Scale) -> Outcome:
    # After the first events everything is imported, prepared and cached. Growth after that would not stop.
    # More, and Celery would put new children in their place (`worker_max_tasks_per_child`).
    first, more = scale.soak_events, scale.soak_events // 2
    with (
        new_installation() as installation,
        installation.serving(workers=1) as (port, api),
        installation.working("events", "redemptions", "medusa", "sweeps") as worker,
        installation.running("beat") as beat,
    ):
        processes = {"API worker": api.pid, "Celery child": worker.pid, "beat": beat.pid}
        weights = []
        for start, most in ((0, first), (first, more)):
            source = partial(_webhook, start)
            send(port, source, connections=32, seconds=600, most=most)
            _drained(installation)
            weights.append({name: _mebibytes(name, pid) for name, pid in processes.items()})
    weighed, later = weights
    figures = []
    for name, weight in weighed.items():
        figures += [
            Figure(measure=NAME, name=name, value=weight, unit="MiB", limit=MAX_MIB, at_most=True),
            Figure(
                measure=NAME, name=f"{name}: growth with half as many again", value=later[name] - weight, unit="MiB",
                limit=GROWTH_MIB, at_most=True,
            ),
        ]  # fmt: skip
    return Outcome(figures=figures, notes=[f"resident memory after {first} events; of children the heaviest"])


def _drained(installation: Installation) -> None:
    if not until(lambda: installation.scalar("SELECT count(*) FROM webhook_event WHERE state = 'pending'") == 0, 300):
        raise RuntimeError("the events are not all handled")


def _webhook(start: int, number: int) -> bytes:
    return webhook(start + number, number % CUSTOMERS)


def _mebibytes(name: str, pid: int) -> float:
    process = psutil.Process(pid)
    # A worker's first process only hands out; its children do the work.
    among = process.children() if name == "Celery child" else [process]
    return float(max(process.memory_info().rss for process in among) / 2**20)
