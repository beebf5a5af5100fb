"""The plugin has a route for each path of the bridge, so that no new path is forgotten."""

import json
import re

import pytest

from tests.support.source_files import ROOT

ROUTES = ROOT / "medusa-plugin/src/api"
# The plugin answers these itself.
OWN_PATHS = {
    "/admin/dust/deliveries",
    "/admin/dust/deliveries/retry",
    "/admin/dust/deliveries/{event_id}/retry",
    "/admin/dust/codes/withdraw",
}


def paths_of_the_bridge(beginning: str) -> dict[str, set[str]]:
    paths = json.loads((ROOT / "openapi.json").read_text())["paths"]
    return {
        path: {method.upper() for method in methods} for path, methods in paths.items() if is_below(path, beginning)
    }


def paths_of_the_plugin(beginning: str) -> dict[str, set[str]]:
    """Path and methods of every route file that passes requests on."""
    paths = {}
    for file in ROUTES.rglob("route.ts"):
        path = "/" + str(file.parent.relative_to(ROUTES)).replace("[", "{").replace("]", "}")
        if path not in OWN_PATHS and is_below(path, beginning):
            paths[path] = set(re.findall(r"forward\w+ as (\w+)", file.read_text()))
    return paths


def is_below(path: str, beginning: str) -> bool:
    return path == beginning or path.startswith(f"{beginning}/")


@pytest.mark.parametrize("beginning", ["/admin/dust", "/store/dust"])
def test_the_plugin_forwards_every_path_of_the_bridge(beginning: str) -> None:
    assert paths_of_the_plugin(beginning) == paths_of_the_bridge(beginning)


def test_routes_of_the_admin_api_are_passed_on_as_an_operator() -> None:
    for file in (ROUTES / "admin").rglob("route.ts"):
        forwards = set(re.findall(r"forward\w+", file.read_text())) - {"forward"}
        assert forwards <= {"forwardAsOperator", "forwardLongAsOperator"}, file


def test_no_folder_has_a_name_that_the_build_of_a_plugin_leaves_out() -> None:
    # `_Compiler_backendIgnoreFiles` in @medusajs/framework 2.21.2, dist/build-tools/compiler.js: routes below such a
    # folder are in no build.
    left_out = {"test", "unit-tests", "integration-tests"}
    folders = {folder for file in ROUTES.parent.rglob("*") for folder in file.relative_to(ROUTES.parent).parts[:-1]}
    assert not folders & left_out


def test_no_path_of_the_plugin_has_test_in_it() -> None:
    """The build of Medusa 2.13.6 leaves out every file whose path has `test` anywhere, such as in `latest`."""
    source = ROOT / "medusa-plugin/src"
    assert [path for path in source.rglob("*") if "test" in str(path.relative_to(source))] == []
