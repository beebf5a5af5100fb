"""Verifies Standard Webhooks 1.0 signatures: HMAC-SHA256 over `id.timestamp.body`, on the raw bytes.

The published Python library is not used: it decodes the body before it verifies it, and accepts only one secret. This
endpoint must answer 401 to any bytes, and its secrets rotate.
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
# Dots separate the signed parts. An id that contains a timestamp could be another delivery, split elsewhere.
_HOLDS_A_TIMESTAMP = re.compile(r"\.[0-9]+\.")
# More than a rotation needs. A header with ten thousand signatures must not cost ten thousand comparisons.
_MAX_SIGNATURES = 16


class BadSignature(NotAuthentic):
    """The signature headers are missing or malformed, the timestamp is too far away, or no signature matches."""

    code = "bad_signature"


def verify(headers: Mapping[str, str], body: bytes, keys: Iterable[bytes], *, now: datetime) -> str:
    """Return the event's id if one signature matches one of these keys. Raises `BadSignature` otherwise.

    Headers are text as HTTP servers decode it (latin-1). Any invalid bytes in them raise `BadSignature` too.
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
    # Every pair is compared, so that the time taken does not reveal which one matches.
    matches = [hmac.compare_digest(signature, candidate) for signature in given for candidate in expected]
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
