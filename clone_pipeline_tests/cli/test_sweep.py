"""`sweep`: the command and the job list the same, and do the same."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.generations import delete, sweep
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule
from clone_pipeline.defs import history
from clone_pipeline.launch import open_instance
from clone_pipeline.policies.rules import backup_policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.harness import everything

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
    done = run("sweep", "--yes", "--json").json
    assert done == {**dry, "dry_run": False}
    assert listed() == before - {"staging"}
    assert run("sweep", "--yes", "--json").json["removed"] == []


@pytest.mark.usefixtures("expired")
def test_the_job_sweeps() -> None:
    assert job_outcome().success
    assert "staging" not in listed()


@pytest.mark.usefixtures("expired")
def test_a_person_reads_what_goes_and_why() -> None:
    said = run("sweep", "--dry-run").stdout
    assert said.startswith("Would be removed")
    assert "it expired at 2020-01-01 00:00 UTC, but generation 1 is not a clone" in said
    assert run("sweep", "--yes").stdout.startswith("Removed")
    assert run("sweep", "--yes").stdout.startswith("Removed: none")


@pytest.mark.usefixtures("expired")
def test_what_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise StorageFailed("The disk is full.")

    monkeypatch.setattr(sweep, "remove", fails)
    answer = run("sweep", "--yes", "--json")
    assert answer.code == 1
    assert answer.json["failed"][0]["why"].endswith("but The disk is full")
    assert "What failed is tried again" in run("sweep", "--yes").stdout
    outcome = job_outcome()
    assert not outcome.success
    [failure] = [event for event in outcome.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told.description.startswith("1 failed, the first one: staging (ns_")
    assert rows(told.metadata["failed"]) == answer.json["failed"]
    assert rows(told.metadata["kept"]) == answer.json["kept"]
    monkeypatch.setattr(sweep, "remove", delete.remove)
    assert run("sweep", "--yes").code == 0
    assert "staging" not in listed()


def launch(policy: str, source: str, name: str, **options: Any) -> None:
    """A run with a policy's tag, as Dagster starts it, and as anybody may."""
    from clone_pipeline.launch import clone_job

    options = {"preserve_resource_ids": True, "include_resources": everything(), **options}
    request = {"namespace_identifier": source, "namespace_name": name, **options}
    tags = {"clone/policy": policy}
    assert clone_job().execute_in_process(run_config=request, tags=tags).success


@pytest.fixture
def policies_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policies.yaml"
    file.write_text(POLICIES)
    monkeypatch.setenv("CLONE_POLICIES", str(file))
    return file


@pytest.mark.usefixtures("home", "policies_file")
def test_the_policy_of_a_run_is_listed_with_what_is_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch("nightly", "prod", "b_20261124_0200")
    by_name = {row["namespace_name"]: row for row in run("list", "--json").json}
    told = {name: (row["policy"], row["proven"]) for name, row in by_name.items()}
    assert told["b_20261124_0200"] == ("nightly", "full")
    assert told["staging"] == (None, "full")
    assert told["half"] == told["prod"] == (None, None)
    listed = run("list").stdout
    assert "ready, ids kept, for policy nightly, proven" in listed
    assert re.search(r"staging .* ready, proven ", listed)
    monkeypatch.delenv("CLONE_POLICIES")
    [kept] = [
        row for row in run("sweep", "--yes", "--json").json["kept"] if row["rule"] == "backup"
    ]
    assert kept["why"] == "a backup of nightly, which is not among the policies"


@pytest.mark.usefixtures("home", "policies_file")
@pytest.mark.parametrize(
    "changed",
    [
        {"name": "by_hand"},
        {"source": "elsewhere", "name": "b_20261124_0201"},
        {"source": "elsewhere", "name": "elsewhere_20261124_0201"},
        {"preserve_resource_ids": False},
        {"verify": "counts"},
        {"ttl_seconds": 3600},
        {"include_resources": {"collections": False}},
    ],
    ids=lambda changed: ", ".join(changed),
)
def test_the_tag_of_a_policy_makes_no_backup_of_what_the_policy_does_not_ask_for(
    changed: dict[str, Any],
) -> None:
    """Counted as one, it would take the place of one that is."""
    launch("nightly", "prod", "b_20261124_0200")
    asked = {"source": "prod", "name": "b_20261125_0200", **changed}
    launch("nightly", **asked)
    assert run("sweep", "--yes", "--json").json["removed"] == []
    by_name = {row["namespace_name"]: row["policy"] for row in run("list", "--json").json}
    assert by_name["b_20261124_0200"] == "nightly"
    assert by_name[asked["name"]] is None


