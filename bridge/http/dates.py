"""Dates in HTTP headers."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def read_http_date(text: str) -> datetime | None:
    """The date of a header (RFC 9110), in UTC if it names no time zone; None for any other text."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        # OverflowError: a time zone with many digits.
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
