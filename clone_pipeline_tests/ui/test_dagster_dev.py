"""`dagster dev` in a newcomer's folder: the job runs, is seen, is cancelled, is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from clone_pipeline.core.catalog.schema import clone_slices, clones
from clone_pipeline.core.report import STEPS
from clone_pipeline_tests.harness import open_stores
from clone_pipeline_tests.ui.dev import Project, wait_until

POINTS = 60
ASSET = ("clone", "org_acme", "staging")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.make(tmp_path / "project")
    project.load_source(POINTS)
    return project


@pytest.mark.long
def test_the_ui_and_the_command_line_share_data_and_history(project: Project) -> None:
    with project.dagster_dev() as dev:
        run_id = dev.launch(namespace_identifier="prod", namespace_name="staging")
        dev.wait_for_status(run_id, "SUCCESS")
        metadata = dev.metadata(run_id)
        assert set(metadata) == set(STEPS)
        response = project.cli("show", "staging")
        assert response["clone_status"] == "ready"
        assert metadata["copy_points"]["created"] == POINTS
        assert metadata["clone_retrievers"]["resources"][0]["source_id"] == "ret_1"
        assert metadata["clone_taxonomies"]["status"] == "skipped: not requested"
        assert metadata["publish_clone"]["namespace_id"] == response["namespace_id"]
        assert metadata["publish_clone"]["created_points"] == POINTS
        # The second clone comes from the command line, and is seen in the UI.
        project.cli("clone", "prod", "staging", "--if-exists", "replace")
        points = [entry["points"] for entry in dev.materializations(*ASSET)]
        assert points == [POINTS, POINTS]
        # Only a declared asset has plots on its page.
        dev.reload()
        assert list(ASSET) in dev.declared_assets()
    with project.dagster_dev() as dev:
        assert len(dev.runs()) == 2
        assert dev.runs()[run_id] == "SUCCESS"
    assert not list(project.folder.glob(".tmp_dagster_home_*"))


@pytest.mark.long
def test_a_clone_cancelled_in_the_ui_is_marked_failed_and_can_be_resumed(project: Project) -> None:
    with project.dagster_dev() as dev:
        run_id = dev.launch(
            namespace_identifier="prod", namespace_name="staging", max_points_per_second=1
        )
        wait_until(lambda: _copied(project) == POINTS, "the copy of the first page")
        dev.terminate(run_id)
        dev.wait_for_status(run_id, "CANCELED")
        (clone,) = (one for one in project.cli("list") if one["namespace_name"] == "staging")
        assert clone["clone_status"] == "failed"
        assert "cancelled" in clone["clone_error"]
        assert _ledger(project) == ("failed", run_id)
        resumed = project.cli("resume", "staging")
        assert resumed["status"] == "ready"
        assert resumed["cloned_resources"]["points"] == POINTS
        assert dev.runs()[resumed["task_id"]] == "SUCCESS"


def _copied(project: Project) -> int:
    with open_stores(project.home) as stores, stores.catalog.read() as connection:
        return connection.execute(select(func.sum(clone_slices.c.points))).scalar() or 0


def _ledger(project: Project) -> tuple[str, str]:
    with open_stores(project.home) as stores, stores.catalog.read() as connection:
        row = connection.execute(select(clones.c.status, clones.c.run_id)).one()
        return row.status, row.run_id
