"""The architecture: imports run one way, every error has its status, every task its worker and queue."""

import ast
import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge
from bridge.errors import DustError
from bridge.http.problems import status_of
from bridge.queue import enqueue
from bridge.settings import Settings
from tests.support.docs import HOOKS
from tests.support.source_files import ROOT, files_of, imports

# A package may import itself, those after it, and the shared ones.
LAYERS = (
    "webhooks", "inbox", "simulation", "imports", "settlement", "redemptions", "products", "programme", "ledger",
    "outgoing", "medusa",
)  # fmt: skip
# Alembic compares the tables of all packages with the database.
ALL_TABLES = ROOT / "bridge/db/migrations/all_tables.py"
# These packages do not import each other.
INDEPENDENT = {"products", "programme"}
SHARED = {
    "clock", "counted", "csv_cells", "db", "errors", "gc_tuning", "http", "ids", "observability", "per_process",
    "queue", "setting_types", "settings",
}  # fmt: skip
# Modules of `bridge` itself: what is shared by all and fits into no package, and the ASGI factory.
LOOSE_FILES = {
    "__init__", "app", "clock", "counted", "csv_cells", "errors", "gc_tuning", "ids", "per_process", "setting_types",
    "settings",
}  # fmt: skip
# Programs of their own, and migrations, which Alembic loads.
NO_MODULES = ("bridge.db.migrations.", "bridge.cli.__main__", "bridge.development.stack.launch")
MAX_LINES = 400


def packages_used(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file) if name.startswith("bridge.")}


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_those_after_it_and_shared_ones(package: str) -> None:
    after = set(LAYERS[LAYERS.index(package) :])
    allowed = (after | SHARED) - (INDEPENDENT - {package} if package in INDEPENDENT else set())
    for file in files_of(f"bridge/{package}"):
        assert packages_used(file) <= allowed, f"{file} imports {sorted(packages_used(file) - allowed)}"


def test_shared_packages_import_shared_ones_only() -> None:
    for name in SHARED:
        folder = ROOT / "bridge" / name
        for file in files_of(f"bridge/{name}") if folder.is_dir() else [folder.with_suffix(".py")]:
            if file != ALL_TABLES:
                assert packages_used(file) <= SHARED, file


def test_bridge_has_few_files_outside_packages() -> None:
    assert {file.stem for file in (ROOT / "bridge").glob("*.py")} == LOOSE_FILES


def test_no_file_is_too_long() -> None:
    for file in [*files_of("bridge"), *files_of("workers")]:
        assert len(file.read_text().splitlines()) <= MAX_LINES, file


def test_the_bridge_does_not_import_the_workers() -> None:
    for file in files_of("bridge"):
        assert not any(name.split(".")[0] == "workers" for name in imports(file)) or "cli" in file.parts, file


def test_tests_share_only_what_is_in_support() -> None:
    """Helpers that several test files use are in `tests/support`."""
    for file in files_of("tests"):
        own = {name for name in imports(file) if name.startswith("tests.")}
        assert all(name.startswith("tests.support.") for name in own), f"{file}: {sorted(own)}"


def test_the_docstring_names_every_package() -> None:
    for package in LAYERS:
        assert re.search(rf"\b{package}\b", str(bridge.__doc__)), package


def test_rules_and_medusa_do_no_database_work() -> None:
    for file in [*files_of("bridge/programme"), *files_of("bridge/medusa")]:
        if file.parts[-2:] in {
            ("programme", "versions.py"),
            ("programme", "drafts.py"),
            ("programme", "shop_currencies.py"),
        }:
            continue
        assert not any(name.startswith(("sqlalchemy", "psycopg", "bridge.db")) for name in imports(file)), file


def writes_of(file: Path, table: str) -> Iterator[ast.Call]:
    """Calls of `update(table)`, `insert(table)`, `table.update()` and `table.insert()`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func), *map(ast.unparse, node.args)
            if call in {("update", table), ("insert", table), (f"{table}.update",), (f"{table}.insert",)}:
                yield node


def test_only_the_lifecycle_writes_the_state_of_a_redemption() -> None:
    folder = ROOT / "bridge/redemptions"
    allowed = {folder / "lifecycle.py", folder / "repository.py"}
    for file in [*files_of("bridge"), *files_of("workers")]:
        if file in allowed or "migrations" in file.parts:
            continue
        source = file.read_text()
        assert not re.search(r"(UPDATE|INSERT INTO) dust_redemption\b", source), file
        assert not list(writes_of(file, "dust_redemption")), file
        assert not (file.parent == folder and re.search(r"replace\([^()]*\bstate=", source)), file
    assert len(list(writes_of(folder / "lifecycle.py", "dust_redemption"))) == 2
    repository = (folder / "repository.py").read_text()
    assert len(list(writes_of(folder / "repository.py", "dust_redemption"))) == 2
    assert not re.search(r"state=|\"state\"(?!:)", repository), "save_redemption must not write the state"


def every_error() -> list[type[DustError]]:
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if not module.name.startswith(NO_MODULES):
            importlib.import_module(module.name)
    errors, waiting = [], [DustError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        errors.append(kind)
    return errors


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
    return {value for name, value in vars(enqueue).items() if name.isupper() and isinstance(value, str)}


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
    """Tasks may pass a connection on. Statements and rules are in `bridge`."""
    for file in files_of("workers"):
        names = [name for name in imports(file) if name != "sqlalchemy.Connection"]
        assert not any(name.startswith(("sqlalchemy", "psycopg", "httpx")) for name in names), file


def test_only_settings_reads_the_environment() -> None:
    """`dust up` passes variables on to the processes that it starts; those read settings."""
    for file in [*files_of("bridge"), *files_of("workers"), ROOT / "celeryconfig.py"]:
        if file.name != "settings.py" and "development" not in file.parts:
            assert not re.search(r"os\.environ(?!\.setdefault)|getenv", file.read_text()), file


PUBLIC_SETTINGS = (
    "DUST_DATABASE_URL", "DUST_BROKER_URL", "DUST_DATA_DIR", "DUST_HOST", "DUST_PORT", "DUST_FLOWER_PORT",
    "DUST_MEDUSA_URL", "DUST_MEDUSA_API_KEY", "DUST_MEDUSA_PUBLISHABLE_KEY", "DUST_WEBHOOK_SECRETS",
    "DUST_JWT_SECRET", "DUST_JWT_PUBLIC_KEY", "DUST_ADMIN_TOKEN", "DUST_FLOWER_BASIC_AUTH", "DUST_CORS_ORIGINS",
    "DUST_LOG_FORMAT",
)  # fmt: skip


def test_the_docs_name_every_setting() -> None:
    documented = set(re.findall(r"`([A-Z_]+)`", HOOKS.settings_page()))
    internal = {"DUST_FLOWER_OPEN"}
    fields = {f"DUST_{name.upper()}" for name in Settings.model_fields}
    assert set(PUBLIC_SETTINGS) <= fields
    assert fields - internal - documented == {"DUST_OTLP_ENDPOINT"}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in documented
