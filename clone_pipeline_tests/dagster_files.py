"""Dagster's own SQLite files, as it makes them, in a fraction of its time.

At each start Dagster reads all of its own migrations several times; in each new folder it makes
three databases, and one more for each run; and for each statement it makes an engine, which
compiles the statement anew. That is more than half of all time of a small run. Here it looks once,
finds copies of the empty files that it has made itself, and keeps its engines.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster import DagsterInstance
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage, sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

# As the command line itself has it where nobody has configured Dagster.
QUIET_INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
_STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)
_A_RUN = "of a run.db"


@contextmanager
def made_once() -> Iterator[None]:
    """All of that for as long as it lasts."""
    made = empty_files()
    with _looks_once(), ExitStack() as patched:
        for storage in _STORAGES:
            patched.enter_context(patch.object(storage, "create_engine", _with(made)))
        yield


@cache
def empty_files() -> dict[str, bytes]:
    """By their names."""
    with TemporaryDirectory() as folder, _looks_once():
        (Path(folder) / "dagster.yaml").write_text(QUIET_INSTANCE)
        with DagsterInstance.from_config(folder) as instance:
            events = instance.event_log_storage
            assert isinstance(events, SqliteEventLogStorage)
            with events.run_connection(_A_RUN.removesuffix(".db")):
                pass
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*.db")}


@contextmanager
def _looks_once() -> Iterator[None]:
    find = ScriptDirectory.from_config
    found: dict[str, ScriptDirectory] = {}

    def once(config: Config) -> ScriptDirectory:
        place = str(config.get_main_option("script_location"))
        if place not in found:
            found[place] = find(config)
        return found[place]

    with patch.object(ScriptDirectory, "from_config", once):
        yield


def _with(made: dict[str, bytes]) -> Callable[..., Engine]:
    """What stands in for `create_engine`."""

    @lru_cache(maxsize=32)
    def kept(url: str) -> tuple[Engine, Path]:
        wait = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        engine = create_engine(url, poolclass=NullPool, connect_args=wait)
        return engine, Path(engine.url.database or "")

    def engine(url: str, **_: object) -> Engine:
        engine, file = kept(url)
        if not file.exists():
            # On a disk that is full Dagster itself is to see it.
            with suppress(OSError):
                _write(file, made.get(file.name, made[_A_RUN]))
        return engine

    return engine


def _write(file: Path, content: bytes) -> None:
    """As a whole, and not over one that another process makes at the same time."""
    half = file.with_name(f".{uuid.uuid4().hex}")
    try:
        half.write_bytes(content)
        os.link(half, file)
    finally:
        half.unlink(missing_ok=True)