POLICIES = """
backups:
  - name: nightly
    source: prod
    cron: "0 2 * * *"
    timezone: Europe/Berlin
    name_template: "b_{date}_{time}"
    keep: {last: 1}
  - {name: yearly, source: prod, cron: "0 2 1 1 *", name_template: "prod_{policy}_{date}_{time}"}
  - {name: broken, source: prod, cron: "never", name_template: "prod_{policy}_{date}_{time}"}
refreshes:
  - {name: staging, source: prod, target: staging, cron: "0 3 * * *"}
"""


@pytest.mark.usefixtures("home")
def test_what_a_policy_keeps_is_said_in_the_file(policies_file: Path) -> None:
    """One that says nothing about it keeps everything, and so does one with a mistake."""
    policies_file.write_text(POLICIES.replace("never", "0 2 * * *"))
    names = {"nightly": "b", "yearly": "prod_yearly", "broken": "prod_broken"}
    for policy, stem in names.items():
        for day in (24, 25):
            launch(policy, "prod", f"{stem}_202611{day}_0200")
    policies_file.write_text(POLICIES)
    done = run("sweep", "--yes", "--json").json
    assert [row["namespace_name"] for row in done["removed"]] == ["b_20261124_0200"]
    kept = {row["namespace_name"]: row["why"] for row in done["kept"] if row["rule"] == "backup"}
    assert set(kept) == {
        f"{stem}_202611{day}_0200" for stem in names.values() for day in (24, 25)
    } - {"b_20261124_0200"}
    assert kept["prod_broken_20261124_0200"] == (
        "a backup of broken, which is not among the policies"
    )
    assert "b_20261124_0200" not in listed()


@pytest.mark.usefixtures("policies_file")
def test_time_zones_of_policies_decide_what_a_day_is(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = backup_policies(load_settings())
    assert policies == {
        "nightly": BackupRule(Keep(last=1), ZoneInfo("Europe/Berlin"), "prod"),
        "yearly": BackupRule(Keep(), ZoneInfo("UTC"), "prod"),
    }
    monkeypatch.delenv("CLONE_POLICIES")
    assert backup_policies(load_settings()) == {}


# ---- Dagster's record ------------------------------------------------------------------------


def old_run(instance: dg.DagsterInstance) -> str:
    """A sweep's run that ended, as one says who comes in ten days."""

    @dg.job(name="sweep_namespaces")
    def nothing() -> None: ...

    return instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.SUCCESS).run_id


def test_the_sweep_forgets_runs_that_have_had_their_time(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "its_own_dagster"
    folder.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with open_instance(load_settings()) as instance:
        old = old_run(instance)
    monkeypatch.setitem(history.KEPT, "sweep_namespaces", timedelta(seconds=-10))
    assert run("sweep", "--dry-run", "--json").json["runs_forgotten"] == 1
    said = run("sweep", "--dry-run").stdout
    assert "Dagster's record of runs: 1 run would be forgotten." in said
    # It is asked for like everything else that goes.
    no = run("sweep", answers="n\n")
    assert "and the record of 1 run that have had their time?" in no.stderr
    with open_instance(load_settings()) as instance:
        assert instance.get_run_by_id(old) is not None
    assert run("sweep", "--yes", "--json").json["runs_forgotten"] == 1
    with open_instance(load_settings()) as instance:
        assert instance.get_run_by_id(old) is None
    assert "0 runs forgotten" in run("sweep", "--yes").stdout


def test_the_sweep_makes_no_record_where_there_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    assert run("sweep", "--yes", "--json").json["runs_forgotten"] == 0
    assert "Dagster's record" not in run("sweep", "--dry-run").stdout
    assert not (home / "dagster").exists()
