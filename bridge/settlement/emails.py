"""E-mails as a keyed hash: enough to find a guest's dust when they say who they are, useless without the key.

HMAC-SHA256 with a key that is made once and lives in the database, see docs/decisions/0012 and 0038. The e-mail
itself is never kept here, never logged, and is part of no error.
"""

import hashlib
import hmac
import secrets
import string
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from bridge.settlement.tables import email_key, guest_escrow, mailbox, proved_email

_KEY_BYTES = 32
_HASHES_AT_ONCE = 10_000
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def normalise_email(email: str) -> str:
    """The same for spellings that every mail system takes for one address: outer space and the case of A to Z.

    Nothing cleverer. Unicode's case folding makes one of `straße` and `strasse`, a provider's own rules (dots, plus
    signs) hold nowhere else, and each such equation would give somebody the dust of another.
    """
    return email.strip().translate(_LOWER)


def hash_email(key: bytes, email: str) -> bytes:
    """The hash of an e-mail: HMAC-SHA256 with the first key, the result again with the next one, and so on.

    So what older keys have hashed can be hashed on with a new key, without the e-mail (`replace_key`).
    """
    # JSON can carry half a surrogate pair, which no address has; it must not break the hash.
    hashed = normalise_email(email).encode("utf-8", "surrogatepass")
    for start in range(0, len(key), _KEY_BYTES):
        hashed = _hash_on(key[start : start + _KEY_BYTES], hashed)
    return hashed


def _hash_on(key: bytes, hashed: bytes) -> bytes:
    return hmac.digest(key, hashed, hashlib.sha256)


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
    """Add a new key, and drop the hashes of guests' orders; how many of them wait without one now.

    The next comparison with Medusa brings their e-mails again (`dust reconcile --since`), hashed with the new key. What
    Medusa may no longer know, proofs and mailboxes of deleted accounts, is hashed on with the new key and kept.
    """
    # Others who hash e-mails end first, or begin after us and read the new key.
    connection.exec_driver_sql("LOCK TABLE mailbox, proved_email, guest_escrow IN EXCLUSIVE MODE")
    older, fresh = email_hash_key(connection, now=now), secrets.token_bytes(_KEY_BYTES)
    connection.execute(delete(email_key))
    connection.execute(insert(email_key).values(id=1, key=older + fresh, created_at=now))
    for table in (mailbox, proved_email):
        _hash_all_on(connection, table, fresh)
    lost = connection.execute(
        update(guest_escrow).where(guest_escrow.c.email_hash.is_not(None)).values(email_hash=None, updated_at=now)
    )
    return lost.rowcount


def _hash_all_on(connection: Connection, table: Table, key: bytes) -> None:
    hashes = [bytes(each) for each in connection.scalars(select(table.c.email_hash))]
    # Many in one statement: a new hash never equals an old one, so the order does not matter.
    pairs = "unnest(CAST(:old AS bytea[]), CAST(:new AS bytea[])) AS pair (old, new)"
    swap = text(f"UPDATE {table.name} SET email_hash = pair.new FROM {pairs} WHERE email_hash = pair.old")  # noqa: S608
    for start in range(0, len(hashes), _HASHES_AT_ONCE):
        some = hashes[start : start + _HASHES_AT_ONCE]
        connection.execute(swap, {"old": some, "new": [_hash_on(key, each) for each in some]})
