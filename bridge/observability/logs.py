"""Logs: one event a line, with ids and never with personal data, tokens or secrets."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any

import structlog

from bridge.settings import Settings

# The last resort. Nothing of ours logs such a thing on purpose, but a library's traceback may quote what it was given.
# A pattern is tried only where its first words are in the line, which costs a microsecond for most lines. None takes
# more time than the line is long: what stands before or within a match has a bound.
_NOT_FOR_LOGS = tuple(
    (mark, re.compile(pattern), replacement)
    for mark, pattern, replacement in (
        ("@", r"(?<=://)[^\s/@]{1,500}(?=@)", "[login]"),
        ("@", r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}", "[email]"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{4,}\.[\w-]+\.[\w-]*", "[jwt]"),
        ("sk_", r"\bsk_[\w+/=-]{8,}", "[secret]"),
        ("whsec_", r"whsec_[\w+/=-]{8,}", "[secret]"),
        ("Bearer ", r"(?<=Bearer )[\w.~+/=-]+", "[token]"),
        # Whoever knows the code of a redemption may spend it.
        ("DUST-", r"\bDUST-[0-9A-Z]{16}\b", "[code]"),
    )
)


def redact(line: str) -> str:
    """The line without e-mail addresses, tokens, secrets and codes; `[email]` and so on stand in their place."""
    for mark, pattern, replacement in _NOT_FOR_LOGS:
        if mark in line:
            line = pattern.sub(replacement, line)
    return line


def _redact(_logger: object, _method: str, line: Any) -> Any:
    return redact(line)


# What ends a line or moves a terminal's cursor. JSON has escapes for them; on a console they would do it.
_MOVES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _in_its_lines(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Texts of libraries may quote what somebody sent: it shall not look like a line of ours. Keys and values that we
    log are shown with quotes and escapes anyway."""
    for name in ("event", "exception"):
        if isinstance(line.get(name), str):
            parts = line[name].split("\n")
            line[name] = "\n  ".join(_MOVES.sub(lambda found: ascii(found[0])[1:-1], part) for part in parts)
    return line


class _Lines:
    """What structlog writes to: finished lines go where the standard library's go, without becoming records first,
    which costs as much as all the rest of a line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, line: str) -> None:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                try:
                    with handler.lock or nullcontext():
                        handler.stream.write(line + "\n")
                        handler.flush()
                except Exception:
                    # A log that cannot be written, on a full disk say, is no reason to fail at what it is about.
                    handler.handleError(logging.makeLogRecord({"name": self.name, "msg": line}))

    debug = info = warning = error = critical = write


def set_up_logs(settings: Settings) -> None:
    """Console lines on a terminal, JSON otherwise; the standard library's loggers go the same way."""
    wanted = settings.log_format or ("console" if sys.stderr.isatty() else "json")
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if wanted == "console" else structlog.processors.JSONRenderer()
    )
    after: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        *([_in_its_lines] if wanted == "console" else []),
        renderer,
        _redact,
    ]
    structlog.configure(
        processors=[*before, *after],
        logger_factory=lambda name="", *_: _Lines(name),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # One line for each call to Medusa, with the full URL, is noise; failures are logged by the client.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Health asks it for the revision of the tables, and each time it tells how it is going to find out.
    logging.getLogger("alembic").setLevel(logging.WARNING)
