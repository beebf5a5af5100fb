"""Text in CSV files that people open in a spreadsheet, which takes what begins with `=` for a formula and runs it.

Source: OWASP, "CSV Injection".
"""

import re
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r\n].*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def safe_cell(value: Any) -> Any:
    """The value for a CSV file: text that a spreadsheet would run gets an apostrophe. Numbers stay as they are."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def plain_cell(text: str) -> str:
    """What `safe_cell` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.fullmatch(text)) and not _NUMBER.fullmatch(text)
