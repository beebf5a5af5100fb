"""Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, on the bytes as they came.

The published Python library decodes the body before it verifies it and takes one secret; a door that must answer 401 to
any bytes at all, and whose secrets rotate, needs neither.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from bridge.errors import NotAuthentic
from bridge.http.standard_webhooks import digest

TOLERANCE_SECONDS = 300
_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
# Dots part what is signed. An id with a timestamp in it could be another delivery's, cut in another place.
_HOLDS_A_TIMESTAMP = re.compile(r"\.[0-9]+\.")
# More than any rotation needs; a header of ten thousand signatures must not cost ten thousand comparisons.
_MAX_SIGNATURES = 16


class BadSignature(NotAuthentic):
    """The signature headers are missing, malformed, too old, or do not fit the body."""

    code = "bad_signature"


def verify(headers: Mapping[str, str], body: bytes, keys: Iterable[bytes], *, now: datetime) -> str:
    """The event's id, once a signature by any of these keys is found. Raises `BadSignature` for anything else.

    Headers are text as HTTP servers give it (latin-1); whatever bytes they hold, the answer is `BadSignature`.
    """
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(event_id):
        raise BadSignature("webhook-id is missing or not 1 to 255 printable characters.")
    if _HOLDS_A_TIMESTAMP.search(event_id):
        raise BadSignature("webhook-id holds a number between dots, which looks like a timestamp.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp is missing or not whole seconds since 1970.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature(f"webhook-timestamp is more than {TOLERANCE_SECONDS} seconds away from now.")
    given = list(_signatures(headers.get("webhook-signature", "")))
    expected = [digest(key, event_id, int(timestamp), body) for key in keys]
    # Every pair is compared, so that how long it takes says nothing about which one fits.
    matches = [hmac.compare_digest(one, other) for one in given for other in expected]
    if not any(matches):
        raise BadSignature("webhook-signature does not fit: check that both sides have the same secret.")
    return event_id


def _signatures(header: str) -> Iterable[bytes]:
    for part in header.split(" ")[:_MAX_SIGNATURES]:
        version, _, encoded = part.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue
