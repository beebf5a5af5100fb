"""Databases that are not there."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.db import forget_engine
from bridge.settings import get_settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@contextmanager
def lost_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Postgres is not where it was, for as long as the block lasts."""
    with monkeypatch.context() as patch:
        patch.setenv("DUST_DATABASE_URL", NOWHERE)
        _look_again()
        yield
    _look_again()


def _look_again() -> None:
    get_settings.cache_clear()
    forget_engine()
