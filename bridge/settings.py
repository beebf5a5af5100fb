"""Settings from `DUST_…` environment variables. Only this module reads the environment."""

import difflib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge.setting_types import (
    AdminToken,
    BrokerCaFile,
    BrokerUrl,
    CookieSecret,
    DataDir,
    FlowerLogin,
    Host,
    JwtSecret,
    MedusaUrl,
    Origins,
    OtlpEndpoint,
    PostgresUrl,
    Proxies,
    PublicKey,
    PublishableKey,
    RateLimit,
    SecretApiKey,
    WebhookSecret,
    WebhookSecrets,
    WebhookUrl,
    host_to_call,
)

# A shell removes them, `docker run --env-file` does not.
_QUOTES = {"'", '"'}


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

        A blank value is the default, as an empty one. Otherwise a blank `DUST_HOST` would be every address of the
        machine. Medusa uses its `jwtSecret` as it is, so Dust does too.
        """
        if not isinstance(value, str):
            return value
        if not value.isascii() and value.encode("utf-8", "replace").decode() != value:
            # Python reads bytes that are not UTF-8 as half surrogates.
            raise ValueError("must be UTF-8")
        if info.field_name == "jwt_secret":
            return value
        value = value.strip()
        if value[:1] in _QUOTES and value[1:].endswith(value[0]):
            raise ValueError("is in quotes, which are part of the value here: remove them")
        return value or cls.model_fields[str(info.field_name)].get_default()

    database_url: PostgresUrl | None = None
    """`postgresql://…`, Postgres 14 to 18. With several servers in the address, the one that accepts writes is used.
    `dust up` starts its own Postgres in `DUST_DATA_DIR` if this is unset."""
    database_pooled: bool = False
    """Whether the connection goes through a pooler that assigns connections per transaction, such as PgBouncer."""
    owner_database_url: PostgresUrl | None = None
    """The address for `dust migrate`, if the user in `DUST_DATABASE_URL` does not own the tables."""
    broker_url: BrokerUrl | None = None
    """`redis://…` (Redis 6.2 or later) or `amqp://…` (RabbitMQ 3.10 or later). List all nodes of a RabbitMQ cluster,
    separated by `;`. `dust up` starts its own Redis if this is unset."""
    broker_ca_file: BrokerCaFile | None = None
    """A PEM file with the certificate authority of an `amqps://` or `rediss://` broker, if the machine does not trust
    it already."""
    data_dir: DataDir = Path(".dust")
    """The folder for the data of the embedded servers, generated secrets and Flower's history."""
    host: Host = "127.0.0.1"
    """The address on which the API listens, and Flower if it has a login."""
    port: int = Field(default=8600, ge=0, le=65535)
    """The port of the API."""
    flower_port: int = Field(default=5555, ge=0, le=65535)
    """The port of Flower."""

    medusa_url: MedusaUrl | None = None
    """The address of Medusa."""
    medusa_api_key: SecretApiKey | None = None
    """A secret API key of Medusa, `sk_…`."""
    medusa_publishable_key: PublishableKey | None = None
    """A publishable API key of Medusa, `pk_…`. Needed to read carts."""
    medusa_timeout_seconds: float = Field(default=5.0, gt=0, le=30)
    """Timeout of each call to Medusa, in seconds, from the request to the end of the answer."""

    webhook_secrets: WebhookSecrets = ()
    """Secrets of incoming webhooks, `whsec_…`, separated by commas. A signature by any of them is valid, so you can
    rotate them. `dust secret` makes one, and `dust up` makes its own if this is unset."""
    jwt_secret: JwtSecret | None = None
    """Medusa's `jwtSecret` (HS256). Set this or `DUST_JWT_PUBLIC_KEY`. This secret can also sign tokens of Medusa's
    administrators. `dust up` makes its own if neither is set."""
    jwt_public_key: PublicKey | None = None
    """Medusa's `jwtPublicKey` in PEM (RS256, recommended)."""
    admin_token: AdminToken | None = None
    """The token for `/admin/dust/*`, at least 32 characters. `dust up` makes its own if this is unset."""
    flower_basic_auth: FlowerLogin | None = None
    """Flower's login, `user:password`. Without it Flower starts only as part of `dust up`, on loopback."""
    flower_cookie_secret: CookieSecret | None = None
    """Signs Flower's cookies, so that open pages work after a restart. `dust up` makes its own if this is unset."""
    # Set by `dust up` for its own Flower, not by users, and left out of the reference: it may run without a login, on
    # loopback only.
    flower_open: bool = False
    cors_origins: Origins = ()
    """Origins whose pages may call Dust directly, separated by commas."""
    trusted_proxies: Proxies = ("127.0.0.1",)
    """Proxies whose `X-Forwarded-For` names the client: addresses or networks separated by commas, or `*` for all. Name
    your reverse proxy, and Medusa if the plugin forwards requests."""
    rate_limit_public: RateLimit = "6000/minute"
    """Public requests (products, programme, rewards) per client address and process; above it, 429."""
    rate_limit_guests: RateLimit = "600/minute"
    """Quotes for guests, and forecasts, each per client address and process; forecasts of a signed-in customer per
    customer."""
    rate_limit_customers: RateLimit = "120/minute"
    """Quotes, redemptions, releases and referrals: each per customer and process."""
    # Any address is allowed, loopback too, because the operator sets it.
    outgoing_webhook_url: WebhookUrl | None = None
    """The shop's address for outgoing webhooks."""
    outgoing_webhook_secret: WebhookSecret | None = None
    """Signs outgoing webhooks, `whsec_…`. Needed if `DUST_OUTGOING_WEBHOOK_URL` is set, in the process that sends
    them."""
    log_format: Literal["console", "json"] | None = None
    """`console` or `json`. By default `console` on a terminal and `json` elsewhere."""
    # OpenTelemetry's own variable, so that one setting works for all programs of a machine. Its other variables
    # (headers, protocol, sampling) are read by its library.
    otlp_endpoint: OtlpEndpoint | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "DUST_OTLP_ENDPOINT")
    )
    """Where OpenTelemetry traces are sent. Needs the extra `tracing`."""

    test_clock: bool = False
    """Whether `dust clock` can move the time. `dust up` with its own Postgres sets it. Never set it in production."""

    retry_attempts: int = Field(default=10, ge=1, le=50)
    """Attempts per event with temporary errors (Medusa down, for example) before it is marked as failed. Ten attempts
    take about ten minutes."""
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

    @property
    def api_address(self) -> str:
        """The address at which this machine calls the API."""
        return f"http://{host_to_call(self.host)}:{self.port}"

    @property
    def flower_address(self) -> str:
        """The address at which this machine calls Flower."""
        return f"http://{host_to_call(self.flower_host)}:{self.flower_port}"

    def require(self, *names: str) -> None:
        """Require these settings. Raises `SettingsError` with the name of every missing variable."""
        if missing := self.missing(*names):
            raise SettingsError([f"{name} is not set" for name in missing])

    def missing(self, *names: str) -> list[str]:
        """Return the variables of these settings that are not set."""
        return [f"DUST_{name.upper()}" for name in names if not getattr(self, name)]

    def require_outgoing_webhook_secret(self) -> None:
        """Require a secret if outgoing webhooks are configured, so that none is unsigned. Raises `SettingsError`."""
        if self.outgoing_webhook_url and not self.outgoing_webhook_secret:
            problem = (
                "is not set although DUST_OUTGOING_WEBHOOK_URL is: make one with `dust secret`, the receiver checks it"
            )
            raise SettingsError([f"DUST_OUTGOING_WEBHOOK_SECRET {problem}"])


