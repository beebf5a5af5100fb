"""docker-compose.yml, .env.example and docker/make-env.sh agree, and services have only the secrets that they use."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from bridge.settings import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]


# Addresses count as secrets: they contain passwords.
SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEY|AUTH|DATABASE_URL|BROKER_URL")
MEDUSA = {"DUST_MEDUSA_API_KEY", "DUST_MEDUSA_PUBLISHABLE_KEY"}
WORKER = {"DUST_DATABASE_URL", "DUST_BROKER_URL", *MEDUSA}
SECRETS_OF = {
    "postgres": {"POSTGRES_PASSWORD", "POSTGRES_DUST_PASSWORD", "POSTGRES_DUST_SERVE_PASSWORD"},
    "redis": {"REDISCLI_AUTH"},
    "migrate": {"DUST_OWNER_DATABASE_URL"},
    "api": {*WORKER, "DUST_WEBHOOK_SECRETS", "DUST_JWT_SECRET", "DUST_JWT_PUBLIC_KEY", "DUST_ADMIN_TOKEN"},
    "worker": WORKER,
    "redemptions-worker": WORKER,
    "medusa-worker": {*WORKER, "DUST_OUTGOING_WEBHOOK_SECRET"},
    "beat": {"DUST_BROKER_URL"},
    "flower": {"DUST_DATABASE_URL", "DUST_BROKER_URL", "DUST_FLOWER_BASIC_AUTH", "DUST_FLOWER_COOKIE_SECRET"},
}


def variables_of(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match("[A-Z_]+=", line))


EXAMPLE = variables_of(ROOT / ".env.example")


def test_each_service_has_only_the_secrets_that_it_uses() -> None:
    secrets = {
        name: {variable for variable in service["environment"] if SECRET.search(variable)}
        for name, service in SERVICES.items()
    }
    assert secrets == SECRETS_OF


def test_only_migrate_logs_in_as_the_owner() -> None:
    users = {
        name: url.split("://")[1].split(":")[0]
        for name, service in SERVICES.items()
        for variable, url in service["environment"].items()
        if variable.endswith("DATABASE_URL")
    }
    assert users.pop("migrate") == "dust"
    assert set(users.values()) == {"dust_serve"}


def test_one_service_builds_the_image_and_no_other_fetches_it() -> None:
    of_dust = {name: service for name, service in SERVICES.items() if service["image"] == "dust"}
    assert [name for name, service in of_dust.items() if "build" in service] == ["migrate"]
    assert {service["pull_policy"] for name, service in of_dust.items() if name != "migrate"} == {"never"}


def test_logs_are_rotated_and_memory_is_limited() -> None:
    for name, service in SERVICES.items():
        assert service["logging"]["options"]["max-size"], name
        assert service["mem_limit"], name


def test_the_example_lists_every_variable() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert set(EXAMPLE) == used
    assert set(EXAMPLE.values()) == {""}


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / ".env"
    subprocess.run([ROOT / "docker/make-env.sh", file], check=True, capture_output=True)
    return file


@pytest.mark.system
def test_the_secrets_that_are_made_are_accepted(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = variables_of(env_file)
    assert set(variables) == set(EXAMPLE)
    required = set(re.findall(r"\$\{([A-Z_]+):\?run docker/make-env.sh", COMPOSE))
    assert {name for name in required if not variables[name]} == set()
    secrets = [value for value in variables.values() if value]
    assert len(set(secrets)) == len(secrets) > 8
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    load_settings(join_running=False).require(
        "webhook_secrets", "admin_token", "flower_basic_auth", "outgoing_webhook_secret"
    )


@pytest.mark.system
def test_the_file_is_for_its_owner_and_never_overwritten(env_file: Path) -> None:
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    before = env_file.read_bytes()
    again = subprocess.run([ROOT / "docker/make-env.sh", env_file], capture_output=True, text=True)
    assert again.returncode == 1
    assert "was not changed" in again.stderr
    assert env_file.read_bytes() == before
    assert list(env_file.parent.iterdir()) == [env_file]
