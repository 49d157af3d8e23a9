"""A run whose process is killed, under a live daemon."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog.schema import clones
from clone_pipeline_tests.harness import open_stores
from clone_pipeline_tests.ui.dev import Project, wait_until

# Twenty points at this pace take five seconds: time enough to be killed among them.
PACE = 4


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.make(tmp_path / "project")
    file = project.folder / "dagster.yaml"
    monitoring = "run_monitoring:\n  enabled: true\n"
    text = file.read_text()
    assert monitoring in text
    # Dagster looks for dead runs every two minutes; not in a test.
    file.write_text(text.replace(monitoring, f"{monitoring}  poll_interval_seconds: 2\n"))
    project.load_source(20)
    return project


def worker(project: Project, apart_from: int | None = None) -> int | None:
    """The process that copies points for `staging` now."""
    with open_stores(project.home) as stores, stores.catalog.read() as connection:
        query = select(clones.c.holder_pid, clones.c.qdrant_created).where(
            clones.c.namespace_name == "staging", clones.c.status == "cloning"
        )
        row = connection.execute(query).first()
    if row is None or not row.qdrant_created or row.holder_pid == apart_from:
        return None
    return int(row.holder_pid)


def state(project: Project) -> tuple[str | None, str | None]:
    rows = {row["namespace_name"]: row for row in project.cli("list")}
    return rows["staging"]["clone_status"], rows["staging"]["clone_error"]


@pytest.mark.long
def test_a_killed_run_is_started_again_once_and_then_its_clone_is_failed_and_can_be_resumed(
    project: Project,
) -> None:
    request = {"namespace_identifier": "prod", "namespace_name": "staging"}
    with project.dagster_dev() as dev:
        dev.launch(**request, max_points_per_second=PACE)
        first = wait_until(lambda: worker(project), "points that are being copied")
        os.kill(first, signal.SIGKILL)
        # Dagster starts it again, and it goes on with the clone.
        second = wait_until(lambda: worker(project, apart_from=first), "the second attempt")
        os.kill(second, signal.SIGKILL)
        status, error = wait_until(
            lambda: state(project) if state(project)[0] == "failed" else None,
            "a sensor that records the end",
        )
        # Of the sensors `clone_failed` and `clones_in_waiting`, the one that looks first says so.
        assert status == "failed"
        assert re.fullmatch(
            r"The run (failed|ended) without a word, as when its process is killed; resume the "
            r"clone\.",
            error,
        )
        assert sorted(dev.runs().values()) == ["FAILURE", "FAILURE"]
    assert project.cli("resume", "staging")["status"] == "ready"
    assert project.cli("verify", "prod", "staging")["equal_to_source"] is True
