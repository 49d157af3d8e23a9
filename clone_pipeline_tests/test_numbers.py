"""The numbers of a clone agree, wherever they are shown."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core import steps
from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.ledger import meter
from clone_pipeline.core.report import STEPS, pace, size
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.defs.launching import request, shown, table

__all__ = ["dagster_home", "home", "made_home"]  # fixtures


def in_process(**options: Any) -> dg.ExecuteInProcessResult:
    return clone_job().execute_in_process(run_config=request(**options), raise_on_error=False)


@pytest.mark.usefixtures("home")
def test_the_pace_is_the_points_by_the_seconds_that_are_shown() -> None:
    metadata = shown(in_process())
    copied = metadata["copy_points"]
    assert copied["points_per_second"] == pace(copied["created_points"], copied["seconds"])
    summary = metadata["publish_clone"]
    assert summary["points_per_second"] == copied["points_per_second"]
    rows = {row["step"]: row for row in table(summary["steps"].records)}
    # Every step but the one that sums up, the plan too.
    assert list(rows) == list(STEPS[:-1])
    for step, row in rows.items():
        assert row["seconds"] == metadata[step]["seconds"]
        assert row["size"] == metadata[step]["size"] == size(metadata[step]["bytes"])
    assert summary["seconds_in_all"] >= sum(row["seconds"] for row in rows.values())


@pytest.mark.usefixtures("home")
def test_the_time_in_all_leaves_out_what_earlier_runs_took_and_the_pauses_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_work: object) -> None:
        raise StorageFailed("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setitem(steps._FUNCTIONS, "verify_clone", full)
        assert not in_process().success
    answer = run("resume", "new")
    assert answer.code == 0
    assert "s in the last of 2 runs" in answer.stdout
    rows = run("clone", "prod", "once").stdout
    assert "s in all; 5 points copied at " in rows
    assert "plan_clone" in rows


def test_warnings_are_told_once(home: Path) -> None:
    metadata = shown(in_process())
    lines = metadata["publish_clone"]["warnings"].splitlines()
    assert len(lines) == len(set(lines))
    assert sum("S3 files" in line for line in lines) == 1


@pytest.mark.usefixtures("home")
def test_the_log_of_a_run_says_how_far_points_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Copying and proving, each in its own step."""
    monkeypatch.setattr(meter, "_NOTE_SECONDS", 0.001)
    monkeypatch.setattr(meter, "_TOLD_EVERY", 1)
    heard, watched = threading.Event(), meter.Meter.watched

    def listening(self: meter.Meter, tell: Any, note: Any) -> Any:
        def tells(sentence: str) -> None:
            tell(sentence)
            if "5 of 5 points" in sentence:
                heard.set()

        return watched(self, tells, note)

    def until_heard(function: Any) -> Any:
        def step(work: Any) -> Any:
            heard.clear()
            report = function(work)
            assert heard.wait(60)
            return report

        return step

    monkeypatch.setattr(meter.Meter, "watched", listening)
    for name in ("copy_points", "verify_clone"):
        monkeypatch.setitem(steps._FUNCTIONS, name, until_heard(steps._FUNCTIONS[name]))
    with dg.instance_for_test() as instance:
        result = clone_job().execute_in_process(run_config=request(), instance=instance)
        told = [
            (entry.step_key, entry.user_message)
            for entry in instance.all_logs(result.run_id)
            if not entry.is_dagster_event
        ]
    assert ("copy_points", "Copied 5 of 5 points (100%)") in [
        (step, message.partition(":")[0].rstrip(".")) for step, message in told
    ]
    assert any(step == "verify_clone" and "Proved" in message for step, message in told)
