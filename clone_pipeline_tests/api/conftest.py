"""Organizations with namespaces and keys, the app over them, and a Dagster to ask for runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.api.runs import Runs
from clone_pipeline_tests import harness
from clone_pipeline_tests.api import dagster_process
from clone_pipeline_tests.api.world import World, opened
from clone_pipeline_tests.cli.prod import SECRET, make_world

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens there


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    secret = {"qdrant_collection": "ns_prod000001_store", "qdrant_api_key": SECRET}
    everything = harness.everything()
    return make_world(tmp_path_factory.mktemp("world"), secret, include_resources=everything)


@pytest.fixture(scope="session")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Dagster webserver without a daemon: what is asked for waits in its queue."""
    with dagster_process.webserver(tmp_path_factory.mktemp("dagster")) as url:
        yield url


@pytest.fixture
def home(made_world: Path, tmp_path: Path) -> Path:
    """A copy of the world's folder."""
    return Path(shutil.copytree(made_world, tmp_path / "home"))


@pytest.fixture
def world(home: Path, queue: str) -> Iterator[World]:
    """The app over a copy of the world; runs wait in the queue of a real Dagster."""
    with opened(home, Runs(queue)) as world:
        yield world


@pytest.fixture
def alone(home: Path) -> Iterator[World]:
    """The app where Dagster cannot be reached."""
    with opened(home, Runs(NOWHERE)) as world:
        yield world
