"""Process many events of one customer, and compare with the same number of events of many customers."""

from zlib import crc32

from benchmarks.drain import CUSTOMERS, drained
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.installation import new_installation

SHARE = 0.25
NAME = "hot"


def measure(scale: Scale) -> Outcome:
    events = scale.backlog // 5
    with new_installation() as installation:
        spread, _ = drained(installation, events, customer=lambda n: crc32(b"%d" % n) % CUSTOMERS)
        hot, _ = drained(installation, events, customer=lambda _: 10**9, first=10**9)
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name="all events on one customer", value=hot, unit="events/s",
                limit=spread * SHARE, limit_is=f"a quarter of {spread:,.0f}/s spread over {CUSTOMERS} customers",
            )
        ],
        notes=[f"{events} events each"],
    )  # fmt: skip
