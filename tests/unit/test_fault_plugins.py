"""The fault tests replace functions and figures of Dust by name. A name that does not exist would replace nothing."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.support.faults

PLUGINS = sorted((Path(tests.support.faults.__file__).parent / "plugin").glob("*.py"))


def names_used(file: Path) -> Iterator[tuple[str, str, str]]:
    """Module, name imported from it, and attribute that is read or replaced; empty for the name itself."""
    tree = ast.parse(file.read_text())
    imported: dict[str, set[tuple[str, str]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in {"bridge", "workers"}:
            for name in node.names:
                imported.setdefault(name.name, set()).add((str(node.module), name.name))
                yield str(node.module), name.name, ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            for module, name in imported.get(node.value.id, ()):
                yield module, name, node.attr


@pytest.mark.parametrize("file", PLUGINS, ids=lambda file: file.stem)
def test_what_a_plugin_replaces_exists(file: Path) -> None:
    for module, name, attribute in names_used(file):
        try:
            replaced = getattr(importlib.import_module(module), name)
        except AttributeError:
            replaced = importlib.import_module(f"{module}.{name}")
        assert not attribute or hasattr(replaced, attribute), f"{module}.{name}.{attribute}"
