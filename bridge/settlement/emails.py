"""E-mails as a keyed hash: enough to find a guest's dust when they say who they are, useless without the key.

HMAC-SHA256 with a key that is made once and lives in the database, see docs/decisions/0012. The e-mail itself is never
kept here, never logged, and is part of no error.
"""

import hashlib
import hmac
import secrets
import string
from datetime import datetime

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.settlement.tables import email_key, guest_escrow, proved_email

_KEY_BYTES = 32
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def normalise_email(email: str) -> str:
    """The same for spellings that every mail system takes for one address: outer space and the case of A to Z.

    Nothing cleverer. Unicode's case folding makes one of `straße` and `strasse`, a provider's own rules (dots, plus
    signs) hold nowhere else, and each such equation would give somebody the dust of another.
    """
    return email.strip().translate(_LOWER)


def hash_email(key: bytes, email: str) -> bytes:
    # JSON can carry half a surrogate pair, which no address has; it must not break the hash.
    return hmac.digest(key, normalise_email(email).encode("utf-8", "surrogatepass"), hashlib.sha256)


def email_hash_key(connection: Connection, *, now: datetime) -> bytes:
    """The key; made at its first use, and of two that make it at once one is kept."""
    query = select(email_key.c.key)
    key: bytes | None = connection.scalar(query)
    if key is None:
        fresh = {"id": 1, "key": secrets.token_bytes(_KEY_BYTES), "created_at": now}
        connection.execute(insert(email_key).values(fresh).on_conflict_do_nothing())
        key = connection.scalar(query)
    assert key is not None
    return bytes(key)


def key_made_at(connection: Connection) -> int:
    """When the key was made, in whole seconds; 0 while there is none."""
    made_at: datetime | None = connection.scalar(select(email_key.c.created_at))
    return int(made_at.timestamp()) if made_at else 0


def replace_key(connection: Connection, *, now: datetime) -> int:
    """Make a new key and drop every hash that the old one made; how many guests' orders wait without one now.

    The next comparison with Medusa brings their e-mails again (`dust reconcile --since`), hashed with the new key.
    """
    # Whoever is settling or claiming ends first; whoever comes later reads the new key.
    connection.exec_driver_sql("LOCK TABLE proved_email, guest_escrow IN EXCLUSIVE MODE")
    connection.execute(delete(email_key))
    connection.execute(delete(proved_email))
    lost = connection.execute(
        update(guest_escrow).where(guest_escrow.c.email_hash.is_not(None)).values(email_hash=None, updated_at=now)
    )
    email_hash_key(connection, now=now)
    return lost.rowcount