# Pydantic's errors in words for operators, with the limit that it gives.
_WORDS = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


# Two letters in the wrong order, one missing or one too many.
_SIMILAR = 0.88
# The plugin's variables, as its README names them.
_OF_THE_PLUGIN = {"DUST_URL", "DUST_WEBHOOK_SECRET"}


class SettingsError(Exception):
    """One or more environment variables are missing or invalid. `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def misspelt_variables() -> list[str]:
    """A line for each variable that no setting has, but that looks like one that is not set: `DUST_MEDUSA_ULR`.

    Other variables with this prefix are ignored: they can be the plugin's or the shop's.
    """
    names = {f"DUST_{name.upper()}" for name in Settings.model_fields}
    present = {name for name in os.environ if name.upper().startswith("DUST_")}
    unset = names - {name.upper() for name in present}
    guesses = {
        name: difflib.get_close_matches(name.upper(), unset, n=1, cutoff=_SIMILAR)
        for name in sorted(present)
        if name.upper() not in names | _OF_THE_PLUGIN
    }
    return [f"{name} is no setting: is {guess[0]} meant?" for name, guess in guesses.items() if guess]


def forget_variables(*names: str) -> None:
    """Remove variables of the environment that a library would prefer to Dust's settings."""
    for name in names:
        os.environ.pop(name, None)


def log_as_json() -> None:
    """Write logs as JSON, whatever `DUST_LOG_FORMAT` is. For this process and those that it starts."""
    os.environ["DUST_LOG_FORMAT"] = "json"


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
        raise SettingsError([_line(problem) for problem in error.errors(include_input=False)]) from None


def _line(problem: Mapping[str, Any]) -> str:
    """The variable, and what its value must be."""
    name = str(problem["loc"][0]).upper() if problem["loc"] else "?"
    variable = name if name.startswith("OTEL_") else f"DUST_{name.removeprefix('DUST_')}"
    words = _WORDS.get(problem["type"])
    requirement = words.format(**problem.get("ctx", {})) if words else problem["msg"].removeprefix("Value error, ")
    return f"{variable}: {requirement}"


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
