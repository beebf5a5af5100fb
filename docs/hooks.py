"""MkDocs hook: writes the reference pages from the code while the site is built, so they cannot be out of date."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for page, text in PAGES.items():
        files.append(File.generated(config, page, content=text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in what comes from elsewhere, and replace links to files that are not on the site by their text."""
    if page.file.src_uri == "decisions/README.md":
        markdown += "\n" + "\n".join(_decisions())
    if page.file.src_uri == "explanation/redemptions.md":
        markdown = markdown.replace("<!-- lifecycle -->", _lifecycle())
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def plain(link: re.Match[str]) -> str:
        text, target = link.groups()
        outside = "://" not in target and not (folder / target).resolve().is_relative_to(ROOT / "docs")
        return text if outside else link[0]

    return re.sub(r"\[([^\]]+)\]\(([^)\s#]+)[^)\s]*\)", plain, markdown)


def _decisions() -> Iterator[str]:
    for file in sorted((ROOT / "docs/decisions").glob("0*.md")):
        title = file.read_text().partition("\n")[0].removeprefix("# ")
        yield f"- [{title.replace('. ', ' – ', 1)}]({file.name})"


def _lifecycle() -> str:
    """The state diagram and the table of events, which stand in the module that makes the transitions."""
    from bridge.redemptions import lifecycle

    text = str(lifecycle.__doc__)
    return text[text.index("```mermaid") : text.index("`pending` and `active`")].rstrip()


def settings_page() -> str:
    from bridge.settings import Settings

    rows = []
    for name, field in Settings.model_fields.items():
        if field.description is None:
            continue
        alias: Any = field.validation_alias
        variable = alias.choices[0] if alias else f"DUST_{name.upper()}"
        default = field.default
        shown = ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        rows.append((f"`{variable}`", f"`{shown}`" if shown else "–", field.description))
    return "\n".join(
        [
            "# Settings",
            "",
            "Every process of Dust reads its settings from the environment. A missing or weak secret stops the process "
            "that needs it, with the name of the variable. `dust doctor` checks an installation.",
            "",
            *_table(("Variable", "Default", "Meaning"), rows),
        ]
    )


def cli_page() -> str:
    from typer._click import Context
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from bridge.cli import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=Context(command, info_name="dust"), name="dust")
    # Typer shortens the descriptions in these lists. The page's table of contents shows all commands.
    text = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?", "", text)
    text = text.replace("# `dust`", "# Command line", 1)
    return text.replace(
        "Loyalty points for a Medusa shop.", "The `dust` command is `.venv/bin/dust` after `make install`.", 1
    )


def programme_page() -> str:
    from bridge.programme.rules import Programme

    schema = Programme.model_json_schema()
    sections = [
        "# Programme",
        "",
        "All rules are one JSON document, the programme. Read it with `GET /admin/dust/programme` or "
        "`dust programme show`, change it with `PUT /admin/dust/programme` or `dust programme set`, or edit it on the "
        "Dust page of Medusa's dashboard. Each change is a new version. Every field has a default, so `{}` is valid. "
        "Decimals are strings in JSON.",
        "",
        "How the rules work, with examples: [earning](../how-to/earning-rules.md), [bonuses](../how-to/bonuses.md), "
        "[spending](../how-to/spending-rules.md), [guests](../how-to/guests-and-accounts.md).",
        "",
        "## Programme",
        "",
        *_fields(schema),
    ]
    for name, definition in schema["$defs"].items():
        sections += _definition("##", name, definition)
    sections += ["## The default programme", "", "```json", json.dumps(Programme().document(), indent=2), "```"]
    return "\n".join(sections)


