"""What of Dagster's record is kept: the sweep forgets runs with all that they have left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.process import Holder
from clone_pipeline.defs import history
from clone_pipeline.defs.history import another_dev, dev_above, forget_runs, where_runs_are_recorded
from clone_pipeline.launch import open_instance, run_job
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import holding

ROOT = Path(__file__).parents[2]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with open_instance(load_settings()) as instance:
        yield instance


def files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    return [path for path in Path(instance.root_directory).rglob("*") if run_id in str(path)]


def in_days(days: int) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def test_a_run_goes_with_its_events_logs_and_files_when_its_time_is_over(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with holding(tmp_path / "home", sample()):
        pass
    request = {"namespace_identifier": "prod", "namespace_name": "copy"}
    result = run_job(instance, request, quiet=True)
    assert result.success
    assert files(instance, result.run_id)
    assert forget_runs(instance, in_days(89)) == 0
    assert instance.get_run_by_id(result.run_id) is not None
    assert forget_runs(instance, in_days(91)) == 1
    assert instance.get_run_by_id(result.run_id) is None
    assert files(instance, result.run_id) == []
    assert instance.get_runs_count() == 0


def ended(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus) -> str:
    @dg.job(name=job)
    def nothing() -> None: ...

    return instance.create_run_for_job(nothing, status=status).run_id


def test_runs_of_the_sweep_go_sooner_and_those_at_work_or_of_others_stay(
    instance: dg.DagsterInstance,
) -> None:
    done = dg.DagsterRunStatus.SUCCESS
    swept = ended(instance, "sweep_namespaces", done)
    kept = [
        ended(instance, "clone_namespace", done),
        ended(instance, "sweep_namespaces", dg.DagsterRunStatus.STARTED),
        ended(instance, "of_somebody_else", done),
    ]
    assert forget_runs(instance, in_days(8)) == 1
    assert instance.get_run_by_id(swept) is None
    assert all(instance.get_run_by_id(one) for one in kept)


def test_of_many_runs_the_newest_stay(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_KEPT", 3)
    runs = [ended(instance, "clone_namespace", dg.DagsterRunStatus.FAILURE) for _ in range(5)]
    assert forget_runs(instance, in_days(0)) == 2
    assert [bool(instance.get_run_by_id(one)) for one in runs] == [False, False, True, True, True]


# ---- where it is ------------------------------------------------------------------------------

SERVER = ["dagster", "api", "grpc"]


def test_the_code_server_says_when_runs_are_recorded_elsewhere_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    shutil.copy(ROOT / "dagster.yaml", project)
    said = where_runs_are_recorded(load_settings(), elsewhere, SERVER)
    assert "Dagster forgets its runs" in str(said)
    assert where_runs_are_recorded(load_settings(), elsewhere, ["clone-pipeline"]) is None
    assert where_runs_are_recorded(load_settings(), project, SERVER) is None
    monkeypatch.setenv("DAGSTER_HOME", str(project))
    assert where_runs_are_recorded(load_settings(), project, SERVER) is None
    said = where_runs_are_recorded(load_settings(), elsewhere, SERVER)
    assert f"recorded in {elsewhere / '.clone_pipeline/dagster'}" in str(said)
    (project / "dagster.yaml").write_text("storage: {sqlite: {base_dir: /somewhere}}")
    assert where_runs_are_recorded(load_settings(), elsewhere, SERVER) is None


# ---- who else is at it ------------------------------------------------------------------------


@pytest.mark.outside
def test_a_second_dagster_dev_on_one_home_is_told_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as first:
        one, two = Holder.of(first.pid), Holder.current()
        assert another_dev(tmp_path / "home", None) is None
        assert another_dev(tmp_path / "home", one) is None
        assert another_dev(tmp_path / "home", one) is None
        said = str(another_dev(tmp_path / "home", two))
        assert f"process {first.pid}" in said
        assert "Stop one of them." in said
        assert another_dev(tmp_path / "elsewhere", two) is None
        first.kill()
    assert another_dev(tmp_path / "home", two) is None


@pytest.mark.outside
def test_a_process_knows_the_dagster_dev_that_has_started_it(tmp_path: Path) -> None:
    (tmp_path / "dagster").write_text(
        "import os, subprocess, sys\n"
        "look = 'from clone_pipeline.defs.history import dev_above; print(dev_above().pid)'\n"
        "subprocess.run([sys.executable, '-c', look], check=True)\n"
        "print(os.getpid())\n"
    )
    dev = [sys.executable, str(tmp_path / "dagster"), "dev"]
    said = subprocess.run(dev, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert len(set(said.split())) == 1
    assert dev_above() is None
