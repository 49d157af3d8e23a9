"""Launched from the UI and through the API, with webserver, daemon and `serve` as in a deployment:
the workers make it, and what is cancelled there ends with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from clone_pipeline_tests.api.dagster_process import free_port
from clone_pipeline_tests.api.live import Live, serving
from clone_pipeline_tests.ui.dev import Dev, Project
from clone_pipeline_tests.workers.cluster import Cluster, wait_until, write_instance
from clone_pipeline_tests.workers.conftest import POINTS

pytestmark = pytest.mark.long

SLOWLY = {"max_points_per_second": 3}


@dataclass(frozen=True)
class Doors:
    ui: Dev
    api: Live


@pytest.fixture(scope="module")
def doors(cluster: Cluster) -> Iterator[Doors]:
    folder, port = cluster.folder / "doors", free_port()
    write_instance(folder)
    ui = Dev(port, folder / "dagster_webserver.log")
    for name in ("one", "two"):
        cluster.worker(name)
    listens = ("-h", "127.0.0.1", "-p", str(port))
    variables = cluster.environment(folder) | {"DAGSTER_WEBSERVER_URL": f"http://127.0.0.1:{port}"}
    key = cluster.variables["CLONE_PIPELINE_API_KEY"]
    with (
        dagster(cluster, folder, "dagster_webserver", *listens),
        dagster(cluster, folder, "dagster._daemon", "run"),
    ):
        wait_until(ui.answers, "the webserver")
        with serving(Project(folder, variables), key) as api:
            wait_until(api.is_ready, "the API")
            yield Doors(ui, api)


@contextmanager
def dagster(cluster: Cluster, folder: Path, module: str, *arguments: str) -> Iterator[None]:
    command = [sys.executable, "-m", module, *arguments, "-w", str(folder / "workspace.yaml")]
    with (folder / f"{module}.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=cluster.environment(folder),
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


def handed_over(cluster: Cluster, run_id: str) -> bool:
    return "Handed to the Celery workers" in cluster.log_of(run_id)


def cancelled(cluster: Cluster, doors: Doors, name: str) -> str:
    """The id of a run that was launched and cancelled in the UI while it copied points."""
    run_id = doors.ui.launch(namespace_identifier="prod", namespace_name=name, **SLOWLY)
    cluster.wait_for_copying(name)
    doors.ui.terminate(run_id)
    doors.ui.wait_for_status(run_id, "CANCELED")
    assert cluster.clone(name)["status"] == "failed"
    return run_id


def test_a_clone_from_the_ui_and_one_through_the_api(cluster: Cluster, doors: Doors) -> None:
    first = doors.ui.launch(namespace_identifier="prod", namespace_name="from_ui")
    doors.api.clone("prod", "from_api")
    assert doors.api.wait_for_the_end("from_api")["clone_status"] == "ready"
    doors.ui.wait_for_status(first, "SUCCESS")
    for name in ("from_ui", "from_api"):
        cluster.assert_whole(name, POINTS)
        assert handed_over(cluster, str(cluster.clone(name)["run_id"]))


def test_a_cancelled_run_is_executed_again_from_failure(cluster: Cluster, doors: Doors) -> None:
    again = doors.ui.again_from_failure(cancelled(cluster, doors, "again"))
    doors.ui.wait_for_status(again, "SUCCESS")
    assert cluster.steps(again).isdisjoint({"plan_clone", "clone_config", "clone_buckets"})
    cluster.assert_whole("again", POINTS)


def test_a_cancelled_clone_is_resumed_by_the_same_request(cluster: Cluster, doors: Doors) -> None:
    cancelled(cluster, doors, "resumed")
    doors.api.clone("prod", "resumed", **SLOWLY)
    assert doors.api.wait_for_the_end("resumed")["clone_status"] == "ready"
    cluster.assert_whole("resumed", POINTS)
    assert handed_over(cluster, str(cluster.clone("resumed")["run_id"]))
