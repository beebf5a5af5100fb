"""Fail points: everything that can be seen from outside is one, under the name of the function that does it.

    commit    a transaction that wrote something is committed to Postgres
    publish   a message goes to the broker
    http      a call goes to Medusa
    answer    the API answers a call that may change something
    receive, ack   the worker's parent takes a message, and says that it is done
    begin, end     the worker's child begins and ends a task

Each has a moment before and one after (`begin` and `end` have one). Every process writes down what it passes, in
`passed`; the first that passes one of those in `plan.json` does to itself what the plan says of it:

    kill         SIGKILL, to itself
    parent       SIGKILL, to the worker's parent; the child that does it goes on as far as it comes
    cut          after the fact, an error as if the connection had been cut before the reply came
    hang         Medusa does what it is asked, and does not reply
    postgres     Postgres is stopped immediately, just before
    redis        Redis is killed just before, and comes back with its data
    redis-empty  the same, and comes back with nothing

Points are hooked in the libraries (psycopg, httpx, Celery, Starlette), so whatever new function of Dust commits,
publishes or calls is a point without anybody's doing.
"""

import functools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_FOLDER = Path(os.environ.get("FAULTS_DIR", "."))
_PLAN = _FOLDER / "plan.json"
# Modules between the function that causes a call and the library that makes it.
_BETWEEN = {
    "bridge.db", "bridge.queue.enqueue", "bridge.medusa.client", "bridge.medusa.transport",
    "bridge.observability.tracing",
}  # fmt: skip
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_ID = re.compile(r"/[^/]*[_0-9][^/]*")

role: str | None = None
_written: set[str] = set()
_plan: tuple[float, dict[str, Any]] = (0.0, {})


def _role(arguments: list[str]) -> str | None:
    """The role of this process; none for the `dust` command that is replaced by Celery."""
    if "bridge.cli" in arguments and "serve" in arguments:
        return "api"
    if "bridge.cli" in arguments and "backfill" in arguments:
        return "cli"
    if "celery" in arguments:
        return next((name for name in ("worker", "beat") if name in arguments), None)
    return None


def install() -> None:
    """Hook everything, in a process that is one of Dust's."""
    global role
    role = _role(sys.orig_argv)
    if role is None:
        return
    os.register_at_fork(after_in_child=_in_child)
    _hook_psycopg()
    _hook_celery()
    _hook_httpx()
    if role == "api":
        _hook_answers()
    if not os.environ.get("FAULTS_UNHURRIED"):
        import short_waits

        short_waits.install(role)
    if bug := os.environ.get("FAULTS_BUG"):
        import planted

        planted.plant(bug)
    if mark := os.environ.get("FAULTS_POISON"):
        import poison

        poison.install(mark)


def _in_child() -> None:
    global role
    if role == "worker":
        role = "child"
        _written.clear()


def passing(kind: str, name: str, moment: str, cut: Callable[[], Exception] | None = None) -> str | None:
    """We are at this point now. Raises what `cut` makes when the plan says so; or never returns; or says what was done,
    or is to be done by the caller."""
    point = f"{role}|{kind}|{name}|{moment}"
    if point not in _written:
        _written.add(point)
        _append("passed", point)
    plan = _planned()
    for fired, action in plan.get("points", {}).get(point, {}).items():
        if action == "cut" and cut is None:
            continue
        try:
            (_FOLDER / fired).touch(exist_ok=False)
        except FileExistsError:
            continue
        _do(action, plan, cut)
        return str(action)
    return None


def _do(action: str, plan: dict[str, Any], cut: Callable[[], Exception] | None) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "parent":
            os.kill(os.getppid(), signal.SIGKILL)
        case "postgres":
            _end(int(Path(plan["postmaster"]).read_text().split()[0]), signal.SIGQUIT)
        case "redis" | "redis-empty":
            import redis

            with redis.Redis.from_url(plan["broker"]) as client:
                pid = client.info("server")["process_id"]
                if action == "redis-empty":
                    client.flushall()
            _end(pid, signal.SIGKILL)
        case "cut" if cut is not None:
            raise cut()


def _end(pid: int, number: signal.Signals) -> None:
    """Kill a server, and return when it has ended."""
    os.kill(pid, number)
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)


