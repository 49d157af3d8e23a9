"""What every session of the database has, whatever its server, its role or a pooler says."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

BUSY_SECONDS = 60.0

# Who is silent for so long in a transaction that writes is stopped, or cut off: nobody waits any
# longer for the rows that it holds. PostgreSQL ends its session. Shorter than a lease, so that
# heartbeats that wait for such a row are in time.
SILENT_SECONDS = 30.0

# How values are written and read: a database or a role may set each of these otherwise.
_PINNED = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1"
)


# By these a server whose machine is gone is taken for lost within a minute, whether we wait for its
# answer or for it to have what we sent; Linux by itself waits for two hours.
_NOTICING = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds, unlike the others
}


def connect_args(url: URL) -> dict[str, Any]:
    """What the driver is given for each connection; it goes before what the URL says, but for how
    soon a server that is gone is noticed."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": BUSY_SECONDS, "isolation_level": None}
    return {
        **{name: value for name, value in _NOTICING.items() if name not in url.query},
        "connect_timeout": 10,
        "client_encoding": "utf8",
        # A pooler gives each transaction another connection, which has none of the earlier one's.
        "prepare_threshold": None,
    }


def prepare(engine: Engine, *, read_only: bool = False) -> None:
    """Has every connection and every transaction of the engine begin as we want it."""
    if engine.dialect.name == "sqlite":
        connected = _on_sqlite_connect_to_read if read_only else _on_sqlite_connect
        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", _on_sqlite_begin)
    else:
        event.listen(engine, "connect", _on_postgres_connect)
        event.listen(engine, "begin", _on_postgres_begin)
        if read_only:
            event.listen(engine, "begin", _on_postgres_begin_to_read)


def _on_postgres_connect(connection: Any, _record: object) -> None:
    from .postgres_times import TimeLoader

    connection.adapters.register_loader("timestamptz", TimeLoader)


def _on_postgres_begin(connection: Connection) -> None:
    # In the transaction, not for the connection: behind a pooler in transaction mode what is set
    # for a connection may be another client's by the next statement, or is lost.
    pinned = _PINNED
    if connection.get_execution_options().get("clone_pipeline_write", False):
        longest = int(SILENT_SECONDS * 1000)
        pinned += f"; SET LOCAL idle_in_transaction_session_timeout = {longest}"
    connection.exec_driver_sql(pinned)


def _on_postgres_begin_to_read(connection: Connection) -> None:
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


@retry(
    retry=retry_if_exception(_is_locked),
    wait=wait_random(0.01, 0.1),
    stop=stop_after_delay(BUSY_SECONDS),
    reraise=True,
)
def _write_ahead(connection: Any) -> None:
    """Of two that open a fresh file at once, one is told that it is locked, without any wait: for
    this statement SQLite has no patience of its own."""
    connection.execute("PRAGMA journal_mode = WAL")


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    _write_ahead(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _on_sqlite_connect_to_read(connection: Any, _record: object) -> None:
    # Not by `mode=ro`: a database with a write-ahead log cannot always be opened so.
    connection.execute("PRAGMA query_only = ON")


def _on_sqlite_begin(connection: Connection) -> None:
    # The driver's own BEGIN would come late and would not cover DDL or plain reads.
    write = connection.get_execution_options().get("clone_pipeline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
