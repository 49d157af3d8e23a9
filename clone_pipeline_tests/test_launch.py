"""Runs that the command line makes are recorded as those of the UI are, where everybody looks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.launch import open_instance, run_job
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.full_disk import full_disk

REQUEST = {"namespace_identifier": "absent", "namespace_name": "new"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_run_of_the_command_line_is_found_by_the_pages_of_its_job(home: Path) -> None:
    with open_instance(load_settings()) as instance:
        run_id = run_job(instance, REQUEST, quiet=True).run_id
        # What the job's page and its timeline ask for.
        location = {".dagster/repository": "__repository__@clone_pipeline"}
        wanted = dg.RunsFilter(job_name="clone_namespace", tags=location)
        (run,) = instance.get_runs(wanted)
        assert run.run_id == run_id
        assert run.remote_job_origin is not None
        selector = run.remote_job_origin.repository_origin.get_selector()
        assert (selector.location_name, selector.repository_name) == (
            "clone_pipeline",
            "__repository__",
        )
        assert run.tags["clone/job"] == "clone_namespace"
        # The daemon leaves it to whoever is at the terminal.
        assert run.tags["dagster/max_retries"] == "0"


@pytest.mark.parametrize("size", [10, 5000, 40_000])
def test_a_full_disk_at_the_start_is_one_sentence(home: Path, size: int) -> None:
    with full_disk(size), pytest.raises(StorageFailed) as caught:
        open_instance(load_settings())
    assert str(caught.value).startswith(f"Dagster's record of runs in {home}")
    assert "\n" not in str(caught.value)
    # Nothing half-made is in the way when there is room again.
    with open_instance(load_settings()) as instance:
        assert instance.get_runs_count() == 0
