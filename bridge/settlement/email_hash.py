"""Keyed hashes of e-mails, to find a guest's points when the guest is known. Useless without the key.

HMAC-SHA256 with a key that is generated once and stored in the database, see docs/decisions/0012 and 0038. The e-mail
itself is never stored here, never logged, and never part of an error.
"""

import hashlib
import hmac
import secrets
import string
import unicodedata
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from bridge.settlement.tables import email_key, guest_escrow, mailbox, proved_email

_KEY_BYTES = 32
# DNS has no longer ones.
_MAX_LABEL_CHARACTERS = 63
_HASHES_AT_ONCE = 10_000
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def normalise_email(email: str) -> str:
    """Normalise spellings that every mail system treats as one address: outer space, the case of A to Z, and in the
    domain the case and the forms of all letters (`xn--mnchen-3ya.de` is `münchen.de`, and so is `MÜNCHEN.de`).

    It does no more than that. Before the `@`, Unicode's case folding equates `straße` and `strasse`, and a provider's
    own rules (dots, plus signs) apply nowhere else. Each such equation would give one person another's points.
    """
    local, at, domain = email.strip().translate(_LOWER).rpartition("@")
    return local + at + ".".join(_lower_letters(_decode_label(label)) for label in domain.split("."))


def _lower_letters(label: str) -> str:
    """The small letters of a part of a domain, each composed with its accents, as DNS has them (UTS 46)."""
    # Letter by letter: `lower` of a whole word gives another sigma at its end.
    return unicodedata.normalize("NFC", "".join(letter.lower() for letter in label))


def _decode_label(label: str) -> str:
    """The letters of a part of a domain that is encoded for DNS (RFC 3492); any other part as it is."""
    if not label.startswith("xn--") or len(label) > _MAX_LABEL_CHARACTERS:
        return label
    try:
        decoded = label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return label if decoded.isascii() else decoded


def hash_email(key: bytes, email: str) -> bytes:
    """Hash an e-mail: HMAC-SHA256 with the first key, the result again with the next key, and so on.

    So hashes made with older keys can be hashed further with a new key, without the e-mail (`replace_key`).
    """
    # JSON can contain half a surrogate pair, which no address has. It must not break the hash.
    hashed = normalise_email(email).encode("utf-8", "surrogatepass")
    for start in range(0, len(key), _KEY_BYTES):
        hashed = _hash_on(key[start : start + _KEY_BYTES], hashed)
    return hashed


def _hash_on(key: bytes, hashed: bytes) -> bytes:
    return hmac.digest(key, hashed, hashlib.sha256)


def email_hash_key(connection: Connection, *, now: datetime) -> bytes:
    """Return the key, generated at its first use. If two processes generate one at once, one of them is kept."""
    query = select(email_key.c.key)
    key: bytes | None = connection.scalar(query)
    if key is None:
        fresh = {"id": 1, "key": secrets.token_bytes(_KEY_BYTES), "created_at": now}
        connection.execute(insert(email_key).values(fresh).on_conflict_do_nothing())
        key = connection.scalar(query)
    assert key is not None
    return bytes(key)


def key_made_at(connection: Connection) -> int:
    """Return when the key was generated, as a Unix time in seconds; 0 while there is none."""
    made_at: datetime | None = connection.scalar(select(email_key.c.created_at))
    return int(made_at.timestamp()) if made_at else 0


def replace_key(connection: Connection, *, now: datetime) -> int:
    """Add a new key, delete the hashes of guests' orders, and return how many of them now have no hash.

    The next comparison with Medusa brings their e-mails again (`dust reconcile --since`), hashed with the new key.
    Proofs and mailboxes, which Medusa may no longer know, are hashed further with the new key and kept.
    """
    # Transactions that hash e-mails either end before this lock, or start after it and read the new key.
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
    hashes = [bytes(email_hash) for email_hash in connection.scalars(select(table.c.email_hash))]
    # Many in one statement: a new hash never equals an old one, so their sequence does not matter.
    pairs = "unnest(CAST(:old AS bytea[]), CAST(:new AS bytea[])) AS pair (old, new)"
    swap = text(f"UPDATE {table.name} SET email_hash = pair.new FROM {pairs} WHERE email_hash = pair.old")  # noqa: S608
    for start in range(0, len(hashes), _HASHES_AT_ONCE):
        batch = hashes[start : start + _HASHES_AT_ONCE]
        connection.execute(swap, {"old": batch, "new": [_hash_on(key, email_hash) for email_hash in batch]})
