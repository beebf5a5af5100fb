"""Escapes CSV cells for spreadsheets, which run text that begins with `=` and similar characters as a formula.

Source: OWASP, "CSV Injection".
"""

import re
from typing import Any

# Some spreadsheets take the full-width characters of Asian keyboards for the same.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20].*", re.DOTALL)
# Where a comma is the decimal sign, Excel splits a line at semicolons, and does not see that a cell is in quotes: what
# follows a separator or a line break inside a cell is a cell of its own there.
_FORMULA_INSIDE = re.compile(r"([;\r\n][\s\"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def safe_cell(value: Any) -> Any:
    """The value for a CSV cell. Text that a spreadsheet would run gets an apostrophe; numbers do not change."""
    if not isinstance(value, str):
        return value
    return _FORMULA_INSIDE.sub(r"\1'", f"'{value}" if _is_formula(value) else value)


def plain_cell(text: str) -> str:
    """Undo `safe_cell`."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.fullmatch(text)) and not _NUMBER.fullmatch(text)
