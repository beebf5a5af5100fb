"""Rows as typed values."""

from typing import Any, ClassVar, Self

from sqlalchemy import Connection, Executable, Row


class TypedRow:
    """Base of a dataclass whose fields have the names of columns."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def from_row(cls, row: "Row[Any] | TypedRow", **others: Any) -> Self:
        """Read the fields from the row, which can be a typed one, except for `others`, which are given."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__ if name not in others}, **others)

    @classmethod
    def read_one(cls, connection: Connection, query: Executable, *, otherwise: Exception) -> Self:
        """Return the query's only row. Raises `otherwise` if there is none."""
        row = connection.execute(query).one_or_none()
        if row is None:
            raise otherwise
        return cls.from_row(row)

    def columns(self) -> dict[str, Any]:
        """Return the fields as columns of a row to be written."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
