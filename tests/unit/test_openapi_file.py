"""openapi.json, from which the plugin's types and the reference are made, is the API's own schema."""

import json
from pathlib import Path

from bridge.app import create_app
from bridge.settings import Settings

FILE = Path(__file__).parents[2] / "openapi.json"


def test_the_committed_schema_is_that_of_the_api() -> None:
    committed = json.loads(FILE.read_text())
    assert committed == create_app(Settings()).openapi(), "openapi.json is out of date: run `make schema`"
