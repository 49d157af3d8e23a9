"""Backups and refreshes under a live daemon: they come by themselves, and only when they should."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import retrievers
from clone_pipeline_tests.harness import open_stores
from clone_pipeline_tests.ui.dev import Dev, Project, wait_until

POLICIES = """
backups:
  - name: minutely
    source: prod
    cron: "* * * * *"
    keep: {last: 1}
    restore_test: {cron: "* * * * *"}
  - {name: broken, source: prod, cron: "* * * *"}
refreshes:
  - name: follow
    source: prod
    target: staging
    on_change: {quiet_period_seconds: 0, minimum_interval_seconds: 0}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    file = tmp_path / "policies.yaml"
    file.write_text(POLICIES)
    project = Project.make(tmp_path / "project", CLONE_POLICIES=str(file))
    project.load_source(20)
    return project


def listed(project: Project) -> dict[str, dict[str, Any]]:
    return {row["namespace_name"]: row for row in project.cli("list")}


def proven_backups(project: Project) -> list[str]:
    return sorted(
        name
        for name, row in listed(project).items()
        if row["policy"] == "minutely" and row["proven"] == "full"
    )


def restorable(project: Project) -> list[str]:
    rows = listed(project).values()
    return [row["namespace_name"] for row in rows if (row["restore_test"] or {}).get("good")]


def passed(dev: Dev, name: str) -> set[str]:
    """The checks of an asset, if all of them have passed."""
    checks = dev.checks("clone", "org_acme", name)
    return set(checks) if set(checks.values()) == {"SUCCEEDED"} else set()


def change(project: Project) -> None:
    """As a service of the platform edits a retriever."""
    with open_stores(project.home) as stores, stores.catalog.write() as connection:
        now = datetime.now(timezone.utc)
        connection.execute(update(retrievers).values(updated_at=now))


def staging(project: Project) -> int:
    """Its generation; 0 where there is none yet."""
    row = listed(project).get("staging")
    return row["generation"] if row and row["clone_status"] == "ready" else 0


@pytest.mark.long
def test_backups_appear_are_proven_and_swept_and_staging_follows_its_source(
    project: Project,
) -> None:
    with project.dagster_dev() as dev:
        wait_until(lambda: staging(project) == 1, "staging, which was not there")
        wait_until(lambda: len(proven_backups(project)) >= 2, "two proven backups")
        assert dev.runs_of_policy("follow") == ["SUCCESS"]  # looked at all the while
        change(project)
        wait_until(lambda: staging(project) == 2, "the refresh of staging")
        backups = proven_backups(project)
        # By name, because the hourly sweep may come meanwhile.
        wait_until(lambda: proven_backups(project)[-1] > backups[-1], "one more backup")
        assert dev.runs_of_policy("follow") == ["SUCCESS"] * 2
        assert dev.runs_of_policy("broken") == []
        wait_until(lambda: restorable(project), "a backup that was restored for a test")
        # Each asset of a policy was declared before its first run, so that it has its checks.
        found = wait_until(lambda: passed(dev, "minutely"), "the checks of the policy's backups")
        assert found == {"equal_to_source", "restore_tested"}
        run_id = dev.launch("sweep_namespaces", dry_run=False)
        dev.wait_for_status(run_id, "SUCCESS")
        left = proven_backups(project)
        assert left
        assert not set(backups) & set(left)
        assert {"prod", "staging"} <= listed(project).keys()


ARCHIVES = """
backups:
  - name: offsite
    source: prod
    cron: "* * * * *"
    to: {}
    keep: {{last: 1}}
    restore_test: {{cron: "* * * * *"}}
"""


def archives(project: Project) -> list[dict[str, Any]]:
    """Those that are there, oldest first."""
    return [one for one in project.cli("list", "--archives") if one["status"] == "ready"]


@pytest.mark.long
def test_archives_appear_are_tested_and_swept_under_a_live_daemon(tmp_path: Path) -> None:
    file, out = tmp_path / "policies.yaml", tmp_path / "out"
    file.write_text(ARCHIVES.format(out.as_uri()))
    project = Project.make(tmp_path / "project", CLONE_POLICIES=str(file))
    project.load_source(20)
    with project.dagster_dev() as dev:
        wait_until(lambda: len(archives(project)) >= 2, "two archives")
        first = archives(project)[0]
        wait_until(
            lambda: [one for one in archives(project) if (one["restore_test"] or {}).get("good")],
            "an archive that was restored for a test",
        )
        found = wait_until(lambda: passed(dev, "offsite"), "the checks of the policy's archives")
        assert found == {"equal_to_source", "restore_tested"}
        run_id = dev.launch("sweep_namespaces", dry_run=False)
        dev.wait_for_status(run_id, "SUCCESS")
        left = archives(project)
        assert left
        assert first["address"] not in {one["address"] for one in left}
        assert not (out / first["name"]).exists()
        assert listed(project).keys() == {"prod"}
