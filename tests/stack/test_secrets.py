from pathlib import Path

import pytest

from bridge.development.stack.secrets import own_secrets
from bridge.settings import Settings, load_settings
from tests.support.tokens import public_pem


def test_secrets_are_created_once_and_readable_only_by_the_owner(tmp_path: Path) -> None:
    first = own_secrets(Settings(), tmp_path)
    assert own_secrets(Settings(), tmp_path) == first
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for name, file in first.files.items():
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text() == first.environment[name]


def test_they_satisfy_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in own_secrets(Settings(), tmp_path).environment.items():
        monkeypatch.setenv(name, value)
    load_settings().require("webhook_secrets", "jwt_secret", "admin_token", "flower_cookie_secret")


def test_given_secrets_are_not_created(tmp_path: Path) -> None:
    given = Settings(admin_token="t" * 32, jwt_public_key=public_pem())
    assert set(own_secrets(given, tmp_path).environment) == {"DUST_WEBHOOK_SECRETS", "DUST_FLOWER_COOKIE_SECRET"}


def test_two_folders_have_different_secrets(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (own_secrets(Settings(), tmp_path / name).environment for name in ("one", "two"))
    assert set(first.values()).isdisjoint(second.values())
