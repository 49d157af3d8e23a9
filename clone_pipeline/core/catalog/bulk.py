"""Moving rows in millions: reading beside a writer, inserting as text, digests by the database."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.exc import DBAPIError

from .engine import Catalog

Values = tuple[Any, ...]
Insert = Callable[[Sequence[Values]], None]

_BATCH = 1000
# SQLite before 3.32 takes 999 parameters (sqlite.org/limits.html, SQLITE_MAX_VARIABLE_NUMBER).
_ROWS = 150


@contextmanager
def reading_beside(catalog: Catalog, writer: Connection) -> Iterator[Connection]:
    """A second connection that sees what `writer`, in its `write(snapshot=True)`, has found there:
    to read on while it writes. What the writer has changed itself is not seen."""
    with catalog.read() as reader:
        if not catalog.is_sqlite:
            snapshot = writer.execute(select(func.pg_export_snapshot())).scalar_one()
            reader.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        # On SQLite the writer keeps everybody else from writing.
        yield reader


def read_batches(
    connection: Connection, query: Select[Any]
) -> Generator[Sequence[Any], None, None]:
    """The rows of a query whose columns are all text, as they come in."""
    if connection.dialect.name != "sqlite":
        with connection.execute(query.execution_options(yield_per=_BATCH)) as found:
            yield from found.partitions()
        return
    # SQLite gives a row at a time whoever asks, and SQLAlchemy's rows cost as much as the reading.
    with _as_sqlalchemy(connection, "SELECT"), connection.execute(query) as result:
        cursor: Any = result.cursor
        while rows := cursor.fetchmany(_BATCH):
            yield rows


@contextmanager
def inserting(
    connection: Connection, table: Table, namespace_key: int, columns: Sequence[str]
) -> Iterator[Insert]:
    """A function that inserts rows of a namespace: the text of each of `columns`.

    The connection does nothing else meanwhile. All rows are in when the block has ended.
    """
    # Names from our schema, not from outside.
    into = f"{table.name} (namespace_key, {', '.join(columns)})"
    write = _insert if connection.dialect.name == "sqlite" else _copy
    # The database takes a part of the time that we take to make the next rows.
    with ThreadPoolExecutor(1, thread_name_prefix="catalog-insert") as thread:
        under_way: list[Future[None]] = []

        def insert_behind(rows: Sequence[Values]) -> None:
            if under_way:
                under_way.pop().result()
            if rows:
                under_way.append(thread.submit(write, connection, into, namespace_key, rows))

        yield insert_behind
        insert_behind(())


def _insert(connection: Connection, into: str, namespace_key: int, rows: Sequence[Values]) -> None:
    """Many rows to a statement: it is the statement that lets other threads run meanwhile."""
    row = f"({int(namespace_key)}{', ?' * len(rows[0])})"
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS]
        statement = f"INSERT INTO {into} VALUES {', '.join([row] * len(part))}"  # noqa: S608
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(part)))


def _copy(connection: Connection, into: str, namespace_key: int, rows: Sequence[Values]) -> None:
    driver: Any = connection.connection.driver_connection
    statement = f"COPY {into} FROM STDIN"
    with _as_sqlalchemy(connection, statement), driver.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row((namespace_key, *row))


@contextmanager
def _as_sqlalchemy(connection: Connection, statement: str) -> Iterator[None]:
    """Errors of the driver's own interface as the catalog knows them."""
    base: Any = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise DBAPIError.instance(
            statement, None, error, base, hide_parameters=True, dialect=connection.dialect
        ) from error


def hash_of(text: ColumnElement[str]) -> ColumnElement[bytes]:
    """The SHA-256 of a text, by PostgreSQL."""
    return func.sha256(func.convert_to(text, "UTF8"))


def sums_of(hashes: ColumnElement[bytes]) -> list[ColumnElement[Any]]:
    """The aggregates that `total_of` takes."""
    # Seven bytes at a time are an integer without a sign.
    parts = (func.encode(func.substring(hashes, first, 7), "hex") for first in (1, 8))
    digits = (literal("x", String).concat(part) for part in parts)
    return [func.sum(cast(cast(one, BIT(56)), BigInteger)) for one in digits]


def total_of(high: int | None, low: int | None) -> int:
    """The sum of the first 14 bytes of each hash, as big-endian integers."""
    return (int(high or 0) << 56) + int(low or 0)
