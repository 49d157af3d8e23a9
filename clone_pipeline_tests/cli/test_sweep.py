"""`sweep`: the command and the job list the same, and do the same."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from sqlalchemy import update

from clone_pipeline.core import discard, sweep
from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.retention import Keep
from clone_pipeline.settings import load_settings
from clone_pipeline.sweeping import backup_policies
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.running import run

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def expired(home: Path) -> None:
    """`staging` has expired, and so has `prod`, which nobody made here."""
    with harness.open_stores(home) as stores, stores.catalog.write() as connection:
        connection.execute(update(namespaces).values(expires_at=LONG_AGO))


def job_outcome(**config: Any) -> dg.ExecuteInProcessResult:
    from clone_pipeline.definitions import defs

    job = defs.resolve_job_def("sweep_namespaces")
    return job.execute_in_process(run_config=config, raise_on_error=False)


def rows(metadata: Any) -> list[dict[str, Any]]:
    return [record.data for record in metadata.records]


def listed() -> set[str]:
    return {row["namespace_name"] for row in run("list", "--json").json}


@pytest.mark.usefixtures("expired")
def test_the_dry_run_the_job_and_the_sweep_list_the_same() -> None:
    before = listed()
    dry = run("sweep", "--dry-run", "--json").json
    assert [row["namespace_name"] for row in dry["removed"]] == ["staging"]
    assert dry["removed"][0]["why"] == "it expired at 2020-01-01 00:00 UTC"
    assert {row["namespace_name"] for row in dry["kept"]} == {"prod", "plain", "elsewhere", "half"}
    outcome = job_outcome(dry_run=True)
    assert listed() == before
    [step] = [event for event in outcome.all_events if event.is_successful_output]
    metadata = step.step_output_data.metadata
    assert rows(metadata["removed"]) == dry["removed"]
    assert rows(metadata["kept"]) == dry["kept"]
    assert outcome.output_for_node("sweep") == {"removed": 1, "kept": 4, "failed": 0}
    done = run("sweep", "--json").json
    assert done == {**dry, "dry_run": False}
    assert listed() == before - {"staging"}
    assert run("sweep", "--json").json["removed"] == []


@pytest.mark.usefixtures("expired")
def test_the_job_sweeps() -> None:
    assert job_outcome().success
    assert "staging" not in listed()


@pytest.mark.usefixtures("expired")
def test_a_person_reads_what_goes_and_why() -> None:
    said = run("sweep", "--dry-run").stdout
    assert said.startswith("Would be removed")
    assert "it expired at 2020-01-01 00:00 UTC, but generation 1 was not made by clone-pipe" in said
    assert run("sweep").stdout.startswith("Removed")
    assert run("sweep").stdout.startswith("Removed: none")


@pytest.mark.usefixtures("expired")
def test_what_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise StorageFailed("The disk is full.")

    monkeypatch.setattr(sweep, "remove", fails)
    answer = run("sweep", "--json")
    assert answer.code == 1
    assert answer.json["failed"][0]["why"].endswith("but The disk is full")
    assert "What failed is tried again" in run("sweep").stdout
    outcome = job_outcome()
    assert not outcome.success
    [failure] = [event for event in outcome.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told.description.startswith("1 of 1 removals failed, the first one: staging (ns_")
    assert rows(told.metadata["failed"]) == answer.json["failed"]
    assert rows(told.metadata["kept"]) == answer.json["kept"]
    monkeypatch.setattr(sweep, "remove", discard.remove)
    assert run("sweep").code == 0
    assert "staging" not in listed()


@pytest.mark.usefixtures("home")
def test_the_policy_of_a_run_is_listed_with_what_is_proven() -> None:
    from clone_pipeline.launch import clone_job

    request = {"namespace_identifier": "prod", "namespace_name": "backup"}
    tags = {"clone/policy": "nightly"}
    assert clone_job().execute_in_process(run_config=request, tags=tags).success
    by_name = {row["namespace_name"]: row for row in run("list", "--json").json}
    told = {name: (row["policy"], row["proven"]) for name, row in by_name.items()}
    assert told["backup"] == ("nightly", "full")
    assert told["staging"] == (None, "full")
    assert told["half"] == told["prod"] == (None, None)
    assert "ready, for policy nightly, proven" in run("list").stdout
    [kept] = [row for row in run("sweep", "--json").json["kept"] if row["rule"] == "backup"]
    assert kept["why"] == "a backup of nightly, which is not among the policies"


POLICIES = """
backups:
  - {name: nightly, source: prod, cron: "0 2 * * *", timezone: Europe/Berlin, keep: {last: 1}}
  - {name: yearly, source: prod, cron: "0 2 1 1 *", name_template: "prod_{policy}_{date}_{time}"}
  - {name: broken, source: prod, cron: "never", keep: {last: 1}}
refreshes:
  - {name: staging, source: prod, target: staging, cron: "0 3 * * *"}
"""


@pytest.mark.usefixtures("home")
def test_what_a_policy_keeps_is_said_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says nothing about it keeps everything, and so does one with a mistake."""
    from clone_pipeline.launch import clone_job

    (tmp_path / "policies.yaml").write_text(POLICIES)
    for policy in ("nightly", "yearly", "broken"):
        for number in (1, 2):
            name = f"{policy}_{number}"
            clone_job().execute_in_process(
                run_config={"namespace_identifier": "prod", "namespace_name": name},
                tags={"clone/policy": policy},
            )
    assert run("sweep", "--json").json["removed"] == []
    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    done = run("sweep", "--json").json
    assert [row["namespace_name"] for row in done["removed"]] == ["nightly_1"]
    kept = {row["namespace_name"]: row["why"] for row in done["kept"] if row["rule"] == "backup"}
    assert kept.keys() == {"nightly_2", "yearly_1", "yearly_2", "broken_1", "broken_2"}
    assert kept["broken_1"] == "a backup of broken, which is not among the policies"
    assert "nightly_1" not in listed()


def test_time_zones_of_policies_decide_what_a_day_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    policies = backup_policies(load_settings())
    assert policies == {
        "nightly": (Keep(last=1), ZoneInfo("Europe/Berlin")),
        "yearly": (Keep(), ZoneInfo("UTC")),
    }
    monkeypatch.delenv("CLONE_POLICIES")
    assert backup_policies(load_settings()) == {}
