"""Opening the catalog: SQLite or PostgreSQL, one way to read and one way to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from ..errors import CloneError, InvalidRequest, NotFound, StorageFailed, StoreUnavailable
from ..private import make_database, make_folder
from . import reading, session
from .address import parse

# Our own name: the platform may keep an Alembic history of its own in the same database.
VERSION_TABLE = "clone_pipeline_version"
HEAD = "0018"

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
)
_BUSY_WORDS = ("database is locked", "table is locked")
# PostgreSQL says it by a code as well, and its words are in the language of the server.
_STORAGE_STATES = ("25006", "42501", "53100", "58030")  # read-only, no right, full, broken
_BUSY_STATES = ("40001", "40P01", "55P03")  # not serializable, deadlock, a lock not got


# The cluster's number, which whoever can connect may ask for, and that of the database in it.
_IDENTITY = """
    SELECT (pg_control_system()).system_identifier, oid
    FROM pg_database WHERE datname = current_database()
"""

# Built once: json.dumps with options would build one for each document.
dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Catalog:
    """The SQL database. `read()` is one snapshot, `write()` one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._identity: str | None = None  # asked for once
        self._snapshots = (
            engine
            if self.is_sqlite
            else engine.execution_options(isolation_level="REPEATABLE READ")
        )

    @classmethod
    def open_to_read(cls, address: str | Path, environment: str) -> Catalog:
        """The catalog of another environment, of which nothing can be written: every transaction is
        read-only. Its schema must be this program's, because it is not brought up to date.

        Raises InvalidRequest for a URL that is none and for another schema, StoreUnavailable or
        StorageFailed where the database cannot be used.
        """
        try:
            catalog = cls.open_as_it_is(address)
        except NotFound as error:
            raise InvalidRequest(
                f"The environment {environment!r} cannot be used: {error.message}"
            ) from None
        try:
            catalog.check_schema(environment)
        except BaseException:
            catalog.close()
            raise
        return catalog

    @classmethod
    def open_as_it_is(cls, address: str | Path) -> Catalog:
        """Whatever is there, to look at it: every transaction is read-only, and no schema is asked
        for. Raises InvalidRequest for a URL that is none, NotFound for a file that is not there."""
        url = parse(address)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise NotFound(f"there is no catalog at {url.database}.")
        return cls(_engine(url, read_only=True))

    @classmethod
    def open(cls, address: str | Path) -> Catalog:
        """The catalog at a URL, or in a SQLite file; its schema is made or brought up to date.

        Raises InvalidRequest for a URL that is none and for a database that is not in UTF-8,
        StoreUnavailable or StorageFailed where the database cannot be used.
        """
        url = parse(address)
        engine = _engine(url)
        if url.get_backend_name() == "sqlite":
            _make_private(Path(url.database or ""))
        catalog = cls(engine)
        try:
            catalog._check_encoding()
            catalog._migrate()
        except BaseException:
            catalog.close()
            raise
        return catalog

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def is_sqlite(self) -> bool:
        return self.dialect == "sqlite"

    def close(self) -> None:
        self._engine.dispose()

    def identity(self) -> str:
        """Equal for two ways to the same database, whatever they call it."""
        if self._identity is None:
            self._identity = self._ask_identity()
        return self._identity

    def _ask_identity(self) -> str:
        if self.is_sqlite:
            status = Path(self._engine.url.database or "").stat()
            return f"sqlite {status.st_dev} {status.st_ino}"
        with self.read() as connection:
            row = connection.execute(text(_IDENTITY)).one()
        return f"postgresql {row[0]} {row[1]}"

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
        words, state = reason.lower(), getattr(error.orig, "sqlstate", None)
        if state in _STORAGE_STATES or any(word in words for word in _STORAGE_WORDS):
            return StorageFailed(f"The catalog {where} cannot be used: {reason}.")
        if not isinstance(error, OperationalError) and not error.connection_invalidated:
            return None
        if state in _BUSY_STATES or any(word in words for word in _BUSY_WORDS):
            return StoreUnavailable(f"The catalog {where} is busy with another writer: {reason}.")
        return StoreUnavailable(f"The catalog {where} cannot be reached: {reason}.")

    def _check_encoding(self) -> None:
        if self.is_sqlite:
            return
        with self.read() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise InvalidRequest(
                f"The database {self._engine.url.database} is encoded in {encoding}, and a catalog "
                "needs UTF8; make one with `CREATE DATABASE name ENCODING 'UTF8' TEMPLATE "
                "template0`."
            )

    def _migrate(self) -> None:
        version = self.schema_version()
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

    def check_schema(self, environment: str) -> None:
        """Raises InvalidRequest where it is not this program's."""
        version = self.schema_version()
        if version == HEAD:
            return
        if version is None:
            raise InvalidRequest(
                f"The database of the environment {environment!r} holds no catalog of this program."
            )
        where = "there" if version < HEAD else "here"
        raise InvalidRequest(
            f"The catalog of the environment {environment!r} has a schema of version {version}, "
            f"and this program reads {HEAD}: upgrade clone-pipeline {where}."
        )

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

    def schema_version(self) -> str | None:
        """None for a database that holds no catalog."""
        with self.read() as connection:
            if not self._engine.dialect.has_table(connection, VERSION_TABLE):
                return None
            # VERSION_TABLE is our constant
            query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
            return connection.execute(query).scalar()


def _make_private(file: Path) -> None:
    try:
        make_folder(file.parent)
    except OSError as error:
        raise StorageFailed(
            f"The data folder {file.parent} cannot be made: {error.strerror}."
        ) from error
    make_database(file)


def _engine(url: URL, *, read_only: bool = False) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(
        url,
        connect_args=session.connect_args(url),
        json_serializer=dumps,
        json_deserializer=reading.loads,
        # A statement's values hold documents with secrets, and its errors end in logs.
        hide_parameters=True,
        **({} if sqlite else {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}),
    )
    session.prepare(engine, read_only=read_only)
    return engine
