"""Logs: one event per line, with ids, and without personal data, tokens or secrets."""

import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any

import structlog

from bridge.settings import Settings

# All characters beyond ASCII but white space and the full stops of `_DOT`.
_BEYOND_ASCII = (
    r"\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff\u3001\u3003-\uff0d\uff0f-\uff60"
    r"\uff62-\U0010ffff"
)
_LETTER = rf"[0-9A-Za-z_{_BEYOND_ASCII}-]"
# A character before the `@` of an e-mail address.
_LOCAL = rf"[0-9A-Za-z_.+%&*!#$^~'{_BEYOND_ASCII}-]"
_IN_A_URL = r"[^\s/?&#=\"'<>]"
# Browsers take the full stops of Asian scripts for a dot too.
_DOT = r"[.\u3002\uff0e\uff61]"

# Last line of defence: Dust does not log such values, but a library's traceback may quote them. A pattern is tried only
# if its mark is in the line, which costs a microsecond for most lines. All patterns take linear time: a repetition is
# bounded, or it is possessive (`++`) and cannot start after a character that it matches.
_NOT_FOR_LOGS = tuple(
    (mark, re.compile(pattern), replacement)
    for mark, pattern, replacement in (
        ("@", r"(?<=://)[^\s/\"]{1,500}(?=@)", "[login]"),
        ("@", rf"(?<!{_LOCAL}){_LOCAL}++@{_LETTER}{{1,63}}(?:{_DOT}{_LETTER}{{1,63}}){{1,10}}", "[email]"),
        # In a URL, where other scripts are escaped too.
        ("%40", rf"(?<!{_IN_A_URL})(?:(?!%40){_IN_A_URL})*+%40{_IN_A_URL}{{1,400}}", "[email]"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{4,}\.[\w-]+\.[\w-]*", "[jwt]"),
        ("sk_", r"\bsk_[\w+/=-]{8,}", "[secret]"),
        # The same key as it is sent to Medusa: base64, as the user name of basic auth.
        ("c2tf", r"\bc2tf[\w+/=-]{8,}", "[secret]"),
        ("whsec_", r"whsec_[\w+/=-]{8,}", "[secret]"),
        ("earer ", r"(?<=[Bb]earer )[\w.~+/=-]+", "[token]"),
        # Anyone who knows the code of a redemption can use it.
        ("DUST-", r"\bDUST-[0-9A-Z]{16}\b", "[code]"),
    )
)
_MARKS = tuple(dict.fromkeys(mark for mark, _, _ in _NOT_FOR_LOGS))


def redact(line: str) -> str:
    """The line with e-mail addresses, tokens, secrets and codes replaced by `[email]` and so on."""
    for mark, pattern, replacement in _NOT_FOR_LOGS:
        if mark in line:
            line = pattern.sub(replacement, line)
    return line


def _redacted(value: Any) -> Any:
    """The value with each text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    return value if value is None or isinstance(value, int | float) else redact(repr(value))


def _rendered_redacted(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """The renderer, with redacted values.

    A rendered line has escapes for line breaks and for other scripts, which the patterns do not know. Most lines have
    no mark of a pattern, and are not looked through.
    """

    def redacting(logger: Any, method: str, line: MutableMapping[str, Any]) -> Any:
        rendered = str(render(logger, method, dict(line)))
        if not any(mark in rendered for mark in _MARKS):
            return rendered
        # The whole line too: a token may stand in the next field.
        return redact(str(render(logger, method, _redacted(line))))

    return redacting


# Characters that end a line or move a terminal's cursor. JSON escapes them; on a console they would take effect.
_MOVES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _in_its_lines(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Escape control characters in library texts, which may quote a request: it must not look like a separate log line.
    Our own keys and values are quoted and escaped anyway."""
    for name in ("event", "exception"):
        if isinstance(line.get(name), str):
            parts = line[name].split("\n")
            line[name] = "\n  ".join(_MOVES.sub(lambda character: ascii(character[0])[1:-1], part) for part in parts)
    return line


class _Lines:
    """structlog logger that writes finished lines to the handlers of the standard library's root logger.

    It creates no log records: with them an event that is received takes 1.19 times as much of the API's CPU.
    """

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
                    # If the log cannot be written (a full disk, for example), the logged operation must not fail.
                    handler.handleError(logging.makeLogRecord({"name": self.name, "msg": line}))

    debug = info = warning = error = critical = write


# While the broker is away or accepts no writes, these log the same lines with tracebacks up to several times a second.
_LOGGED_ONCE_A_MINUTE = ("celery.worker.consumer", "celery.beat", "kombu.transport", "flower.events")
_MINUTE_SECONDS = 60.0


class _OnceAMinute(logging.Filter):
    """Drops what these loggers repeat within a minute. Beat has an INFO line for each message, and these stay."""

    def __init__(self) -> None:
        super().__init__()
        self._until: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        is_usual = record.name == "celery.beat" and record.levelno < logging.WARNING
        if is_usual or not record.name.startswith(_LOGGED_ONCE_A_MINUTE):
            return True
        line, present = (record.name, str(record.msg)), time.monotonic()
        if self._until.get(line, present) > present:
            return False
        self._until = {known: until for known, until in self._until.items() if until > present}
        self._until[line] = present + _MINUTE_SECONDS
        return True


def set_up_logs(settings: Settings) -> None:
    """Configure logs: console lines on a terminal, JSON otherwise, also for the standard library's loggers."""
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
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        *([_in_its_lines] if wanted == "console" else []),
        _rendered_redacted(renderer),
    ]
    structlog.configure(
        processors=[*before, *rendering],
        logger_factory=lambda name="", *_: _Lines(name),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_OnceAMinute())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # httpx logs a line with the full URL for each call to Medusa. Failures are logged by Dust's client.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The health check reads the revision of the database, and Alembic logs INFO lines each time.
    logging.getLogger("alembic").setLevel(logging.WARNING)