def api_page() -> str:
    schema = json.loads((ROOT / "openapi.json").read_text())
    tags: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).extend(_operation(method.upper(), path, operation))
    sections = [
        "# HTTP API",
        "",
        "A running API serves the same as `/docs` and `/openapi.json`. Errors are `application/problem+json` "
        "([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with a stable `code`. Lists are paged with `limit` and "
        "`cursor`. A repeated `Idempotency-Key` gets the first answer again.",
        "",
    ]
    for tag, operations in tags.items():
        sections += [f"## {tag.capitalize()}", "", *operations]
    sections += ["## Outgoing webhooks", "", "See [how to receive them](../how-to/outgoing-webhooks.md).", ""]
    for name, methods in schema["webhooks"].items():
        sections += [f"### {name}", "", *_body(methods["post"]["requestBody"])]
    sections += ["## Schemas", ""]
    for name, definition in sorted(schema["components"]["schemas"].items()):
        sections += _definition("###", name, definition)
    return "\n".join(sections)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {method} {path}", "", operation.get("description", operation["summary"]), "")
    callers = [name for option in operation["security"] for name in option]
    required = "Bearer token, optional" if {} in operation["security"] else "Bearer token"
    yield from (f"{required}: {' or '.join(callers)}." if callers else "No token.", "")
    if operation.get("parameters"):
        rows = [
            (f"`{each['name']}`", each["in"], _type(each["schema"]), each.get("description", ""))
            for each in operation["parameters"]
        ]
        yield from _table(("Parameter", "In", "Type", "Meaning"), rows)
    if "requestBody" in operation:
        yield from _body(operation["requestBody"])
    rows = []
    for status, response in operation["responses"].items():
        kinds = [_type(content.get("schema", {})) for content in response.get("content", {}).values()]
        rows.append((status, response["description"], " or ".join(dict.fromkeys(kinds))))
    yield from _table(("Status", "Meaning", "Body"), rows)


def _body(body: dict[str, Any]) -> Iterator[str]:
    kinds = [_type(content.get("schema", {})) for content in body["content"].values()]
    yield from (f"Request body: {' or '.join(kinds)}", "")


def _definition(level: str, name: str, definition: dict[str, Any]) -> Iterator[str]:
    yield from (f"{level} {name}", "")
    if "description" in definition:
        yield from (definition["description"], "")
    if "enum" in definition:
        yield from (f"One of {_type(definition)}.", "")
    elif definition.get("properties"):
        yield from _fields(definition)
    else:
        yield from (f"Type: {_type(definition)}", "")


def _fields(definition: dict[str, Any]) -> Iterator[str]:
    required = definition.get("required", [])
    rows = []
    for name, field in definition["properties"].items():
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else ""
        if "$ref" in field and default.startswith("{"):
            default = ""  # its own section has the defaults
        shown = "required" if name in required else f"`{default}`" if default else "–"
        rows.append((f"`{name}`", _type(field), shown, field.get("description", "")))
    yield from _table(("Field", "Type", "Default", "Meaning"), rows)


def _type(schema: dict[str, Any]) -> str:
    """The type of a value in words, with a link to its own section and its limits."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema or "oneOf" in schema:
        options = dict.fromkeys(_type(option) for option in schema.get("anyOf") or schema["oneOf"])
        # A decimal is given as text; numbers are accepted too.
        options = {"decimal": None} | options if {"number", "string"} <= {o.split(",")[0] for o in options} else options
        if "decimal" in options:
            options = {name: None for name in options if name.split(",")[0] not in {"number", "string"}}
        return " or ".join(options)
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("format") or schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    limits = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "maxLength": "at most {} characters"}
    return ", ".join([kind, *(text.format(schema[key]) for key, text in limits.items() if key in schema)])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    used = [index for index in range(len(head)) if any(row[index] for row in rows)]
    for row in (head, ("---",) * len(head), *rows):
        cells = [row[index] for index in used]
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    yield ""


def _from_root(name: str, folder: str = "") -> str:
    """A page outside docs/, with its links as seen from docs/."""
    text = (ROOT / name).read_text()
    return re.sub(r"\]\((?!https?:|#)([^)\s]+)\)", lambda link: f"]({_moved(link[1], name, folder)})", text)


def _moved(target: str, name: str, folder: str) -> str:
    path, _, anchor = target.partition("#")
    moved = os.path.relpath((ROOT / name).parent / path, ROOT / "docs" / folder)
    return moved + (f"#{anchor}" if anchor else "")


PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "reference/cli.md": cli_page,
    "reference/programme.md": programme_page,
    "reference/api.md": api_page,
    "reference/plugin.md": lambda: _from_root("medusa-plugin/README.md", "reference"),
    "changelog.md": lambda: _from_root("CHANGELOG.md"),
    "security.md": lambda: _from_root("SECURITY.md"),
}
