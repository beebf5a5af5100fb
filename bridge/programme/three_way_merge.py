"""Three-way merge of two programme documents that come from the same version.

Example: version 3 has 1 point per EUR and codes for 60 minutes. A draft of it has 2 points. Version 4 has 45
minutes. Merged: 2 points and 45 minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MISSING = object()
# What identifies an entry of a list: rewards have an id, multipliers and tiers a name, fixed points their product.
_KEYS = ("id", "name", "product_id")


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The merged document. `conflicts` names each field that both changed differently; it has the first one's value."""

    document: dict[str, Any]
    conflicts: tuple[str, ...]


def merge(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> Merged:
    """Apply the changes from `base` to `mine` to `theirs`.

    The entries of a list are merged by their id or name. A list without them is one field.
    """
    conflicts: list[str] = []
    document = {
        key: _merge(base.get(key, _MISSING), value, theirs.get(key, _MISSING), key, conflicts)
        for key, value in mine.items()
    }
    return Merged(document=document, conflicts=tuple(conflicts))


def _merge(base: Any, mine: Any, theirs: Any, field: str, conflicts: list[str]) -> Any:
    if mine == theirs or theirs == base:
        return mine
    if mine == base:
        return theirs
    if isinstance(base, dict) and isinstance(mine, dict) and isinstance(theirs, dict):
        return _merge_objects(base, mine, theirs, field, conflicts)
    if isinstance(base, list) and isinstance(mine, list) and isinstance(theirs, list):
        keyed = (_by_key(base), _by_key(mine), _by_key(theirs))
        if keyed[0] is not None and keyed[1] is not None and keyed[2] is not None:
            return _merge_entries(keyed[0], keyed[1], keyed[2], field, conflicts)
    conflicts.append(field)
    return mine


def _merge_objects(
    base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any], field: str, conflicts: list[str]
) -> dict[str, Any]:
    merged = {
        key: _merge(
            base.get(key, _MISSING), mine.get(key, _MISSING), theirs.get(key, _MISSING), f"{field}.{key}", conflicts
        )
        for key in {**mine, **theirs}
    }
    return {key: value for key, value in merged.items() if value is not _MISSING}


def _merge_entries(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any], field: str, conflicts: list[str]
) -> list[Any]:
    merged: list[Any] = []
    for key in {**mine, **theirs}:
        # An entry that is gone has no place of its own any more.
        place = f"{field}.{len(merged)}" if key in mine else field
        entry = _merge(base.get(key, _MISSING), mine.get(key, _MISSING), theirs.get(key, _MISSING), place, conflicts)
        if entry is not _MISSING:
            merged.append(entry)
    return merged


def _by_key(entries: list[Any]) -> dict[str, Any] | None:
    """Return the entries by their id or name; None if they do not have different ones. A text is its own id."""
    if all(isinstance(entry, str) for entry in entries):
        return {entry: entry for entry in entries}
    for key in _KEYS:
        keyed = {entry[key]: entry for entry in entries if isinstance(entry, dict) and key in entry}
        if len(keyed) == len(entries):
            return keyed
    return None
