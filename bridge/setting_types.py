"""Types of the settings, with the checks of their values. An error says what a value must be, and never shows it."""

import base64
import binascii
import re
import ssl
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import httpx
import limits
import psycopg
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo
from pydantic_settings import NoDecode

# Standard Webhooks asks for 24 to 64 random bytes.
_WEBHOOK_SECRET_BYTES = range(24, 65)
# Sixteen characters of a random secret are 96 bits or more; shops generate shorter ones than RFC 7518's 32 bytes.
_JWT_SECRET_CHARACTERS = 16
_ADMIN_TOKEN_CHARACTERS = 32
_FLOWER_PASSWORD_CHARACTERS = 8
_COOKIE_SECRET_CHARACTERS = 16
# Secrets from tutorials and templates. Medusa's own starter has the first.
_KNOWN_SECRETS = {"supersecret", "secret", "changeme", "password"}

_CLUSTERED = {"amqp://", "amqps://"}

# Keys and tokens are sent in HTTP headers, which carry no other characters unchanged.
_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")
_ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")
# Labels of letters, digits and hyphens; the last has a letter, because four numbers are an address.
_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*(?!-)(?![0-9]+$)[a-z0-9_-]{1,63}", re.IGNORECASE)


def _split_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(map(_as_browsers_send, origins))
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("each must be an origin without a path, such as https://shop.example")
    return origins


def _as_browsers_send(origin: str) -> str:
    """The origin in lower case, without a slash at the end, and without the port that its scheme has anyway."""
    origin = origin.removesuffix("/").lower()
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def _without_tilde(folder: Path) -> Path:
    # A shell replaces `~` only without quotes, and a .env file has no shell.
    try:
        return folder.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~ and the name of a user whom this machine does not have") from None


def _host(host: str) -> str:
    try:
        ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(
                "must be an address or a name of this machine, such as 127.0.0.1 or 0.0.0.0 (all addresses), without "
                "http:// and without a port, which is DUST_PORT"
            ) from None
    return host


