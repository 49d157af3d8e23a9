"""Backups and refreshes under a live daemon: they come by themselves, and only when they should."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog.schema import archives as archives_table
from clone_pipeline.core.catalog.schema import retrievers
from clone_pipeline_tests.harness import open_stores
from clone_pipeline_tests.notify.receiver import Receiver, receiving
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
        # Looked at all the while.
        wait_until(lambda: dev.runs_of_policy("follow") == ["SUCCESS"], "the run that made it")
        change(project)
        wait_until(lambda: staging(project) == 2, "the refresh of staging")
        backups = proven_backups(project)
        # By name, because the hourly sweep may come meanwhile.
        wait_until(lambda: proven_backups(project)[-1] > backups[-1], "one more backup")
        # What it has published is seen a little before its end.
        wait_until(lambda: dev.runs_of_policy("follow") == ["SUCCESS"] * 2, "the refresh's run")
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
notify:
  - name: ops
    webhook: {}
    secret: {{env: HOOK_SECRET}}
    kinds: [overdue, restore_test_overdue]
"""
OVERDUE = ["overdue offsite", "restore_test_overdue offsite"]
# A restore test fails where there is no archive yet, or another test of it is still at work.
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


def archives(project: Project) -> list[dict[str, Any]]:
    """Those that are there, oldest first."""
    return [one for one in project.cli("list", "--archives") if one["status"] == "ready"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def offsite(tmp_path: Path, receiver: Receiver) -> Project:
    file = tmp_path / "policies.yaml"
    file.write_text(ARCHIVES.format((tmp_path / "out").as_uri(), receiver.url))
    secret = {"HOOK_SECRET": "the-secret-of-the-hook"}
    project = Project.make(tmp_path / "project", CLONE_POLICIES=str(file), **secret)
    project.load_source(20)
    return project


def restored_for_a_test(project: Project) -> bool:
    return any((one["restore_test"] or {}).get("good") for one in archives(project))


@pytest.mark.long
def test_archives_appear_are_tested_and_swept_under_a_live_daemon(
    offsite: Project, tmp_path: Path
) -> None:
    with offsite.dagster_dev() as dev:
        wait_until(lambda: len(archives(offsite)) >= 2, "two archives")
        first = archives(offsite)[0]
        wait_until(lambda: restored_for_a_test(offsite), "an archive that was restored for a test")
        found = wait_until(lambda: passed(dev, "offsite"), "the checks of the policy's archives")
        assert found == {"equal_to_source", "restore_tested"}
        # While one is tested, it stands there as a namespace.
        for name in ("offsite", "restore_test_offsite"):
            dev.stop_schedule(name)
        wait_until(lambda: set(dev.runs().values()) <= ENDED, "the end of all runs")
        run_id = dev.launch("sweep_namespaces", dry_run=False)
        dev.wait_for_status(run_id, "SUCCESS")
        left = archives(offsite)
        assert left
        assert first["address"] not in {one["address"] for one in left}
        assert not (tmp_path / "out" / first["name"]).exists()
        assert listed(offsite).keys() == {"prod"}


def let_pass(project: Project, time: timedelta) -> None:
    """As if all that the ledger has of archives had been so much earlier."""
    moments = ("created_at", "finished_at", "tested_at")
    with open_stores(project.home) as stores, stores.catalog.write() as connection:
        for row in connection.execute(select(archives_table)).mappings().all():
            earlier = {name: row[name] and row[name] - time for name in moments}
            mine = archives_table.c.archive_key == row["archive_key"]
            connection.execute(update(archives_table).where(mine).values(earlier))


@pytest.mark.long
def test_what_was_missed_while_no_daemon_ran_is_told_once_and_once_that_it_is_over(
    offsite: Project, receiver: Receiver
) -> None:
    def told(kind: str, since: int) -> list[str]:
        said = [one for message in receiver.said[since:] for one in message]
        return [one for one in said if one in (kind, f"recovered {kind}")]

    def is_over() -> bool:
        """Each that was told so far, which on a slow machine may be some."""
        return all(len(told(kind, 0)) % 2 == 0 for kind in OVERDUE)

    schedules = ("offsite", "restore_test_offsite")
    with offsite.dagster_dev() as dev:
        wait_until(lambda: restored_for_a_test(offsite), "an archive that was restored for a test")
        wait_until(lambda: dev.looks("notifications") and is_over(), "a policy that is on time")
        for name in schedules:
            dev.stop_schedule(name)
        wait_until(lambda: set(dev.runs().values()) <= ENDED, "the end of all runs")
    before = len(receiver.said)
    let_pass(offsite, timedelta(minutes=3))
    with offsite.dagster_dev() as dev:
        wait_until(lambda: len(receiver.said) > before, "the first look after")
        looks = dev.looks("notifications")
        wait_until(lambda: dev.looks("notifications") >= looks + 2, "two more looks")
        assert [told(kind, before) for kind in OVERDUE] == [[kind] for kind in OVERDUE]
        for name in schedules:
            dev.start_schedule(name)
        wait_until(is_over, "an archive, and a test of it")
        for kind in OVERDUE:
            assert told(kind, before)[:2] == [kind, f"recovered {kind}"]
