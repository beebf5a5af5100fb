"""Dust's extensions of Flower: a script on its pages, the endpoints for it, and failures that Flower missed.

Nothing of Flower is copied or patched. Templates are searched in our folder first, handlers are added, and missed
failures are replayed as events.
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
from workers.flower.failures import FailedTask, as_events, stored_failures, stored_task_ids
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
            # The URL changes with the file, so that no browser uses an old version.
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
        self.add_handlers(r".*", [rewrite_handler(handler, prefix) for handler in handlers] if prefix else handlers)

    @property
    def is_open(self) -> bool:
        """Whether there is no login, which `run_flower` allows on loopback only."""
        return not (self.options.basic_auth or self.options.auth)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Refuse a request under a foreign host name if Flower has no login.

        Otherwise another site could point its own name to the loopback address (DNS rebinding), and its page could read
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
        """Replay failures that Flower missed because it was down or its events were lost.

        A failed task is then in Flower if it is in the result backend. Each is replayed once: a task that Flower has
        dropped since stays dropped.
        """
        state = self.events.state
        # If Flower started between a task's start and its failure, it knows the failure without a name.
        known = {id_ for id_, task in state.tasks.data.items() if task.state == states.FAILURE and task.name}
        try:
            missed = await self.io_loop.run_in_executor(self.executor, self._missed, known)
        except Unavailable as error:
            log.warning("catch_up_rescheduled", reason=error.message)
            return
        for failure in missed:
            for event in as_events(failure):
                state.event(event)
        if missed:
            log.info("caught_up", failures=len(missed))

    def _missed(self, known: set[str]) -> list[FailedTask]:
        """Return the stored failures that are neither known nor replayed yet, oldest first."""
        kept = stored_task_ids(self.capp)
        fresh = list(kept - self._seen - known)
        missed: list[FailedTask] = []
        for start in range(0, len(fresh), _FAILURES_AT_ONCE):
            missed += stored_failures(self.capp, fresh[start : start + _FAILURES_AT_ONCE]).values()
        self._seen = kept
        return sorted(missed, key=lambda failure: failure.failed_at.isoformat() if failure.failed_at else "")


class _Overlay(Loader):
    """Template loader: our templates first, then Flower's. `flower:base.html` is Flower's own, for ours to extend."""

    def __init__(self, ours: Path, flowers: str, **options: Any) -> None:
        super().__init__(flowers, **options)
        self._ours = ours

    def _create_template(self, name: str) -> Template:
        flowers = Path(self.root) / name.removeprefix("flower:")
        ours = self._ours / name
        return Template((ours if ours.is_file() else flowers).read_bytes(), name=name, loader=self)
