"""The queue that the project's dagster.yaml asks for, with Dagster's daemon at work on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clone_pipeline_tests import qdrant_server
from clone_pipeline_tests.api.live import Live, serving
from clone_pipeline_tests.api.test_clones import runs_of
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.sources import write_bundle
from clone_pipeline_tests.ui.dev import Project, wait_until

POINTS = 2000
SLOWLY = {"max_points_per_second": 1}  # of the clones that are at work to the end of the test

pytestmark = pytest.mark.long


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[str]:
    """The embedded store admits a single run at a time, whatever the queue says."""
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: put `qdrant` on the PATH")
    (tmp_path / "qdrant").mkdir()
    with qdrant_server.run(tmp_path / "qdrant") as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, qdrant: str) -> Project:
    """`prod` of org_acme, with many points, and `elsewhere` of org_other."""
    project = Project.make(tmp_path / "project", QDRANT_URL=qdrant)
    many = prod()
    many["points.jsonl"] = [{**many["points.jsonl"][0], "id": n} for n in range(POINTS)]
    for files in (many, prod("ns_elsewhere1", "elsewhere", "org_other")):
        folder = write_bundle(tmp_path / files["namespace.json"]["namespace_name"], files)
        project.cli("load", str(folder))
    return project


def states(live: Live, names: list[str]) -> list[str]:
    return [str(run["status"]) for name in names for run in runs_of(live.dagster_url, name)]


def test_slow_clones_of_one_organization_leave_a_slot_and_names_of_another_one(
    project: Project,
) -> None:
    key = project.cli("keys", "create", "--organization", "org_acme", "--role", "member")["api_key"]
    other_key = project.cli("keys", "create", "--organization", "org_other", "--role", "member")
    slow = ["copy", "slow_2", "slow_3", "slow_4"]
    with serving(project, key) as live:
        for name in slow:
            live.clone("prod", name, **SLOWLY)
        wait_until(lambda: states(live, slow).count("STARTED") == 3, "three runs at work")
        # One is called as one of theirs, which is at work.
        headers = {"Authorization": f"Bearer {other_key['api_key']}"}
        with httpx.Client(base_url=live.url, headers=headers, timeout=60) as other:
            body = {"namespace_name": "copy"}
            answer = other.post("/v1/namespaces/elsewhere/clone", json=body)
            assert answer.status_code == 200, answer.text

            def ended() -> Any:
                now = other.get("/v1/namespaces/copy").json()
                return now if now["clone_status"] != "cloning" else None

            assert wait_until(ended, "the other organization's clone")["clone_status"] == "ready"
        assert {live.namespace(name)["clone_status"] for name in slow} == {"cloning"}
        # Theirs, and the one that is over: Dagster hears of it a little later than the catalog.
        wait_until(lambda: "SUCCESS" in states(live, ["copy"]), "the end of its run")
        assert sorted(states(live, slow)) == ["QUEUED", *["STARTED"] * 3, "SUCCESS"]
