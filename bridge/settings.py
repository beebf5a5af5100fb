"""Settings from `DUST_…` environment variables. Only this module reads the environment."""

import base64
import binascii
import re
import ssl
from functools import cache
from ipaddress import ip_network
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
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# Standard Webhooks asks for 24 to 64 random bytes.
_WEBHOOK_SECRET_BYTES = range(24, 65)
# Sixteen characters of a random secret are 96 bits or more; shops generate shorter ones than RFC 7518's 32 bytes.
_JWT_SECRET_CHARACTERS = 16
_ADMIN_TOKEN_CHARACTERS = 32
_FLOWER_PASSWORD_CHARACTERS = 8
# Secrets from tutorials and templates. Medusa's own starter has the first.
_KNOWN_SECRETS = {"supersecret", "secret", "changeme", "password"}

_CLUSTERED = {"amqp://", "amqps://"}

# Keys and tokens are sent in HTTP headers, which carry no other characters unchanged.
_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")
_ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")


def _split_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    # A browser sends an origin without a slash at the end.
    origins = tuple(origin.removesuffix("/") for origin in origins)
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("each must be an origin without a path, such as https://shop.example")
    return origins


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


def _webhook_secrets(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in secrets:
        if len(webhook_key(secret)) not in _WEBHOOK_SECRET_BYTES:
            raise ValueError("each secret must hold 24 to 64 random bytes: make one with `dust secret`")
    return secrets


def _webhook_secret(secret: SecretStr) -> SecretStr:
    if len(webhook_key(secret)) not in _WEBHOOK_SECRET_BYTES:
        raise ValueError("must hold 24 to 64 random bytes: make one with `dust secret`")
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
        # After a `/`, `?` or `#` in a password, its rest and the host are no longer in `netloc`.
        return parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        return False


def _broker_ca_file(file: Path, others: ValidationInfo) -> Path:
    # A wrong address has its own error, so it is not reported here too.
    url = others.data.get("broker_url", "amqps://")
    if not (url or "").startswith(("amqps://", "rediss://")):
        raise ValueError("is for an amqps:// or rediss:// address in DUST_BROKER_URL, which is none")
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


Item = TypeVar("Item")
CommaList = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_split_commas)]
PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
RateLimit = Annotated[str, AfterValidator(_rate_limit)]


