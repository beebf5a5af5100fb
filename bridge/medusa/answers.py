"""Medusa's answers as JSON. An answer of another shape comes from another program, and is reported as such."""

from typing import Any

from bridge.medusa.errors import MedusaAway
from bridge.medusa.pages import Json


class Answer(dict[str, Any]):
    """The JSON object of an answer. Reading what it does not have raises `MedusaAway`."""

    def __init__(self, answer: Json, *, call: str) -> None:
        super().__init__(answer)
        self._call = call

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise not_medusa(self._call, f"no {key} in its answer")
        return value

    def one(self, key: str, *needed: str) -> Json:
        """Return the object under a key. It has a text under each of `needed`."""
        value = self[key]
        if not (isinstance(value, dict) and all(isinstance(value.get(name), str) for name in needed)):
            raise self._wrong_shape(key)
        return value

    def rows(self, key: str, *needed: str) -> list[Json]:
        """Return the list of objects under a key. Each has a text under each of `needed`.

        If nothing is needed, what is no object reads as an empty one.
        """
        value = self[key]
        if not isinstance(value, list):
            raise self._wrong_shape(key)
        rows = [row if isinstance(row, dict) else {} for row in value]
        if not all(isinstance(row.get(name), str) for row in rows for name in needed):
            raise self._wrong_shape(key)
        return rows

    def number(self, key: str) -> int:
        """Return the whole number under a key."""
        value = self[key]
        if not isinstance(value, int):
            raise self._wrong_shape(key)
        return value

    def _wrong_shape(self, key: str) -> MedusaAway:
        return not_medusa(self._call, f"{key} of another shape in its answer")


def objects(value: Any) -> list[Json]:
    """Return the objects of a list in an answer; none if it is no list. Medusa's links to deleted rows are null."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def not_medusa(call: str, wrong: str) -> MedusaAway:
    return MedusaAway(
        f"What answered {call} is not Medusa: {wrong}. Is DUST_MEDUSA_URL the address of Medusa itself, and does a "
        "proxy or firewall in front of it let Dust pass?"
    )
