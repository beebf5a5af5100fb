"""Checks of the addresses in settings. Each returns the address, or raises ValueError without its password."""

import re
from urllib.parse import urlsplit

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict

_CLUSTERED = {"amqp://", "amqps://"}


def check_webhook_url(url: str) -> str:
    if not _is_http_address(url):
        raise ValueError("must be one http:// or https:// address")
    return url


def check_medusa_url(url: str) -> str:
    if not _is_http_address(url) or "?" in url or "#" in url:
        raise ValueError("must be an http:// or https:// address, such as https://shop.example")
    if "@" in urlsplit(url).netloc:
        raise ValueError("must have no user and password, because Dust logs in with DUST_MEDUSA_API_KEY")
    return url.rstrip("/")


def check_postgres_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a postgresql:// address")
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # libpq's own message can contain the password.
        raise ValueError(
            "must be postgresql://user:password@host:port/database, with options that Postgres knows; a special "
            "character in the password is written %40, for example"
        ) from None
    return url


def check_broker_url(url: str) -> str:
    # Celery's syntax for the nodes of a cluster.
    addresses = [address.strip() for address in url.split(";")]
    if not addresses[0].startswith(("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")):
        raise ValueError("must be a redis:// or amqp:// address")
    if not all(_is_broker_address(address) for address in addresses):
        # The client's own message can contain a part of the password.
        raise ValueError(
            "must be redis://:password@host:port/0 or amqp://user:password@host:port/vhost; a special character in the "
            "password is written %2F, for example"
        )
    scheme = addresses[0].partition("://")[0] + "://"
    if len(addresses) > 1 and not (scheme in _CLUSTERED and all(address.startswith(scheme) for address in addresses)):
        raise ValueError(
            "several addresses, with ; between them, are the nodes of a RabbitMQ cluster: each must start with "
            "amqp://, or each with amqps:// (a ; in a password is written %3B)"
        )
    return ";".join(addresses)


def _is_broker_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        # After a `/`, `?` or `#` in a password, its rest and the host are no longer in `netloc`.
        return parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        return False


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Raises UnicodeError for a name that no resolver takes, such as `shop..example`.
        httpx.URL(url).raw_host.decode().encode("idna")
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and not re.search(r"[\s\\]", parts.netloc)
        )
    except (ValueError, httpx.InvalidURL):
        return False
