"""Opening the catalog: SQLite or PostgreSQL, one way to read and one way to write."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from ..errors import CloneError, InvalidRequest, StorageFailed, StoreUnavailable

# Our own name: the platform may keep an Alembic history of its own in the same database.
VERSION_TABLE = "clone_pipeline_version"
HEAD = "0005"

_BUSY_SECONDS = 60.0
# Said in words only: SQLite's result codes do not survive the driver.
_STORAGE_WORDS = (
    "readonly",
    "read-only",
    "disk is full",
    "no space left",
    "disk i/o error",
    "unable to open",
    "not a database",
    "disk image is malformed",
    "permission denied for",
)
_BUSY_WORDS = ("database is locked", "table is locked", "could not serialize", "deadlock")


# Built once: json.dumps with options would build one for each document.
dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Catalog:
    """The SQL database. `read()` is one snapshot, `write()` one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._snapshots = (
            engine
            if self.is_sqlite
            else engine.execution_options(isolation_level="REPEATABLE READ")
        )

    @classmethod
    def open(cls, address: str) -> Catalog:
        """The catalog at an SQLAlchemy URL; its schema is made or brought up to date.

        Raises InvalidRequest for a URL that is none, StoreUnavailable or StorageFailed where the
        database cannot be used.
        """
        url = _parse(address)
        if url.get_backend_name() == "sqlite":
            _make_folder(url)
        catalog = cls(_engine(url))
        try:
            catalog._migrate()
        except BaseException:
            catalog.close()
            raise
        return catalog

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot of everything that is read in it."""
        with self._errors(), self._snapshots.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """One transaction: all of it or nothing. On SQLite it takes the write lock at once, so
        that what it reads cannot change under it; on PostgreSQL `snapshot` makes all its
        statements read the same state."""
        engine = self._snapshots if snapshot else self._engine
        with self._errors(), engine.connect() as connection:
            connection = connection.execution_options(clone_pipeline_write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except NoFreeConnection as error:
            raise StoreUnavailable(
                "All connections to the catalog are in use; try again in a moment."
            ) from error
        except DBAPIError as error:
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: DBAPIError) -> CloneError | None:
        """What it means for us; None for a mistake in a statement or in its values."""
        if isinstance(error, DataError | IntegrityError):
            return None  # their words quote values, which may say anything
        # A query may hold a password, too.
        where = self._engine.url.set(query={}).render_as_string(hide_password=True)
        # The driver explains on further lines what the first one says.
        reason = " ".join(str(error.orig).partition("\n")[0].split()).rstrip(".")
        words = reason.lower()
        if any(word in words for word in _STORAGE_WORDS):
            return StorageFailed(f"The catalog {where} cannot be used: {reason}.")
        if not isinstance(error, OperationalError) and not error.connection_invalidated:
            return None
        if any(word in words for word in _BUSY_WORDS):
            return StoreUnavailable(f"The catalog {where} is busy with another writer: {reason}.")
        return StoreUnavailable(f"The catalog {where} cannot be reached: {reason}.")

    def _migrate(self) -> None:
        version = self._version()
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            raise InvalidRequest(
                f"The catalog's schema is version {version}, newer than this program's {HEAD}: "
                "upgrade clone-pipeline."
            )
        with self._errors(), self._alone() as connection:
            # Alembic takes a fifth of a second to import; only a first start needs it.
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A write transaction that no other process's migration runs beside."""
        if self.is_sqlite:
            with FileLock(f"{self._engine.url.database}.migrate.lock"), self.write() as connection:
                yield connection
        else:
            with self.write() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('clone_pipeline'))"))
                yield connection

    def _version(self) -> str | None:
        with self.read() as connection:
            if not self._engine.dialect.has_table(connection, VERSION_TABLE):
                return None
            # VERSION_TABLE is our constant
            query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
            return connection.execute(query).scalar()


def _parse(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # a port that is no number is a plain ValueError
        raise InvalidRequest(
            "CATALOG_URL is not a database URL; write e.g. postgresql://user@host:5432/name."
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        # SQLAlchemy 2.0 and 2.1 disagree on the driver that a bare scheme means.
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("postgresql", "sqlite"):
        raise InvalidRequest(
            f"CATALOG_URL names {url.get_backend_name()}; PostgreSQL and SQLite are supported."
        )
    if url.get_backend_name() == "sqlite" and (url.database or ":").startswith((":", "file:")):
        # Every process and every connection must see the same one.
        raise InvalidRequest("CATALOG_URL must name a SQLite file; write sqlite:////path/to/file.")
    return url


def _make_folder(url: URL) -> None:
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"The data folder {folder} cannot be made: {error.strerror}."
        ) from error


def _engine(url: URL) -> Engine:
    # A statement's values hold documents with secrets, and its errors end in logs.
    options: dict[str, Any] = {"json_serializer": dumps, "hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS, "isolation_level": None}
    else:
        options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
    try:
        engine = create_engine(url, **options)
    except (NoSuchModuleError, ImportError):
        raise InvalidRequest(
            f"CATALOG_URL asks for the driver {url.drivername}, which is not installed; "
            "write postgresql://..."
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


@retry(
    retry=retry_if_exception(_is_locked),
    wait=wait_random(0.01, 0.1),
    stop=stop_after_delay(_BUSY_SECONDS),
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


def _on_sqlite_begin(connection: Connection) -> None:
    # The driver's own BEGIN would come late and would not cover DDL or plain reads.
    write = connection.get_execution_options().get("clone_pipeline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
