"""Task that publishes drafts of the programme whose start date has come."""

from bridge.clock import now
from bridge.programme.drafts import publish_due_drafts
from bridge.queue.enqueue import PROGRAMME_PUBLISH_DRAFTS
from bridge.redemptions.programme_document import read_document
from workers.app import app


@app.task(name=PROGRAMME_PUBLISH_DRAFTS, retryable=True)
def publish_drafts() -> int:
    """Publish the drafts that are due; return how many."""
    return publish_due_drafts(read_document, now=now())
