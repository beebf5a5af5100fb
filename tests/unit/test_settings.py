"""Settings: every missing or weak value is named at once, and its value is never shown."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from bridge.app import create_app
from bridge.cli import servers
from bridge.db import driver_url
from bridge.development.stack.up import _environment_file
from bridge.settings import Settings, SettingsError, get_settings, load_settings, misspelt_variables
from tests.support.deliveries import WEBHOOK_SECRET
from tests.support.tokens import ADMIN_TOKEN, JWT_SECRET, public_pem

GOOD = {
    "DUST_DATABASE_URL": "postgresql://nobody:pass-of-nobody@127.0.0.1:1/none",
    "DUST_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "DUST_JWT_SECRET": JWT_SECRET,
    "DUST_ADMIN_TOKEN": ADMIN_TOKEN,
}

# Of ES256, whose tokens Dust does not read.
ELLIPTIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----"""

Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Set variables; None removes one."""

    def change(**variables: str | None) -> None:
        for name, value in {**GOOD, **variables}.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    return change


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    get_settings.cache_clear()


def problems_of(read: Callable[[], Any]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        read()
    return refused.value.problems


@pytest.mark.parametrize(
    "url",
    [
        "mysql://dust:PASSWORD@host/dust",
        "postgresql://dust:%zzPASSWORD@host/dust",
        "postgresql://dust:PASSWORD@host/dust?sslmodus=require",
    ],
)
def test_an_address_that_is_none_of_postgres_is_refused_without_its_password(
    environment: Environment, url: str
) -> None:
    environment(DUST_DATABASE_URL=url)
    (problem,) = problems_of(load_settings)
    assert problem.startswith("DUST_DATABASE_URL")
    assert "PASSWORD" not in problem


def test_several_servers_are_one_address(environment: Environment) -> None:
    environment(DUST_DATABASE_URL="postgresql://dust:p%40ss@one:5001,two/dust?target_session_attrs=read-write")
    url = driver_url(str(load_settings().database_url))
    _, arguments = create_engine(url).dialect.create_connect_args(url)
    arguments.pop("context")
    assert arguments == {
        "user": "dust",
        "password": "p@ss",
        "dbname": "dust",
        "host": "one,two",
        "port": "5001,",
        "target_session_attrs": "read-write",
    }


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "not-a-secret"])
def test_outgoing_webhooks_need_a_strong_secret(environment: Environment, secret: str) -> None:
    environment(DUST_OUTGOING_WEBHOOK_URL="http://127.0.0.1:9/", DUST_OUTGOING_WEBHOOK_SECRET=secret)
    (problem,) = problems_of(load_settings)
    assert problem.startswith("DUST_OUTGOING_WEBHOOK_SECRET")


def test_only_what_sends_outgoing_webhooks_needs_their_secret(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(DUST_BROKER_URL="redis://127.0.0.1:1/0", DUST_OUTGOING_WEBHOOK_URL="http://127.0.0.1:9/")
    started: list[str] = []
    monkeypatch.setattr(servers, "_celery", lambda *command: started.append(command[0]))
    servers.worker(concurrency=1, queues="events,sweeps")
    servers.beat()
    assert started == ["worker", "beat"]
    for queues in ("medusa", "events, medusa", "events,redemptions,medusa,sweeps"):
        (problem,) = problems_of(lambda queues=queues: servers.worker(concurrency=1, queues=queues))
        assert problem.startswith("DUST_OUTGOING_WEBHOOK_SECRET is not set although DUST_OUTGOING_WEBHOOK_URL is")
    assert started == ["worker", "beat"]


@pytest.mark.parametrize("url", ["ftp://shop.test", "shop.test/hook", "http://", "http://[", "http://a:b", "file:///x"])
def test_outgoing_webhooks_go_to_an_http_address(environment: Environment, url: str) -> None:
    environment(DUST_OUTGOING_WEBHOOK_URL=url, DUST_OUTGOING_WEBHOOK_SECRET=WEBHOOK_SECRET)
    (problem,) = problems_of(load_settings)
    assert problem.startswith("DUST_OUTGOING_WEBHOOK_URL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DUST_WEBHOOK_SECRETS", "whsec_dG9vLXNob3J0"),
        ("DUST_WEBHOOK_SECRETS", "not-a-webhook-secret-at-all-but-long-enough"),
        ("DUST_WEBHOOK_SECRETS", "whsec_!!!!not-base64-at-all-but-long-enough!!!!"),
        ("DUST_WEBHOOK_SECRETS", f"{WEBHOOK_SECRET},whsec_c2hvcnQtb25lLWFtb25n"),
        ("DUST_WEBHOOK_SECRETS", "whsec_" + "QUFB" * 30),
        ("DUST_JWT_SECRET", "supersecret"),
        ("DUST_JWT_SECRET", "fifteen-letters"),
        ("DUST_ADMIN_TOKEN", "thirty-one-characters-long-----"),
        ("DUST_MEDUSA_API_KEY", "pk_that-is-not-a-secret-key"),
        ("DUST_FLOWER_BASIC_AUTH", "operator:short"),
        ("DUST_FLOWER_BASIC_AUTH", "operator-without-password"),
        ("DUST_FLOWER_BASIC_AUTH", ":password-without-operator"),
        ("DUST_DATABASE_URL", "mysql://root:hidden-password@127.0.0.1/x"),
        ("DUST_BROKER_URL", "http://:hidden-password@127.0.0.1"),
        ("DUST_BROKER_URL", "redis://:hidden-password@one;redis://:hidden-password@two"),
        ("DUST_BROKER_URL", "amqp://u:hidden-password@one;two:5672"),
        ("DUST_BROKER_URL", "amqps://u:hidden-password@one;amqp://u:hidden-password@two"),
        ("DUST_MEDUSA_URL", "ftp://hidden-password@127.0.0.1"),
        ("DUST_MEDUSA_URL", "http:///shop"),
        ("DUST_MEDUSA_URL", "http://[::1"),
        ("DUST_MEDUSA_URL", "http://shop:port"),
        ("DUST_MEDUSA_URL", "http://my shop"),
        ("DUST_MEDUSA_URL", "http://shop..example"),
        ("DUST_MEDUSA_URL", "http://" + "a" * 64 + ".example"),
        ("DUST_MEDUSA_URL", "http://bücher..example"),
        ("DUST_MEDUSA_URL", "http://sh\nop.example"),
        ("DUST_MEDUSA_URL", "http://shop\\@other.example"),
        ("DUST_MEDUSA_URL", "http://user:hidden-password@shop.example"),
        ("DUST_BROKER_URL", "redis://:hidden/password@one:6379/0"),
        ("DUST_BROKER_URL", "redis://:hidden#password@one:6379/0"),
        ("DUST_BROKER_URL", "redis://:6379/hidden?password@one:6379/0"),
        ("DUST_BROKER_URL", "amqp://u:hidden-password@one:5672;amqp://u:hidden/password@two:5672"),
        ("DUST_BROKER_URL", "redis://[::1:6379/0"),
        ("DUST_BROKER_URL", "redis://one:6379/hidden-database"),
        ("DUST_BROKER_URL", "rediss://one:6379/0/hidden"),
        ("DUST_BROKER_URL", "redis://one:6379/-1"),
        ("DUST_JWT_PUBLIC_KEY", ELLIPTIC_KEY),
        ("DUST_RATE_LIMIT_PUBLIC", "0/minute"),
        ("DUST_RATE_LIMIT_GUESTS", "10/minute;100/hour"),
        ("DUST_HOST", "http://127.0.0.1"),
        ("DUST_HOST", "127.0.0.1:8600"),
        ("DUST_HOST", "[::1]"),
        ("DUST_HOST", "127.0.0.256"),
        ("DUST_HOST", "two words"),
        ("DUST_HOST", "shop..example"),
        ("DUST_DATA_DIR", "~nobody-of-that-name/dust"),
        ("DUST_FLOWER_COOKIE_SECRET", "short-secret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces.internal:4318"),
        ("DUST_DATABASE_POOLED", "perhaps"),
        ("DUST_MEDUSA_TIMEOUT_SECONDS", "five"),
        ("DUST_HOST", "\udcff"),
        ("DUST_JWT_SECRET", "long enough, but not a text \udcff"),
        ("DUST_DATABASE_URL", "postgresql://dust:hidden-password\udcff@127.0.0.1/dust"),
        ("DUST_MEDUSA_URL", "http://shop.test?store=1"),
        ("DUST_MEDUSA_API_KEY", "sk_…"),
        ("DUST_MEDUSA_API_KEY", "sk_a b"),
        ("DUST_MEDUSA_PUBLISHABLE_KEY", "sk_a-secret-key"),
        ("DUST_MEDUSA_PUBLISHABLE_KEY", "pk_…"),
        ("DUST_MEDUSA_PUBLISHABLE_KEY", "pk_a\nb"),
        ("DUST_ADMIN_TOKEN", "ü" * 40),
        ("DUST_ADMIN_TOKEN", "a token of words that is long enough"),
        ("DUST_CORS_ORIGINS", "https://a.example, shop.example.org"),
        ("DUST_CORS_ORIGINS", "https://a.example/path"),
        ("DUST_TRUSTED_PROXIES", "10.0.0.1,proxy.internal"),
        ("DUST_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("DUST_SWEEP_SECONDS", "99999999999999999999"),
        ("DUST_PORT", "65536"),
        ("DUST_LOG_FORMAT", "xml"),
        ("DUST_RETRY_ATTEMPTS", "0"),
    ],
)
def test_a_weak_or_wrong_value_is_named_and_not_shown(environment: Environment, name: str, value: str) -> None:
    environment(**{name: value})
    problems = problems_of(load_settings)
    assert [problem.partition(":")[0] for problem in problems] == [name]
    assert value not in str(problems)
    assert "hidden-password" not in str(problems)
    assert not re.search("Value error|Input should|codec|pattern", str(problems))


@pytest.mark.parametrize("field", sorted(set(Settings.model_fields) - {"jwt_secret", "otlp_endpoint"}))
def test_a_blank_value_is_the_default_as_an_empty_one(environment: Environment, field: str) -> None:
    """With a blank DUST_HOST, the API listened on every address of the machine."""
    environment(**{f"DUST_{field.upper()}": " \t"})
    given = getattr(load_settings(), field)
    environment(**{f"DUST_{field.upper()}": ""})
    assert given == getattr(load_settings(), field) == Settings.model_fields[field].default


def test_numbers_and_choices_are_explained(environment: Environment) -> None:
    environment(DUST_PORT="x", DUST_FLOWER_PORT="-1", DUST_RETRY_ATTEMPTS="51", DUST_LOG_FORMAT="xml")
    assert problems_of(load_settings) == [
        "DUST_PORT: must be a whole number",
        "DUST_FLOWER_PORT: must be at least 0",
        "DUST_LOG_FORMAT: must be 'console' or 'json'",
        "DUST_RETRY_ATTEMPTS: must be at most 50",
    ]


def test_a_tilde_is_the_home_folder(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/shop")
    environment(DUST_DATA_DIR="~/dust data")
    assert load_settings().data_dir == Path("/home/shop/dust data")


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "fe80::1%eth0", "localhost", "api.shop-1.example", "my_service"])
def test_addresses_and_names_of_this_machine_are_hosts(environment: Environment, host: str) -> None:
    environment(DUST_HOST=host)
    assert load_settings().host == host


@pytest.mark.parametrize("url", [None, "amqp://one", "redis://one", "amqps://one", "rediss://one"])
def test_an_authority_is_a_file_of_certificates_for_a_broker_behind_tls(
    environment: Environment, tmp_path: Path, url: str | None
) -> None:
    (tmp_path / "empty").touch()
    for file in (tmp_path / "missing", tmp_path / "empty", tmp_path):
        environment(DUST_BROKER_URL=url, DUST_BROKER_CA_FILE=str(file))
        (problem,) = problems_of(load_settings)
        assert problem.startswith("DUST_BROKER_CA_FILE: ")
        assert ("certificates" in problem) == (url in {"amqps://one", "rediss://one"})


def test_everything_that_is_wrong_is_named_at_once(environment: Environment) -> None:
    environment(DUST_JWT_SECRET="short", DUST_ADMIN_TOKEN="short", DUST_PORT="x")
    assert {problem.partition(":")[0] for problem in problems_of(load_settings)} == {
        "DUST_JWT_SECRET", "DUST_ADMIN_TOKEN", "DUST_PORT",
    }  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, ""])
def test_the_api_does_not_start_without_what_it_needs(environment: Environment, name: str, value: str | None) -> None:
    environment(**{name: value})
    assert problems_of(create_app) == [f"{name} is not set"]


def test_everything_that_is_missing_is_named_at_once(environment: Environment) -> None:
    environment(DUST_DATABASE_URL=None, DUST_WEBHOOK_SECRETS=None, DUST_ADMIN_TOKEN=None, DUST_JWT_SECRET=None)
    assert problems_of(create_app) == [
        "DUST_DATABASE_URL is not set", "DUST_WEBHOOK_SECRETS is not set", "DUST_ADMIN_TOKEN is not set",
        "DUST_JWT_SECRET is not set",
    ]  # fmt: skip


def test_a_public_key_replaces_the_jwt_secret(environment: Environment) -> None:
    environment(DUST_JWT_SECRET=None, DUST_JWT_PUBLIC_KEY=public_pem())
    assert create_app()


def test_secrets_are_in_no_text_that_settings_give_of_themselves(environment: Environment) -> None:
    environment(DUST_MEDUSA_API_KEY="sk_0123456789", DUST_FLOWER_BASIC_AUTH="operator:long-password")
    settings = load_settings()
    for text in (repr(settings), str(settings), str(settings.model_dump())):
        for secret in (WEBHOOK_SECRET, JWT_SECRET, ADMIN_TOKEN, "sk_0123456789", "long-password"):
            assert secret not in text


def test_white_space_around_a_value_is_not_part_of_it(environment: Environment) -> None:
    environment(
        DUST_MEDUSA_URL=" http://medusa:9000/\n",
        DUST_DATABASE_URL="postgresql://dust@127.0.0.1/dust\r\n",
        DUST_ADMIN_TOKEN=f"{ADMIN_TOKEN}\n",
        DUST_FLOWER_BASIC_AUTH="operator:password\n",
        DUST_LOG_FORMAT="json\n",
        DUST_JWT_SECRET=f"{JWT_SECRET}\n",
    )
    settings = load_settings()
    assert settings.medusa_url == "http://medusa:9000"
    assert settings.database_url == "postgresql://dust@127.0.0.1/dust"
    assert settings.log_format == "json"
    secrets = [settings.admin_token, settings.flower_basic_auth, settings.jwt_secret]
    # Medusa signs with its secret as it is.
    assert [secret and secret.get_secret_value() for secret in secrets] == [
        ADMIN_TOKEN,
        "operator:password",
        f"{JWT_SECRET}\n",
    ]


def test_comma_lists_and_addresses_are_cleaned(environment: Environment) -> None:
    environment(DUST_CORS_ORIGINS=" https://a.example , https://b.example/,", DUST_MEDUSA_URL="https://shop.example/")
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.medusa_url == "https://shop.example"


@pytest.mark.parametrize(
    "secret", ["it's a long secret'", "back\\slash\\\\ and \\' both", 'with "double" quotes', "# hash"]
)
def test_commands_beside_a_stack_read_its_secrets_as_they_are(
    environment: Environment, tmp_path: Path, secret: str
) -> None:
    environment(DUST_JWT_SECRET=None, DUST_DATA_DIR=str(tmp_path))
    with _environment_file({"DUST_DATA_DIR": str(tmp_path), "DUST_JWT_SECRET": f"{secret}, as Medusa has it"}):
        assert load_settings().jwt_secret == SecretStr(f"{secret}, as Medusa has it")


def test_origins_are_written_as_browsers_send_them(environment: Environment) -> None:
    environment(
        DUST_CORS_ORIGINS="HTTPS://Shop.Example:443,http://localhost:80,http://localhost:443,https://[::1]:8443,*"
    )
    assert load_settings().cors_origins == (
        "https://shop.example",
        "http://localhost",
        "http://localhost:443",
        "https://[::1]:8443",
        "*",
    )


def test_nothing_listens_beyond_loopback_unless_configured() -> None:
    assert Settings().host == "127.0.0.1"
    assert Settings(host="0.0.0.0").flower_host == "127.0.0.1"
    assert Settings(host="0.0.0.0", flower_basic_auth="operator:long-password").flower_host == "0.0.0.0"


def test_a_public_key_may_have_its_line_breaks_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pem = public_pem()
    monkeypatch.setenv("DUST_JWT_PUBLIC_KEY", pem.replace("\n", "\\n"))
    assert load_settings().jwt_public_key == pem
    monkeypatch.setenv("DUST_JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----\\nnonsense")
    with pytest.raises(SettingsError, match="DUST_JWT_PUBLIC_KEY: must be a public key in PEM"):
        load_settings()


@pytest.mark.parametrize(
    ("host", "called"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("fe80::1%eth0", "[fe80::1%eth0]"),
        ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]"),
        ("api.example", "api.example"),
    ],
)
def test_a_server_is_called_where_this_machine_reaches_it(host: str, called: str) -> None:
    settings = Settings(host=host, flower_basic_auth="operator:long-password")
    assert settings.api_address == f"http://{called}:8600"
    assert settings.flower_address == f"http://{called}:5555"
    assert Settings(host=host).flower_address == "http://127.0.0.1:5555"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DUST_ADMIN_TOKEN", f'"{"x" * 40}"'),
        ("DUST_FLOWER_BASIC_AUTH", "'operator:long-password'"),
        ("DUST_DATA_DIR", ' "/var/lib/dust"\n'),
        ("DUST_PORT", '"8600"'),
        ("DUST_MEDUSA_URL", '""'),
    ],
)
def test_quotes_that_no_shell_removed_are_named(environment: Environment, name: str, value: str) -> None:
    environment(**{name: value})
    with pytest.raises(SettingsError, match=f"{name}: is in quotes, .* remove them"):
        load_settings()


def test_one_quote_is_a_part_of_a_secret(environment: Environment) -> None:
    environment(DUST_ADMIN_TOKEN='"' + "x" * 40, DUST_JWT_SECRET='"0123456789abcdef"')
    secrets = load_settings()
    assert secrets.admin_token is not None
    assert secrets.admin_token.get_secret_value() == '"' + "x" * 40
    # Medusa uses it as it is.
    assert secrets.jwt_secret is not None
    assert secrets.jwt_secret.get_secret_value() == '"0123456789abcdef"'


def test_a_misspelt_variable_is_named_with_what_it_looks_like(environment: Environment) -> None:
    environment(
        DUST_MEDUSA_ULR="http://medusa:9000",
        dust_cors_origin="https://shop.example",
        # The plugin's own, and others that look like none of ours.
        DUST_URL="http://dust:8600",
        DUST_WEBHOOK_SECRET="whsec_1",
        DUST_BRIDGE_URL="http://dust:8600",
        # It looks like one that is set.
        DUST_PORTS="8600",
        DUST_PORT="8600",
    )
    assert misspelt_variables() == [
        "DUST_MEDUSA_ULR is no setting: is DUST_MEDUSA_URL meant?",
        "dust_cors_origin is no setting: is DUST_CORS_ORIGINS meant?",
    ]
