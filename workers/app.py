"""The Celery application of the workers. Its settings, with their reasons, are in `celeryconfig.py`."""

from typing import Any, ClassVar

from celery import Celery, Task, signals
from sqlalchemy import Connection

from bridge.logs import set_up_logs
from bridge.settings import get_settings


class DustTask(Task):  # type: ignore[misc]
    """The base of all tasks."""

    # Whether an operator may send a failed one again. All of ours may run twice (`task_acks_late`), and say so; those
    # that Celery brings along have this base as well.
    retryable: ClassVar[bool] = False

    def before_retry(self, connection: Connection, *args: Any, **kwargs: Any) -> None:
        """What must be so before a failed task, sent again with these arguments, can do its work.

        Called once, in the transaction that records the retry; the task is sent after its commit.
        """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except MemoryError as error:
            # Celery's main process dies of a MemoryError that a child reports, again and again.
            raise RuntimeError("the task ran out of memory") from error


app = Celery("dust", task_cls=DustTask)
app.config_from_object("celeryconfig")
app.conf.imports = ("workers.inbox", "workers.redemptions", "workers.products", "workers.upkeep", "workers.reconcile")


@signals.setup_logging.connect
def _set_up_logs(**_: object) -> None:
    set_up_logs(get_settings())
