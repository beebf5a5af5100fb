"""Task that runs the simulations that merchants requested."""

from bridge.medusa.client import get_medusa
from bridge.queue.enqueue import SIMULATIONS_RUN
from bridge.simulation.requests import MAX_SECONDS, run_next
from workers.app import app


# Acknowledged when it starts: otherwise the broker would deliver it again after its timeout. The sweep finds what is
# lost.
@app.task(name=SIMULATIONS_RUN, retryable=True, acks_late=False, time_limit=MAX_SECONDS)
def run() -> int:
    """Run the simulations that wait, one after the other; return how many."""
    done = 0
    while run_next(get_medusa):
        done += 1
    return done
