"""A run that is cancelled, or taken for dead, and what takes its clone up again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core import steps
from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.plan import begin
from clone_pipeline.core.report import STEPS, StepReport
from clone_pipeline.core.words import as_text
from clone_pipeline.defs import watched
from clone_pipeline.defs.outcome import CANCELLED
from clone_pipeline.launch import failure
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS

from .launching import (
    breaks,
    instance,
    launch,
    ledger,
    lines,
    quiet,
    request,
    shown,
)

__all__ = ["breaks", "dagster_home", "home", "instance", "made_home", "quiet"]  # fixtures


def test_a_run_that_is_cancelled_before_it_has_a_clone_has_nothing_to_resume(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: Any) -> None:
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(begin, "begin", cancelled)
    result = launch(instance, request())
    assert not result.success
    assert CANCELLED not in lines(instance, result.run_id)


def test_a_cancelled_run_is_marked_and_a_new_launch_goes_on(
    home: Path, instance: dg.DagsterInstance, breaks: Callable[..., None]
) -> None:
    breaks("clone_retrievers", dg.DagsterExecutionInterruptedError())
    cancelled = launch(instance, request())
    assert not cancelled.success
    status, error, clone_id = ledger(home, "status", "error", "clone_id")
    assert status == "failed"
    assert "cancelled" in error
    assert CANCELLED in lines(instance, cancelled.run_id)
    again = launch(instance, request())
    assert again.success
    assert ledger(home, "status", "error", "clone_id") == ("ready", None, clone_id)
    assert shown(again)["clone_buckets"]["status"] == "done before this run"
    assert counted(home, "new") == {**COUNTS, "taxonomies": 0}


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "HEARTBEAT_SECONDS", 0.05)


def cancel_in_the_record(instance: dg.DagsterInstance, work: Work) -> None:
    """As the UI does where no signal reaches the worker."""
    run = instance.get_run_by_id(str(work.clone.run_id))
    assert run is not None
    instance.report_run_canceling(run)


@pytest.mark.usefixtures("looks_often")
def test_a_step_hears_of_a_cancel_that_only_the_record_of_runs_has(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits_in_vain(work: Work) -> StepReport:
        cancel_in_the_record(instance, work)
        threading.Event().wait(60)
        raise AssertionError("nobody has interrupted it")

    monkeypatch.setitem(steps._FUNCTIONS, "clone_collections", waits_in_vain)
    cancelled = launch(instance, request())
    run = instance.get_run_by_id(cancelled.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert ledger(home, "status", "error", "holder_host") == ("failed", CANCELLED, None)


@pytest.mark.usefixtures("looks_often")
def test_a_step_that_goes_on_after_a_cancel_loses_its_lease(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def deaf(work: Work) -> StepReport:
        with suppress(dg.DagsterExecutionInterruptedError):
            cancel_in_the_record(instance, work)
            threading.Event().wait(60)
        until = time.monotonic() + 60
        while ledger(home, "status") == ("cloning",):
            assert time.monotonic() < until
            time.sleep(0.01)
        said.append(ledger(home, "error")[0])
        work.lease.check()
        raise AssertionError("it may still write")

    monkeypatch.setitem(steps._FUNCTIONS, "clone_collections", deaf)
    assert not launch(instance, request()).success
    assert said == [CANCELLED]
    assert ledger(home, "status", "error") == ("failed", CANCELLED)


def test_no_step_begins_for_a_run_that_was_taken_for_dead(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = steps._FUNCTIONS["clone_config"]

    def asleep(work: Work) -> StepReport:
        report = config(work)
        run = instance.get_run_by_id(str(work.clone.run_id))
        assert run is not None
        instance.report_run_failed(run, "Its worker is gone.")
        return report

    monkeypatch.setitem(steps._FUNCTIONS, "clone_config", asleep)
    monkeypatch.delitem(steps._FUNCTIONS, "clone_buckets")
    late = launch(instance, request())
    assert "waiting for its turn" in as_text(failure(late)[0])
    assert ledger(home, "status") == ("cloning",)  # who has ended the run says so there


def test_steps_leave_nothing_for_each_other_in_a_folder(
    home: Path, instance: dg.DagsterInstance
) -> None:
    run_id = launch(instance, request(include_resources={"collections": False})).run_id
    left = {path.name for path in Path(instance.storage_directory(), run_id).iterdir()}
    assert left == {"compute_logs"}


@pytest.mark.parametrize("ending", [dg.DagsterExecutionInterruptedError(), StorageFailed("Full.")])
def test_a_run_is_taken_up_again_from_its_failure(
    ending: BaseException, home: Path, instance: dg.DagsterInstance, breaks: Callable[..., None]
) -> None:
    breaks("clone_collections", ending)
    ended = launch(instance, request())
    assert not ended.success
    again = launch(
        instance,
        request(),
        reexecution_options=dg.ReexecutionOptions.from_failure(ended.run_id, instance),
    )
    assert again.success
    assert set(shown(again)) == set(STEPS) - {"plan_clone", "clone_config", "clone_buckets"}
    assert ledger(home, "status", "run_id") == ("ready", again.run_id)
    assert counted(home, "new") == {**COUNTS, "taxonomies": 0}
