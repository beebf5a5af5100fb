"""Sandbox: a database session with empty temporary copies of the tables, so that settling writes nowhere else.

Postgres looks names up among a session's temporary tables first. So the settlement code runs unchanged, with all
present and future rules, and its rows are dropped with the session. It does not see what happened before the given
orders: their customers start without orders, and what was paid with points counts as paid with money. That only matters
for products that earn a fixed number of points.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.exc import DBAPIError

from bridge.db import get_engine, metadata, unavailable
from bridge.errors import Conflict
from bridge.ledger.tables import dust_lot
from bridge.medusa.orders import Order
from bridge.products.settings import dust_product
from bridge.programme.rules import Programme
from bridge.programme.shop_currencies import currency
from bridge.programme.versions import programme_version
from bridge.settlement.settle import settle_orders
from bridge.settlement.tables import order_settlement

# Settling only reads these. A process keeps the shop's currencies in memory, so it must read the shop's own.
_AS_THEY_ARE = {dust_product.name, currency.name}
_ROWS_AT_ONCE = 2_000


class NoTemporaryTables(Conflict):
    """The database role may not create temporary tables."""

    code = "no_temporary_tables"
    message = "The role dust_app may make no temporary tables here: GRANT TEMPORARY ON DATABASE … TO dust_app."


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A sandbox: `settle` takes orders, `rows` then returns what they would earn."""

    connection: Connection

    def settle(self, orders: list[Order], *, now: datetime) -> None:
        with self.connection.begin():
            settle_orders(self.connection, orders, now=now)

    def rows(self) -> Iterator[Row[Any]]:
        """Yield the row of each order, by id; `booked` is what it earns."""
        query = select(order_settlement).order_by(order_settlement.c.order_id)
        with self.connection.begin():
            streamed = self.connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
            yield from streamed.execute(query)

    def expired(self, *, now: datetime) -> int:
        """Return how many of the points would have expired already, as expiry counts from the order."""
        query = select(func.coalesce(func.sum(dust_lot.c.amount), 0)).where(dust_lot.c.expires_at <= now)
        with self.connection.begin():
            return int(self.connection.scalar(query) or 0)


@contextmanager
def sandbox(programme: Programme, *, now: datetime) -> Iterator[Sandbox]:
    """Open a sandbox in which these rules are the only version. Raises `NoTemporaryTables`, and as `transaction`."""
    try:
        with get_engine().connect() as connection:
            # Detached from the pool: its tables must be dropped with it.
            connection.detach()
            with connection.begin():
                for table in metadata.sorted_tables:
                    if table.name not in _AS_THEY_ARE:
                        connection.exec_driver_sql(
                            f"CREATE TEMPORARY TABLE {table.name} (LIKE {table.name} INCLUDING ALL)"
                        )
                connection.execute(
                    programme_version.insert(),
                    {"version": 1, "document": programme.document(), "author": "sandbox", "created_at": now},
                )
            yield Sandbox(connection=connection)
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise NoTemporaryTables from error
        if reason := unavailable(error):
            raise reason from error
        raise
