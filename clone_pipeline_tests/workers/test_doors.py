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


def is_at_work(cluster: Cluster, name: str, run_id: str) -> bool:
    found = cluster.clone(name)
    return found["run_id"] == run_id and found["holder_host"] is not None


def test_a_clone_from_the_ui_and_one_through_the_api(cluster: Cluster, doors: Doors) -> None:
    first = doors.ui.launch(namespace_identifier="prod", namespace_name="from_ui")
    doors.api.clone("prod", "from_api")
    assert doors.api.wait_for_the_end("from_api")["clone_status"] == "ready"
    doors.ui.wait_for_status(first, "SUCCESS")
    for name in ("from_ui", "from_api"):
        cluster.assert_whole(name, POINTS)
        assert handed_over(cluster, str(cluster.clone(name)["run_id"]))


def test_what_is_cancelled_on_its_page_goes_on_from_there_and_through_the_api(
    cluster: Cluster, doors: Doors
) -> None:
    request = {"namespace_identifier": "prod", "namespace_name": "stopped"}
    first = doors.ui.launch(**request, **SLOWLY)
    cluster.wait_for_copying("stopped")
    doors.ui.terminate(first)
    doors.ui.wait_for_status(first, "CANCELED")
    assert cluster.clone("stopped")["status"] == "failed"
    second = doors.ui.again_from_failure(first)
    wait_until(lambda: is_at_work(cluster, "stopped", second), "the second run")
    doors.ui.terminate(second)
    doors.ui.wait_for_status(second, "CANCELED")
    # The same request resumes it.
    doors.api.clone("prod", "stopped", **SLOWLY)
    assert doors.api.wait_for_the_end("stopped")["clone_status"] == "ready"
    cluster.assert_whole("stopped", POINTS)
    assert handed_over(cluster, str(cluster.clone("stopped")["run_id"]))
