"""A home with namespaces and clones in every state, made once and copied where a test writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from clone_pipeline_tests.cli.prod import make_world

# As the command line itself has it where nobody has configured Dagster.
QUIET_INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session", autouse=True)
def dagster_looks_once() -> Iterator[None]:
    """Dagster looks for the same migrations several times in each run, and makes an engine for
    each statement to SQLite, which compiles it anew: half of all time of a small run."""
    with pytest.MonkeyPatch.context() as patch:
        found: dict[str, ScriptDirectory] = {}
        find = ScriptDirectory.from_config

        def once(config: Config) -> ScriptDirectory:
            place = str(config.get_main_option("script_location"))
            if place not in found:
                found[place] = find(config)
            return found[place]

        @lru_cache(maxsize=32)
        def engine(url: str) -> Engine:
            wait = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            return create_engine(url, poolclass=NullPool, connect_args=wait)

        patch.setattr(ScriptDirectory, "from_config", once)
        for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(storage, "create_engine", lambda url, **_: engine(url))
        yield


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run history for all of them: a new one takes seconds to set up."""
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text(QUIET_INSTANCE)
    return folder


@pytest.fixture
def home(
    made_home: Path, dagster_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it, which the command line uses."""
    copy = tmp_path / "home"
    shutil.copytree(made_home, copy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(copy))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    return copy
