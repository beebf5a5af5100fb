"""Escapes CSV cells for spreadsheets, which run text that begins with `=` and similar characters as a formula.

Source: OWASP, "CSV Injection".
"""

import re
from typing import Any

# Some spreadsheets take the full-width characters of Asian keyboards for the same.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20].*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def safe_cell(value: Any) -> Any:
    """The value for a CSV cell. Text that a spreadsheet would run gets an apostrophe; numbers do not change."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def plain_cell(text: str) -> str:
    """Undo `safe_cell`."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.fullmatch(text)) and not _NUMBER.fullmatch(text)
