"""The queue is fair between organizations: Dagster's own, with the limits of the project's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from clone_pipeline.defs.automation import policy_tags, queue_tags, runs_ahead
from clone_pipeline.launch import JOB, LOCATION, REPOSITORY, clone_job
from clone_pipeline_tests.ui.dev import ROOT

SLOTS = 4
FROM_THE_PROJECT = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)


class Queue:
    """Runs that are asked for, and the looks of the daemon at them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def ask(self, organization_id: str, name: str, *, ahead: int | None = None) -> None:
        before = runs_ahead(self.instance, organization_id) if ahead is None else ahead
        self.instance.create_run_for_job(
            clone_job(),
            run_config={"namespace_identifier": "prod", "namespace_name": name},
            tags=queue_tags(organization_id, name, before),
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=FROM_THE_PROJECT.get_job_origin(JOB),
            job_code_origin=dg.reconstructable(clone_job).get_python_origin(),
        )

    def look(self) -> list[str]:
        """What one look lets begin, by target."""
        limits = self.instance.get_concurrency_config()
        found = self.daemon._get_runs_to_dequeue(self.instance, limits, fixed_iteration_time=None)
        for run in found:
            begins = dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, JOB)
            self.instance.report_dagster_event(begins, run_id=run.run_id)
        return [run.tags["clone/target"] for run in found]

    def end(self, target: str) -> None:
        (run,) = self.instance.get_runs(dg.RunsFilter(tags={"clone/target": target}))
        self.instance.report_run_failed(run)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    limits = yaml.safe_load((ROOT / "dagster.yaml").read_text())["concurrency"]
    assert limits["runs"]["max_concurrent_runs"] == SLOTS
    with dg.instance_for_test(overrides={"concurrency": limits}) as instance:
        yield Queue(instance)


def test_four_slow_clones_hold_up_anothers_first_for_one_look(queue: Queue) -> None:
    for number in range(4):
        queue.ask("org_a", f"slow_{number}")
    assert queue.look() == [f"org_a/slow_{number}" for number in range(3)]
    queue.ask("org_b", "first")
    assert queue.look() == ["org_b/first"]


def test_the_next_slot_goes_to_whoever_has_none(queue: Queue) -> None:
    for number in range(4):
        queue.ask("org_a", f"slow_{number}")
    queue.ask("org_b", "first")
    queue.look()
    queue.ask("org_c", "first")  # later than the fourth of A
    assert queue.look() == []
    queue.end("org_a/slow_0")
    assert queue.look() == ["org_c/first"]


def test_targets_of_one_name_in_two_organizations_do_not_wait_for_each_other(queue: Queue) -> None:
    for organization_id in ("org_a", "org_b", "org_a"):
        queue.ask(organization_id, "staging")
    assert queue.look() == ["org_a/staging", "org_b/staging"]
    assert queue.look() == []


def test_who_has_asked_for_many_still_gets_them_in_order(queue: Queue) -> None:
    for number in (50, 40, 60):
        queue.ask("org_a", f"of_{number}", ahead=number)
    assert queue.look() == ["org_a/of_50", "org_a/of_40", "org_a/of_60"]


def test_a_policys_run_counts_for_the_organization_that_it_is_for() -> None:
    tags = policy_tags("nightly", "backup", "monday", "org_a", 2)
    assert tags["clone/organization"] == "org_a"
    assert tags["clone/target"] == "org_a/monday"
    assert tags["dagster/priority"] == "-2"
    unknown = policy_tags("nightly", "backup", "monday")
    assert "dagster/priority" not in unknown
