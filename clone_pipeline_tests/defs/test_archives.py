"""Backups that are archives: the tick, the run, its asset and checks, the test, the sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.api.metrics import exposed
from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.records import Archive
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.ledger.watch import policy_records
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.assets import clone_assets, clone_key
from clone_pipeline.defs.automation import FailedTick
from clone_pipeline.defs.checks import EQUAL, RESTORED
from clone_pipeline.defs.schedules import policy_schedules
from clone_pipeline.launch import archive_job
from clone_pipeline.policies import Policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.harness import clone, open_stores
from clone_pipeline_tests.policies.files import backup, written

from .test_checks import looked_up
from .test_run_sensors import ended

pytestmark = pytest.mark.outside

NIGHT = datetime(2026, 5, 6, 2, 0, tzinfo=timezone.utc)
NAME = "prod_backup_20260506_0200"


@pytest.fixture
def policies(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policies:
    """One that writes archives into a folder, and keeps one."""
    monkeypatch.setenv("CLONE_POLICIES", str(tmp_path / "policies.yaml"))
    return written(tmp_path, backups=[backup(to=(tmp_path / "out").as_uri(), keep={"last": 1})])


@pytest.fixture
def stores(home: Path) -> Iterator[Stores]:
    with open_stores(home) as stores:
        yield stores


def tick(policies: Policies, instance: dg.DagsterInstance, moment: datetime = NIGHT) -> Any:
    (made,) = [one for one in policy_schedules(policies, load_settings()) if one.name == "nightly"]
    assert made.job_name == "archive_namespace"
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
    (asked,) = made.evaluate_tick(context).run_requests
    return asked


def run(asked: Any, instance: dg.DagsterInstance) -> Any:
    return archive_job().execute_in_process(
        run_config=asked.run_config, tags=asked.tags, instance=instance, raise_on_error=False
    )


def job(name: str, config: dict[str, Any], instance: dg.DagsterInstance) -> Any:
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(name).execute_in_process(
        run_config=config, instance=instance, raise_on_error=False
    )


def listed(stores: Stores) -> dict[str, Archive]:
    with stores.catalog.read() as connection:
        every = records.list_archives(connection, None, "ready", "failed", "writing", "removed")
    return {one.name: one for one in every}


def test_a_tick_asks_for_the_archive_of_its_time(
    policies: Policies, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    asked = tick(policies, instance)
    assert asked.run_config == {
        "namespace_identifier": "prod",
        "address": f"{(tmp_path / 'out').as_uri()}/{NAME}",
        "source_organization_id": None,
    }
    assert (asked.tags["clone/policy"], asked.tags["clone/policy_kind"]) == ("nightly", "backup")


def test_a_clone_of_the_same_name_is_in_nobodys_way(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores
) -> None:
    clone(stores, "prod", NAME)
    assert run(tick(policies, instance), instance).success


def test_a_source_that_is_gone_fails_the_tick(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores
) -> None:
    delete_clone(stores, None, "prod", Admitted(loaded=True))
    with pytest.raises(FailedTick, match="There is no namespace 'prod'"):
        tick(policies, instance)


def test_its_run_is_a_point_on_the_policys_page(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores
) -> None:
    done = run(tick(policies, instance), instance)
    assert done.success
    made = listed(stores)[NAME]
    assert (made.policy, made.proven) == ("nightly", True)
    key = clone_key("org_acme", "nightly")
    (seen,) = done.get_asset_materialization_events()
    assert seen.asset_key == key
    assert seen.materialization.metadata["points"].value == made.points
    (check,) = done.get_asset_check_evaluations()
    assert (check.asset_key, check.check_name, check.passed) == (key, EQUAL, True)
    assert key in {asset.key for asset in clone_assets(load_settings(), policies)}


def test_a_tag_that_anybody_sets_makes_no_backup(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores, tmp_path: Path
) -> None:
    asked = tick(policies, instance)
    asked.run_config["address"] = f"{(tmp_path / 'elsewhere').as_uri()}/{NAME}"
    assert run(asked, instance).success
    assert listed(stores)[NAME].policy is None


def test_the_checks_say_it_again_and_notice_that_no_test_was_made(
    policies: Policies, instance: dg.DagsterInstance
) -> None:
    assert run(tick(policies, instance), instance).success
    found = looked_up(policies)
    assert found["nightly", EQUAL][0]
    assert "the archive was read back" in found["nightly", EQUAL][1]
    assert found["nightly", RESTORED] == (
        False,
        "No backup has been restored for a test yet.",
    )
    tested = job("test_restore", {"backup": "nightly"}, instance)
    assert tested.success
    (evaluation,) = tested.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == (RESTORED, True)
    assert looked_up(policies)["nightly", RESTORED][0]


def test_a_damaged_archive_fails_its_restore_test(
    policies: Policies, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert run(tick(policies, instance), instance).success
    part = next((tmp_path / "out" / NAME).glob("points-*"))
    part.write_bytes(b"x" * part.stat().st_size)
    tested = job("test_restore", {"backup": "nightly"}, instance)
    assert not tested.success
    (evaluation,) = tested.get_asset_check_evaluations()
    assert not evaluation.passed
    assert f"{part.name}: is damaged" in str(evaluation.metadata["sentence"].value)


def test_a_policy_that_made_clones_before_is_tested_by_what_it_makes_now(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores
) -> None:
    clone(stores, "prod", "old", policy="nightly", preserve_resource_ids=True)
    assert run(tick(policies, instance), instance).success
    assert job("test_restore", {"backup": "nightly"}, instance).success
    assert listed(stores)[NAME].restore_test is not None


def test_the_sweep_keeps_the_newest(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores, tmp_path: Path
) -> None:
    for day in range(2):
        assert run(tick(policies, instance, NIGHT + timedelta(days=day)), instance).success
        if day == 0:
            assert job("test_restore", {"backup": "nightly"}, instance).success
    assert job("sweep_namespaces", {"dry_run": True}, instance).success
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert job("sweep_namespaces", {}, instance).success
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["prod_backup_20260507_0200"]
    assert listed(stores)[NAME].status == "removed"
    assert looked_up(policies)["nightly", RESTORED][0], "tested when it was there"


def test_a_run_that_died_without_a_word_is_noted_and_gone_on_with(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores, tmp_path: Path
) -> None:
    asked = tick(policies, instance)
    dead = instance.create_run_for_job(archive_job(), run_config=asked.run_config, tags=asked.tags)
    with stores.catalog.write() as connection:
        records.begin(
            connection,
            organization_id="org_acme",
            source_namespace_id="ns_prod000001",
            name=NAME,
            address=asked.run_config["address"],
            policy="nightly",
            run_id=dead.run_id,
            now=stores.clock(),
        )
    (tmp_path / "sensors").mkdir()
    ended(instance, tmp_path / "sensors", dead)
    left = listed(stores)[NAME]
    assert left.status == "failed"
    assert "without a word" in str(left.error)
    assert run(asked, instance).success
    assert (listed(stores)[NAME].status, listed(stores)[NAME].key) == ("ready", left.key)


def test_metrics_show_it_like_any_other_backup(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores
) -> None:
    assert run(tick(policies, instance), instance).success
    assert job("test_restore", {"backup": "nightly"}, instance).success
    made = listed(stores)[NAME]
    with stores.catalog.read() as connection:
        (record,) = [one for one in policy_records(connection, None) if one.policy == "nightly"]
    assert record.succeeded_at == record.proven_at == made.finished_at
    assert (record.status, record.live, record.restorable) == ("ready", 1, True)
    assert (record.outcome, record.made) == ("published", made.address)
    assert (record.points, record.bytes, record.seconds) == (made.points, made.bytes, made.seconds)
    text = exposed(stores, load_settings().policies, None, "")[0].decode()
    labels = '{organization="org_acme",policy="nightly"}'
    assert f"clone_pipeline_policy_restorable{labels} 1.0" in text
    assert f"clone_pipeline_policy_last_success_points{labels} {float(made.points or 0)}" in text


def test_a_failed_one_is_the_last_status_beside_the_last_success(
    policies: Policies, instance: dg.DagsterInstance, stores: Stores, tmp_path: Path
) -> None:
    assert run(tick(policies, instance), instance).success
    later = tick(policies, instance, NIGHT + timedelta(days=1))
    name = later.run_config["address"].rpartition("/")[2]
    (tmp_path / "out" / name).mkdir()
    (tmp_path / "out" / name / "x").write_text("mine")
    failed = run(later, instance)
    assert not failed.success
    said = [event for event in failed.all_events if event.is_step_failure]
    assert "holds 'x'" in str(said[0].step_failure_data.user_failure_data.description)
    with stores.catalog.read() as connection:
        (record,) = [one for one in policy_records(connection, None) if one.policy == "nightly"]
    assert (record.status, record.outcome, record.live) == ("failed", "failed", 1)
    assert "holds 'x'" in str(record.error)
    assert record.succeeded_at == listed(stores)[NAME].finished_at


def test_the_form_of_the_job_is_its_config() -> None:
    config = {"namespace_identifier": "prod", "address": "s3://b/x/y"}
    found = dg.validate_run_config(archive_job(), config)
    inner = found["ops"]["write_archive"]["config"]
    assert json.loads(json.dumps(inner)) == config | {
        "source_organization_id": None,
        "environment": None,
    }
