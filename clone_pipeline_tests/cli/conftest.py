"""A home with namespaces and clones in every state, made once and copied where a test writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import pytest
from dagster._core.execution import compute_logs

from clone_pipeline_tests import dagster_files
from clone_pipeline_tests.cli.prod import make_world


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session", autouse=True)
def quick_dagster() -> Iterator[None]:
    """It starts four processes for each run, to show what goes into files at the terminal too."""
    with (
        dagster_files.made_once(),
        patch.object(compute_logs, "tail_to_stream", lambda *_: nullcontext((None, None))),
    ):
        yield


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run history for all of them: a new one takes seconds to set up."""
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text(dagster_files.QUIET_INSTANCE)
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