class Settings(BaseSettings):
    """All settings. Secrets are never shown in a repr or a log."""

    # The docstring of a field is its description in the generated settings reference.
    model_config = SettingsConfigDict(
        env_prefix="DUST_",
        extra="ignore",
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_white_space(cls, value: object, info: ValidationInfo) -> object:
        """Remove white space at the ends: a secret from a file often ends with a line break.

        Medusa uses its `jwtSecret` as it is, so Dust does too.
        """
        return value.strip() if isinstance(value, str) and info.field_name != "jwt_secret" else value

    database_url: PostgresUrl | None = None
    """`postgresql://…`, Postgres 14 to 18. With several servers in the address, the one that accepts writes is used.
    `dust up` starts its own Postgres in `DUST_DATA_DIR` if this is unset."""
    database_pooled: bool = False
    """Whether the connection goes through a pooler that assigns connections per transaction, such as PgBouncer."""
    owner_database_url: PostgresUrl | None = None
    """The address for `dust migrate`, if the user in `DUST_DATABASE_URL` does not own the tables."""
    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = None
    """`redis://…` (Redis 6.2 or later) or `amqp://…` (RabbitMQ 3.10 or later). List all nodes of a RabbitMQ cluster,
    separated by `;`. `dust up` starts its own Redis if this is unset."""
    broker_ca_file: Annotated[Path, AfterValidator(_broker_ca_file)] | None = None
    """A PEM file with the certificate authority of an `amqps://` or `rediss://` broker, if the machine does not trust
    it already."""
    data_dir: Path = Path(".dust")
    """The folder for the data of the embedded servers, generated secrets and Flower's history."""
    host: str = "127.0.0.1"
    """The address on which the API listens, and Flower if it has a login."""
    port: int = Field(default=8600, ge=0, le=65535)
    """The port of the API."""
    flower_port: int = Field(default=5555, ge=0, le=65535)
    """The port of Flower."""

    medusa_url: Annotated[str, AfterValidator(_medusa_url)] | None = None
    """The address of Medusa."""
    medusa_api_key: Annotated[SecretStr, AfterValidator(_secret_api_key)] | None = None
    """A secret API key of Medusa, `sk_…`."""
    medusa_publishable_key: Annotated[str, AfterValidator(_publishable_key)] | None = None
    """A publishable API key of Medusa, `pk_…`. Needed to read carts."""
    medusa_timeout_seconds: float = Field(default=5.0, gt=0, le=30)
    """Timeout of each call to Medusa, in seconds, from the request to the end of the answer."""

    webhook_secrets: Annotated[CommaList[SecretStr], AfterValidator(_webhook_secrets)] = ()
    """Secrets of incoming webhooks, `whsec_…`, separated by commas. A signature by any of them is valid, so you can
    rotate them. `dust secret` makes one, and `dust up` makes its own if this is unset."""
    jwt_secret: Annotated[SecretStr, AfterValidator(_jwt_secret)] | None = None
    """Medusa's `jwtSecret` (HS256). Set this or `DUST_JWT_PUBLIC_KEY`. This secret can also sign tokens of Medusa's
    administrators. `dust up` makes its own if neither is set."""
    jwt_public_key: Annotated[str, AfterValidator(_public_key)] | None = None
    """Medusa's `jwtPublicKey` in PEM (RS256, recommended)."""
    admin_token: Annotated[SecretStr, AfterValidator(_admin_token)] | None = None
    """The token for `/admin/dust/*`, at least 32 characters. `dust up` makes its own if this is unset."""
    flower_basic_auth: Annotated[SecretStr, AfterValidator(_flower_login)] | None = None
    """Flower's login, `user:password`. Without it Flower starts only as part of `dust up`, on loopback."""
    flower_cookie_secret: SecretStr | None = None
    """Signs Flower's cookies, so that open pages work after a restart. `dust up` makes its own if this is unset."""
    # Set by `dust up` for its own Flower, not by users, and left out of the reference: it may run without a login, on
    # loopback only.
    flower_open: bool = False
    cors_origins: Annotated[CommaList[str], AfterValidator(_origins)] = ()
    """Origins whose pages may call Dust directly, separated by commas."""
    trusted_proxies: Annotated[CommaList[str], AfterValidator(_proxies)] = ("127.0.0.1",)
    """Proxies whose `X-Forwarded-For` names the client: addresses or networks separated by commas, or `*` for all. Name
    your reverse proxy, and Medusa if the plugin forwards requests."""
    rate_limit_public: RateLimit = "6000/minute"
    """Public requests (products, programme, rewards) per client address and process; above it, 429."""
    rate_limit_guests: RateLimit = "600/minute"
    """Quotes for guests, and forecasts, per client address; forecasts of a signed-in customer per customer."""
    rate_limit_customers: RateLimit = "120/minute"
    """Quotes, redemptions, releases and referrals per customer."""
    # Any address is allowed, loopback too, because the operator sets it.
    outgoing_webhook_url: Annotated[str, AfterValidator(_webhook_url)] | None = None
    """The shop's address for outgoing webhooks."""
    outgoing_webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = None
    """Signs outgoing webhooks, `whsec_…`. Needed if `DUST_OUTGOING_WEBHOOK_URL` is set, in the process that sends
    them."""
    log_format: str | None = Field(default=None, pattern="^(console|json)$")
    """`console` or `json`. By default `console` on a terminal and `json` elsewhere."""
    # OpenTelemetry's own variable, so that one setting works for all programs of a machine. Its other variables
    # (headers, protocol, sampling) are read by its library.
    otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "DUST_OTLP_ENDPOINT")
    )
    """Where OpenTelemetry traces are sent. Needs the extra `tracing`."""

    test_clock: bool = False
    """Whether `dust clock` can move the time. `dust up` with its own Postgres sets it. Never set it in production."""

    retry_attempts: int = Field(default=10, ge=1, le=50)
    """Attempts per event with temporary errors (Medusa down, for example) before it is marked as failed. Ten attempts
    take about twelve minutes."""
    inbox_days: int = Field(default=90, ge=1, le=3650)
    """Days until the bodies of processed events are reduced to ids."""
    reconcile_seconds: int = Field(default=60, ge=1, le=86_400)
    """Seconds between two polls of Medusa for changes."""
    sweep_seconds: int = Field(default=5, ge=1, le=86_400)
    """Seconds until a lost message to a worker is replaced."""

    @property
    def migration_url(self) -> str | None:
        """The database address for `dust migrate`."""
        return self.owner_database_url or self.database_url

    @property
    def flower_host(self) -> str:
        """The address on which Flower listens. Without a login it is loopback only."""
        return self.host if self.flower_basic_auth else "127.0.0.1"

    def require(self, *names: str) -> None:
        """Require these settings. Raises `SettingsError` with the name of every missing variable."""
        missing = [f"DUST_{name.upper()}" for name in names if not getattr(self, name)]
        if missing:
            raise SettingsError([f"{name} is not set" for name in missing])

    def require_outgoing_webhook_secret(self) -> None:
        """Require a secret if outgoing webhooks are configured, so that none is unsigned. Raises `SettingsError`."""
        if self.outgoing_webhook_url and not self.outgoing_webhook_secret:
            problem = (
                "is not set although DUST_OUTGOING_WEBHOOK_URL is: make one with `dust secret`, the receiver checks it"
            )
            raise SettingsError([f"DUST_OUTGOING_WEBHOOK_SECRET {problem}"])


class SettingsError(Exception):
    """One or more environment variables are missing or invalid. `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


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


def running_stack_file(data_dir: Path) -> Path:
    """The file with the variables of a running `dust up`, for commands in other terminals."""
    return data_dir / "running.env"


def load_settings(*, join_running: bool = True) -> Settings:
    """Read the settings from the environment. Raises `SettingsError` with variable names, never with their values.

    Unset variables are taken from the stack that runs in the data folder, unless `join_running` is False: a new stack
    must not use the ports of the last one.
    """
    try:
        settings = Settings()
        file = running_stack_file(settings.data_dir)
        return Settings(_env_file=file) if join_running and file.is_file() else settings
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0]).upper() if problem["loc"] else "?"
            lines.append(f"DUST_{name}: {problem['msg'].removeprefix('Value error, ')}")
        raise SettingsError(lines) from None


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