def _planned() -> dict[str, Any]:
    """The test's present plan. It is read again only after a change."""
    global _plan
    try:
        written = _PLAN.stat().st_mtime_ns
        if written != _plan[0]:
            _plan = (written, json.loads(_PLAN.read_text()))
    except (FileNotFoundError, ValueError):
        return {}
    return _plan[1]


def _append(name: str, line: str) -> int:
    """Append a line. Returns the size of the file."""
    with (_FOLDER / name).open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        return os.fstat(file.fileno()).st_size


def _site() -> str:
    """`module.function+line` of the function of Dust that wants it; lines are counted from its beginning."""
    frame: FrameType | None = sys._getframe(2)
    between = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("bridge.", "workers.")):
            code = frame.f_code
            name = f"{module}.{code.co_qualname}+{frame.f_lineno - code.co_firstlineno}"
            if module not in _BETWEEN:
                return name
            between = name
        frame = frame.f_back
    return between or str(role)


def _hook_psycopg() -> None:
    import psycopg

    def cut() -> Exception:
        return psycopg.OperationalError("the connection was cut after the commit")

    def noting(execute: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(execute)
        def note(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(query, str) and _WRITES.match(query):
                self.connection.__dict__["_faults_wrote"] = True
            return execute(self, query, *args, **kwargs)

        return note

    for cursor in (psycopg.Cursor, psycopg.ClientCursor, psycopg.ServerCursor):
        for method in ("execute", "executemany"):
            if method in vars(cursor):
                setattr(cursor, method, noting(getattr(cursor, method)))

    commit = psycopg.Connection.commit

    @functools.wraps(commit)
    def watched(self: Any) -> None:
        # A commit without changes is no point, because a kill there has no effect of its own.
        if not self.__dict__.pop("_faults_wrote", False):
            return commit(self)
        site = _site()
        passing("commit", site, "before")
        commit(self)

        def lose() -> Exception:
            self.close()
            return cut()

        passing("commit", site, "after", lose)
        return None

    psycopg.Connection.commit = watched  # type: ignore[method-assign]
    rollback = psycopg.Connection.rollback

    @functools.wraps(rollback)
    def forgetting(self: Any) -> None:
        self.__dict__.pop("_faults_wrote", None)
        rollback(self)

    psycopg.Connection.rollback = forgetting  # type: ignore[method-assign]


def _hook_celery() -> None:
    from celery import Celery, signals
    from celery.worker.request import Request
    from kombu.exceptions import OperationalError

    send = Celery.send_task

    @functools.wraps(send)
    def watched(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        point = f"{name} by {_site()}"
        passing("publish", point, "before")
        result = send(self, name, *args, **kwargs)
        passing("publish", point, "after", lambda: OperationalError("the broker's reply was lost"))
        return result

    Celery.send_task = watched
    acknowledge = Request.acknowledge

    @functools.wraps(acknowledge)
    def watched_ack(self: Any) -> None:
        passing("ack", self.name, "before")
        acknowledge(self)
        passing("ack", self.name, "after")

    Request.acknowledge = watched_ack
    signals.task_received.connect(lambda request, **_: passing("receive", request.name, "after"), weak=False)
    signals.task_prerun.connect(lambda task, **_: passing("begin", task.name, "before"), weak=False)
    signals.task_postrun.connect(lambda task, **_: passing("end", task.name, "after"), weak=False)


def _hook_httpx() -> None:
    import httpx

    send = httpx.Client.send

    @functools.wraps(send)
    def watched(self: Any, request: Any, **kwargs: Any) -> Any:
        point = f"{request.method} {_ID.sub('/:id', request.url.path)} by {_site()}"
        if passing("http", point, "before", lambda: httpx.ConnectError("not reached", request=request)) == "hang":
            request.headers["x-faults"] = "hang"
        response = send(self, request, **kwargs)
        passing("http", point, "after", lambda: httpx.ReadError("the reply was lost", request=request))
        return response

    httpx.Client.send = watched  # type: ignore[method-assign]


def _hook_answers() -> None:
    from starlette.responses import Response

    call = Response.__call__

    @functools.wraps(call)
    async def watched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await call(self, scope, receive, send)
            return
        point = f"{self.status_code} {scope['method']} {getattr(scope.get('route'), 'path_format', 'none')}"
        passing("answer", point, "before")
        await call(self, scope, receive, send)
        passing("answer", point, "after")

    Response.__call__ = watched  # type: ignore[method-assign]
