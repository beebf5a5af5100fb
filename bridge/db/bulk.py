"""Bulk statements for many rows. A statement per row would cost several times as much as the row itself.

    insert_rows     add new rows: one INSERT … SELECT FROM unnest(…)
    insert_missing  the same for rows of which some may exist
    update_rows     update rows by key: one UPDATE … FROM unnest(…)
    among           `column = ANY(…)`: an IN list would be a new statement, with a new plan, for every length
    matching        the columns have these values, as far as they are given

Rows are mappings from column names to values, all with the same keys. The text of each statement depends only on the
columns, so that Postgres plans it once per connection.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql.base import PGDialect

Values = Mapping[str, Any]
_DIALECT = PGDialect()  # type: ignore[no-untyped-call]


def insert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Add rows. A row that exists already or violates a constraint is an error that aborts the transaction."""
    if rows:
        names = tuple(rows[0])
        connection.exec_driver_sql(_insert(table, names), _arrays(table, names, rows))


def insert_missing(connection: Connection, table: Table, rows: Sequence[Values], *, returning: str) -> set[str]:
    """Add the rows whose key does not exist yet, in the given order. Returns column `returning` of the added rows.

    It waits for other transactions that add the same keys. Sort the rows by key, so that two of them cannot deadlock.
    """
    if not rows:
        return set()
    names = tuple(rows[0])
    statement = f"{_insert(table, names)} ON CONFLICT DO NOTHING RETURNING {returning}"
    return set(connection.exec_driver_sql(statement, _arrays(table, names, rows)).scalars())


def update_rows(
    connection: Connection, table: Table, rows: Sequence[Values], *, key: tuple[str, ...], same: Values | None = None
) -> None:
    """Update the rows with these keys; missing rows are ignored. `same` has values that are equal for all rows."""
    if rows:
        names, alike = tuple(rows[0]), same or {}
        parameters = (*alike.values(), *_arrays(table, names, rows))
        connection.exec_driver_sql(_update(table, names, key, tuple(alike)), parameters)


def among(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Condition: the column has one of these values."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def matching(wanted: Mapping[Column[Any], Any]) -> Iterator[ColumnElement[bool]]:
    """Conditions: each column has its value. A column whose value is None may have any."""
    return (column == value for column, value in wanted.items() if value is not None)


def _arrays(table: Table, names: tuple[str, ...], rows: Sequence[Values]) -> tuple[list[Any], ...]:
    return tuple(
        [_json(row[name]) for row in rows] if isinstance(table.c[name].type, JSONB) else [row[name] for row in rows]
        for name in names
    )


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


@cache
def _insert(table: Table, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM {_unnest(table, names)}"  # noqa: S608


@cache
def _update(table: Table, names: tuple[str, ...], key: tuple[str, ...], alike: tuple[str, ...]) -> str:
    values = {name: f"%s::{table.c[name].type.compile(_DIALECT)}" for name in alike}
    values |= {name: f"new.{name}" for name in names if name not in key}
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    same = " AND ".join(f"{table.name}.{name} = new.{name}" for name in key)
    return f"UPDATE {table.name} SET {changes} FROM {_unnest(table, names)} AS new ({', '.join(names)}) WHERE {same}"  # noqa: S608


def _unnest(table: Table, names: tuple[str, ...]) -> str:
    # `%b` is binary. As text, every byte of a payload would be sent as two, and escaped one by one.
    return f"unnest({', '.join(f'%b::{table.c[name].type.compile(_DIALECT)}[]' for name in names)})"