def host_to_call(host: str) -> str:
    """The host, as an address has it, at which this machine calls a server that listens on `host`.

    For a server that listens on all addresses it is loopback: 0.0.0.0 -> 127.0.0.1, :: -> [::1], fe80::1 -> [fe80::1].
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return "127.0.0.1" if address.is_unspecified else host
    return "[::1]" if address.is_unspecified else f"[{host}]"


def _proxies(proxies: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for proxy in proxies:
            if proxy != "*":
                ip_network(proxy, strict=False)
    except ValueError:
        raise ValueError("each must be an IP address, a network such as 10.0.0.0/8, or *") from None
    return proxies


def _rate_limit(limit: str) -> str:
    try:
        (parsed,) = limits.parse_many(limit)
    except ValueError:
        raise ValueError("must be a number and a time, such as 120/minute or 5000/hour") from None
    if parsed.amount == 0:
        raise ValueError("must allow at least one request; for no limit, write a large number")
    return limit


def _webhook_secret(secret: SecretStr) -> SecretStr:
    if len(webhook_key(secret)) not in _WEBHOOK_SECRET_BYTES:
        raise ValueError("a secret must hold 24 to 64 random bytes: make one with `dust secret`")
    return secret


def _webhook_url(url: str) -> str:
    if not _is_http_address(url):
        raise ValueError("must be one http:// or https:// address")
    return url


def _jwt_secret(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if len(value) < _JWT_SECRET_CHARACTERS or value.lower() in _KNOWN_SECRETS:
        raise ValueError(f"too weak: set at least {_JWT_SECRET_CHARACTERS} random characters, the same in Medusa")
    return secret


def _public_key(key: str) -> str:
    # An .env file cannot have line breaks, so `\n` is accepted for them.
    pem = key.replace("\\n", "\n")
    try:
        loaded = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("must be a public key in PEM, -----BEGIN PUBLIC KEY-----") from error
    if not isinstance(loaded, RSAPublicKey):
        raise ValueError("must be an RSA key: let Medusa sign tokens with RS256")
    return pem


def _admin_token(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < _ADMIN_TOKEN_CHARACTERS:
        raise ValueError(f"too weak: at least {_ADMIN_TOKEN_CHARACTERS} characters, for example `openssl rand -hex 32`")
    if not _HEADER_TEXT.fullmatch(token.get_secret_value()):
        raise ValueError("must be plain ASCII without spaces, because it is sent in a header")
    return token


def _secret_api_key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().startswith("sk_"):
        raise ValueError("must be a Medusa secret API key, which starts with sk_")
    if not _HEADER_TEXT.fullmatch(key.get_secret_value()):
        raise ValueError("must be the whole key as Medusa showed it: without spaces and placeholders")
    return key


def _publishable_key(key: str) -> str:
    if not (key.startswith("pk_") and _HEADER_TEXT.fullmatch(key)):
        raise ValueError("must be a Medusa publishable API key, whole, which starts with pk_")
    return key


def _otlp_endpoint(url: str) -> str:
    if not _is_http_address(url):
        raise ValueError("must be an http:// or https:// address, such as http://collector:4318")
    return url


def _medusa_url(url: str) -> str:
    if not _is_http_address(url) or "?" in url or "#" in url:
        raise ValueError("must be an http:// or https:// address, such as https://shop.example")
    if "@" in urlsplit(url).netloc:
        raise ValueError("must have no user and password, because Dust logs in with DUST_MEDUSA_API_KEY")
    return url.rstrip("/")


def _postgres_url(url: str) -> str:
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


def _broker_url(url: str) -> str:
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
        if parts.scheme in {"redis", "rediss"} and not re.fullmatch(r"(/[0-9]*)?", parts.path):
            # Redis numbers its databases. Otherwise each worker would end as it connects.
            return False
        # After a `/`, `?` or `#` in a password, its rest and the host are no longer in `netloc`.
        return parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        return False


def _broker_ca_file(file: Path, info: ValidationInfo) -> Path:
    # A wrong address has its own error, so it is not reported here too.
    url = info.data.get("broker_url", "amqps://")
    if not (url or "").startswith(("amqps://", "rediss://")):
        raise ValueError("is for an amqps:// or rediss:// address in DUST_BROKER_URL, which is none")
    file = _without_tilde(file)
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        # OpenSSL's own message names neither the file nor the certificates.
        raise ValueError("must name a file that can be read, with certificates in PEM") from error
    return file


def _flower_login(login: SecretStr) -> SecretStr:
    user, _, password = login.get_secret_value().partition(":")
    if not user or len(password) < _FLOWER_PASSWORD_CHARACTERS:
        raise ValueError(f"must be user:password, the password at least {_FLOWER_PASSWORD_CHARACTERS} characters")
    # Flower can compare only ASCII logins. With others nobody could log in.
    if not login.get_secret_value().isascii():
        raise ValueError("must be plain ASCII")
    return login


def _cookie_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _COOKIE_SECRET_CHARACTERS:
        raise ValueError(
            f"too weak: at least {_COOKIE_SECRET_CHARACTERS} characters, for example `openssl rand -hex 32`"
        )
    return secret


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


def webhook_key(secret: SecretStr) -> bytes:
    """The raw HMAC key of a `whsec_<base64>` secret. Raises ValueError for any other text."""
    prefix, _, encoded = secret.get_secret_value().partition("_")
    if prefix != "whsec":
        raise ValueError("each secret must look like whsec_<base64>: make one with `dust secret`")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("each secret must be base64 after whsec_: make one with `dust secret`") from error


Item = TypeVar("Item")
CommaList = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_split_commas)]
PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
RateLimit = Annotated[str, AfterValidator(_rate_limit)]
Origins = Annotated[CommaList[str], AfterValidator(_origins)]
Proxies = Annotated[CommaList[str], AfterValidator(_proxies)]
Host = Annotated[str, AfterValidator(_host)]
DataDir = Annotated[Path, AfterValidator(_without_tilde)]
OtlpEndpoint = Annotated[str, AfterValidator(_otlp_endpoint)]
CookieSecret = Annotated[SecretStr, AfterValidator(_cookie_secret)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
BrokerCaFile = Annotated[Path, AfterValidator(_broker_ca_file)]
MedusaUrl = Annotated[str, AfterValidator(_medusa_url)]
SecretApiKey = Annotated[SecretStr, AfterValidator(_secret_api_key)]
PublishableKey = Annotated[str, AfterValidator(_publishable_key)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
WebhookSecrets = CommaList[WebhookSecret]
JwtSecret = Annotated[SecretStr, AfterValidator(_jwt_secret)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
AdminToken = Annotated[SecretStr, AfterValidator(_admin_token)]
FlowerLogin = Annotated[SecretStr, AfterValidator(_flower_login)]
WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]
