"""The command for the test clock."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from bridge.cli.output import AsJson, print_result
from bridge.clock import move_clock, now, read_offset, read_span, real_now, reread_clock
from bridge.db import in_batches, transaction
from bridge.errors import field_error
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.queue.enqueue import INBOX_DRAIN, OUTGOING_EXPIRING, PROGRAMME_PUBLISH_DRAFTS, REDEMPTIONS_SWEEP, publish

_CUSTOMERS_AT_ONCE = 200
# By then the workers have read the clock again.
_SOON_SECONDS = 2.0
# Longer than any rule of a programme, and well within Python's calendar.
_MAX_OFFSET = timedelta(days=365 * 200)


def clock(
    what: Annotated[
        str | None, typer.Argument(help="+30d, +12h, +1w2d …; `set` with a time; `reset`. Default: show.")
    ] = None,
    moment: Annotated[str | None, typer.Argument(help="For `set`: 2027-01-01 or 2027-01-01T00:00Z.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show or move Dust's test clock. Example: dust clock +30d

    Points that mature or expire by then are booked at once. Medusa's clock does not move, so new orders still have
    today's date; `dust trigger` sends orders of the moved day.
    """
    if what is not None:
        _move(what, moment)
    with transaction() as connection:
        ahead = read_offset(connection)
    sentence = f"{now():%Y-%m-%d %H:%M} UTC" + (f", {_words(ahead)} ahead of the real time" if ahead else "")
    print_result({"now": now().isoformat(), "ahead_seconds": ahead.total_seconds()}, sentence, as_json=as_json)


def _move(change: str, moment: str | None) -> None:
    with transaction() as connection:
        move_clock(connection, _offset(change, moment, read_offset(connection)))
    reread_clock()
    in_batches(
        lambda connection: post_due_lots(connection, now=now(), customers=_CUSTOMERS_AT_ONCE), size=_CUSTOMERS_AT_ONCE
    )
    for task in (PROGRAMME_PUBLISH_DRAFTS, INBOX_DRAIN, REDEMPTIONS_SWEEP, OUTGOING_EXPIRING):
        publish(task, countdown_seconds=_SOON_SECONDS)


def _offset(change: str, moment: str | None, ahead: timedelta) -> timedelta:
    if change == "set" and moment:
        offset = _moment(moment) - real_now()
    elif change == "reset" and not moment:
        offset = timedelta()
    elif change.startswith("+") and not moment:
        offset = ahead + _span(change.removeprefix("+"))
    else:
        raise field_error("clock", "must be +30d (also w, h, m), `set 2027-01-01T00:00Z`, or `reset`")
    if abs(offset) > _MAX_OFFSET:
        raise field_error("clock", "is too far away")
    return offset


def _span(text: str) -> timedelta:
    try:
        return read_span(text)
    except ValueError as error:
        raise field_error("clock", str(error)) from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise field_error("clock", f"{text!r} is not a time: write 2027-01-01T00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _words(span: timedelta) -> str:
    days, rest = span.days, span - timedelta(days=span.days)
    return f"{days} days {rest.seconds // 3600} h {rest.seconds % 3600 // 60} min"
