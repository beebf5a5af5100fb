"""What Dust adds to Flower: a script on its pages, the addresses it asks, and failures that Flower did not hear of.

Nothing of Flower is copied or patched: templates are looked for in our folder first, handlers are added, and what was
missed comes in as the events that it would have been.
"""

from pathlib import Path
from typing import Any

import structlog
from celery import states
from flower.app import Flower, rewrite_handler
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.template import Loader, Template
from tornado.web import ErrorHandler, StaticFileHandler, url

from bridge.errors import Unavailable
from workers.flower.failures import FailedTask, as_events, kept_failures, kept_task_ids
from workers.flower.handlers import FailedHandler, RetriesHandler, RetryHandler

log = structlog.get_logger(__name__)

_HERE = Path(__file__).parent
_STATIC = "/dust-static/"
_CATCH_UP_MILLISECONDS = 60_000
_FAILURES_AT_ONCE = 500
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", "[::1]"}


class DustFlower(Flower):  # type: ignore[misc]
    """Flower with a Retry button."""

    def __init__(self, *, options: Any, **settings: Any) -> None:
        prefix = f"/{options.url_prefix.strip('/')}" if options.url_prefix else ""
        files = {"static_path": str(_HERE / "static"), "static_url_prefix": prefix + _STATIC}
        settings["template_loader"] = _Overlay(
            _HERE / "templates",
            settings["template_path"],
            # The address changes with the file, so no browser works with yesterday's.
            namespace={"retry_script": StaticFileHandler.make_static_url(files, "retry.js")},
        )
        super().__init__(options=options, **settings)
        self._seen: set[str] = set()
        self._catch_up_timer = PeriodicCallback(self.catch_up, _CATCH_UP_MILLISECONDS)
        handlers = [
            url(r"/api/task/retry/([\w.\-]+)", RetryHandler),
            url(r"/api/task/retries", RetriesHandler),
            url(r"/api/task/failed", FailedHandler),
            url(f"{_STATIC}(.*)", StaticFileHandler, {"path": files["static_path"]}),
        ]
        self.add_handlers(r".*", [rewrite_handler(each, prefix) for each in handlers] if prefix else handlers)

    @property
    def is_open(self) -> bool:
        """Whether there is no login; `run_flower` allows that on loopback only."""
        return not (self.options.basic_auth or self.options.auth)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Refuse a request under a foreign host name where no login protects Flower.

        Otherwise another site could give its own name the address of loopback (DNS rebinding), and its page could read
        everything here.
        """
        if self.is_open and request.host_name not in _LOCAL_HOSTS:
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 421})
        return super().find_handler(request, **kwargs)

    def start(self) -> None:
        self.io_loop.add_callback(self.catch_up)
        self._catch_up_timer.start()
        super().start()

    async def catch_up(self) -> None:
        """Let Flower know of failures that it did not hear of: it was down, or its events were lost.

        A failed task is then in Flower as surely as it is in the result backend. Each is told once: what Flower has
        since dropped to make room stays dropped.
        """
        state = self.events.state
        # Whoever started listening between a task's start and its failure has heard of a failure without a name.
        known = {id_ for id_, task in state.tasks.data.items() if task.state == states.FAILURE and task.name}
        try:
            missed = await self.io_loop.run_in_executor(self.executor, self._missed, known)
        except Unavailable as error:
            log.warning("catch_up_waits", reason=error.message)
            return
        for failure in missed:
            for event in as_events(failure):
                state.event(event)
        if missed:
            log.info("caught_up", failures=len(missed))

    def _missed(self, known: set[str]) -> list[FailedTask]:
        """The failures that are kept but neither known nor told before, the oldest first."""
        kept = kept_task_ids(self.capp)
        fresh = list(kept - self._seen - known)
        missed: list[FailedTask] = []
        for start in range(0, len(fresh), _FAILURES_AT_ONCE):
            missed += kept_failures(self.capp, fresh[start : start + _FAILURES_AT_ONCE]).values()
        self._seen = kept
        return sorted(missed, key=lambda failure: failure.failed_at.isoformat() if failure.failed_at else "")


class _Overlay(Loader):
    """Our templates first, then Flower's; `flower:base.html` is Flower's own, for ours to extend."""

    def __init__(self, ours: Path, flowers: str, **options: Any) -> None:
        super().__init__(flowers, **options)
        self._ours = ours

    def _create_template(self, name: str) -> Template:
        flowers = Path(self.root) / name.removeprefix("flower:")
        ours = self._ours / name
        return Template((ours if ours.is_file() else flowers).read_bytes(), name=name, loader=self)
