"""The plan of the house holds: imports run one way, every error has its status, every task its worker and queue."""

import ast
import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge
from bridge import wake
from bridge.errors import DustError
from bridge.problems import status_of
from bridge.settings import Settings

ROOT = Path(__file__).parents[2]
# From the door inwards; a stop may import what stands after it. The shared files are the rest of `bridge`'s own pages.
STOPS = (
    "webhooks", "inbox", "simulation", "settlement", "redemptions", "imports", "products", "programme", "ledger",
    "notices", "medusa",
)  # fmt: skip
# Both stand beside the road at one height, so neither may import the other.
BESIDE = {"products", "programme"}
SHARED = {
    "backoff", "bulk", "clock", "csv_cells", "db", "errors", "ids", "last_run", "logs", "metrics", "otlp", "problems",
    "settings", "signing", "together", "tracing", "wake",
}  # fmt: skip


def imports(page: Path) -> Iterator[str]:
    """Full names of what a page imports, inside functions too."""
    for node in ast.walk(ast.parse(page.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{page}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_used(page: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(page) if name.startswith("bridge.")}


def pages_of(folder: str) -> list[Path]:
    pages = sorted((ROOT / folder).rglob("*.py"))
    assert pages
    return pages


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_imports_only_stops_after_it_and_shared_pages(stop: str) -> None:
    after = set(STOPS[STOPS.index(stop) :])
    allowed = (after | SHARED) - (BESIDE - {stop} if stop in BESIDE else set())
    for page in pages_of(f"bridge/{stop}"):
        assert rooms_used(page) <= allowed, f"{page} imports {sorted(rooms_used(page) - allowed)}"


def test_shared_pages_import_no_room() -> None:
    for name in SHARED:
        page = ROOT / f"bridge/{name}.py"
        assert rooms_used(page) <= SHARED, page


def test_the_road_knows_neither_its_windows_nor_its_workers() -> None:
    for page in pages_of("bridge"):
        assert not any(name.split(".")[0] == "workers" for name in imports(page)) or "cli" in page.parts, page


def test_the_map_names_every_stop() -> None:
    for stop in STOPS:
        assert re.search(rf"\b{stop}\b", str(bridge.__doc__)), stop


def test_rules_and_medusa_do_no_database_work() -> None:
    for page in [*pages_of("bridge/programme"), *pages_of("bridge/medusa")]:
        if page.parts[-2:] in {("programme", "versions.py"), ("programme", "currencies.py")}:
            continue
        assert not any(name.startswith(("sqlalchemy", "psycopg", "bridge.db")) for name in imports(page)), page


def every_error() -> list[type[DustError]]:
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if not module.name.startswith(("bridge.migrations.", "bridge.cli.__main__", "bridge.stack.launch")):
            importlib.import_module(module.name)
    found, waiting = [], [DustError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found.append(kind)
    return found


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    errors = [kind for kind in every_error() if kind is not DustError]
    assert len(errors) > 25
    codes: dict[str, type[DustError]] = {}
    for kind in errors:
        assert 400 <= status_of(kind.__new__(kind)) <= 503, kind
        assert "code" in vars(kind), f"{kind} has no code of its own"
        assert re.fullmatch(r"[a-z][a-z_]+", kind.code), kind
        assert codes.setdefault(kind.code, kind) is kind, f"{kind} and {codes[kind.code]} share a code"


def task_names() -> set[str]:
    return {value for name, value in vars(wake).items() if name.isupper() and isinstance(value, str)}


def test_every_task_has_a_worker_a_queue_and_every_beat_a_task() -> None:
    import celeryconfig
    from workers.app import app

    app.loader.import_default_modules()
    registered = {name for name in app.tasks if not name.startswith("celery.")}
    assert registered == task_names()
    queues = {queue.name for queue in celeryconfig.task_queues}
    for name in registered:
        routes = [
            route["queue"] for pattern, route in celeryconfig.task_routes.items() if fnmatch.fnmatch(name, pattern)
        ]
        assert len(routes) == 1, name
        assert routes[0] in queues
    assert {entry["task"] for entry in celeryconfig.beat_schedule.values()} <= registered


def test_tasks_hold_no_rules_of_their_own() -> None:
    """They may pass a transaction on, and so name its type; what is done in it is the bridge's business."""
    for page in pages_of("workers"):
        names = [name for name in imports(page) if name != "sqlalchemy.Connection"]
        assert not any(name.startswith(("sqlalchemy", "psycopg", "httpx")) for name in names), page


def test_only_settings_reads_the_environment() -> None:
    """The stack hands variables on to the processes that it starts; what it starts reads settings."""
    for page in [*pages_of("bridge"), *pages_of("workers"), ROOT / "celeryconfig.py"]:
        if page.name != "settings.py" and not {"stack", "demo"} & set(page.parts):
            assert not re.search(r"os\.environ(?!\.setdefault)|getenv", page.read_text()), page


CONTRACT_SETTINGS = (
    "DUST_DATABASE_URL", "DUST_BROKER_URL", "DUST_DATA_DIR", "DUST_HOST", "DUST_PORT", "DUST_FLOWER_PORT",
    "DUST_MEDUSA_URL", "DUST_MEDUSA_API_KEY", "DUST_MEDUSA_PUBLISHABLE_KEY", "DUST_WEBHOOK_SECRETS",
    "DUST_JWT_SECRET", "DUST_JWT_PUBLIC_KEY", "DUST_ADMIN_TOKEN", "DUST_FLOWER_BASIC_AUTH", "DUST_CORS_ORIGINS",
    "DUST_LOG_FORMAT",
)  # fmt: skip


def test_the_readme_names_every_setting_that_the_contract_promises() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in CONTRACT_SETTINGS if name.removeprefix("DUST_").lower() not in Settings.model_fields] == []
    assert [name for name in CONTRACT_SETTINGS if f"`{name}`" not in readme] == []
