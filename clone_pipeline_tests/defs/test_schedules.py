"""One schedule for each policy with a cron line: what its tick asks for, and why it does not."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from sqlalchemy import delete

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.generations.rollback import resume_refreshes, rollback
from clone_pipeline.core.generations.templates import create_template
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.defs.automation import FailedTick
from clone_pipeline.defs.schedules import policy_schedules
from clone_pipeline.launch import JOB, clone_job
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.harness import clone, open_stores
from clone_pipeline_tests.policies.files import backup, refresh, written

NIGHT = datetime(2026, 5, 6, 2, 0, tzinfo=timezone.utc)
NAME = "prod_backup_20260506_0200"


def schedule(folder: Path, **sections: list[dict[str, Any]]) -> dg.ScheduleDefinition:
    (made,) = [one for one in schedules(folder, **sections) if one.job_name == JOB]
    return made


def schedules(folder: Path, **sections: list[dict[str, Any]]) -> list[dg.ScheduleDefinition]:
    return policy_schedules(written(folder, **sections), load_settings())


def tick(
    made: dg.ScheduleDefinition, instance: dg.DagsterInstance, moment: datetime = NIGHT
) -> Any:
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
    return made.evaluate_tick(context)


def test_a_tick_asks_for_the_backup_of_its_time(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    (asked,) = tick(schedule(tmp_path, backups=[backup()]), instance).run_requests
    assert (
        asked.tags.items()
        >= {
            "clone/policy": "nightly",
            "clone/policy_kind": "backup",
            "clone/target_namespace": NAME,
        }.items()
    )
    assert asked.run_key == "nightly:2026-05-06T02:00:00+00:00"
    request = parse_request(asked.run_config)
    assert (request.namespace_identifier, request.namespace_name) == ("prod", NAME)
    assert request.preserve_resource_ids
    assert request.include_resources.taxonomies
    config = dg.validate_run_config(clone_job(), asked.run_config)
    assert parse_request(config["ops"]["plan_clone"]["config"]) == request


def test_it_runs_by_default_and_says_so(tmp_path: Path) -> None:
    on = schedule(tmp_path, backups=[backup()])
    assert on.default_status == dg.DefaultScheduleStatus.RUNNING
    assert "Running by default" in str(on.description)
    off = schedule(tmp_path, backups=[backup(enabled=False)])
    assert off.default_status == dg.DefaultScheduleStatus.STOPPED
    assert "enabled: false" in str(off.description)


def test_one_that_is_not_enabled_does_nothing_when_it_is_started_all_the_same(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    off = schedule(tmp_path, backups=[backup(enabled=False)])
    assert tick(off, instance).skip_message == "The policy says `enabled: false`."


def test_a_run_that_is_under_way_keeps_the_next_one_from_starting(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made = schedule(tmp_path, backups=[backup()])
    (asked,) = tick(made, instance).run_requests
    run = instance.create_run_for_job(clone_job(), run_config=asked.run_config, tags=asked.tags)
    skipped = tick(made, instance)
    assert not skipped.run_requests
    assert skipped.skip_message == f"The run {run.run_id} of nightly is still under way."
    instance.report_run_failed(run)
    assert len(tick(made, instance).run_requests) == 1


def test_a_source_that_is_not_there_is_said_by_the_tick(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made = schedule(tmp_path, backups=[backup(source="gone")])
    with pytest.raises(FailedTick, match="There is no namespace 'gone' to clone"):
        tick(made, instance)


def test_a_source_that_is_gone_fails_the_tick_though_there_is_a_template_of_it(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made = schedule(tmp_path, backups=[backup(source="ns_prod000001")])
    values = {"template_name": "t", "description": "", "category": None, "tags": []}
    with open_stores(home) as stores:
        create_template(stores, LOCAL_OPERATOR, "prod", values)
        assert len(tick(made, instance).run_requests) == 1
        with stores.catalog.write() as connection:
            live = (namespaces.c.namespace_name == "prod", namespaces.c.role == "live")
            connection.execute(delete(namespaces).where(*live))
    with pytest.raises(FailedTick, match="There is no namespace 'ns_prod000001' to clone"):
        tick(made, instance)


def test_without_a_catalog_the_tick_says_so_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "none"))
    with pytest.raises(FailedTick, match="There is no namespace yet"):
        tick(schedule(tmp_path, backups=[backup()]), instance)
    assert not (tmp_path / "none").exists()


def test_a_catalog_that_cannot_be_read_now_does_not_cost_the_backup(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    (home / "catalog.db").write_text("this is not a database, and long enough to be seen as none")
    assert len(tick(schedule(tmp_path, backups=[backup()]), instance).run_requests) == 1


# ---- refreshes -------------------------------------------------------------------------------

AT_NIGHT = {"cron": "0 3 * * *", "on_change": None}


def test_a_refresh_at_fixed_times_replaces_its_target(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made = schedule(tmp_path, refreshes=[refresh(**AT_NIGHT)])
    (asked,) = tick(made, instance).run_requests
    assert asked.tags["clone/policy_kind"] == "refresh"
    assert asked.tags["clone/target_namespace"] == "staging"
    assert parse_request(asked.run_config).if_exists == "replace"


def test_a_target_that_a_person_made_is_not_replaced_without_adopt(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    policy = refresh(**AT_NIGHT, target="plain")
    with pytest.raises(FailedTick, match=r"was not made by clone-pipeline.*adopt: true"):
        tick(schedule(tmp_path, refreshes=[policy]), instance)
    adopting = schedule(tmp_path, refreshes=[policy | {"options": {"adopt": True}}])
    assert len(tick(adopting, instance).run_requests) == 1


def test_a_tick_that_is_still_to_come_launches_nothing(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The UI lets one evaluate it: its run would have the name and the key of the real one."""
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    with open_stores(home) as stores:
        clone(stores, "prod", "monday", policy="nightly", preserve_resource_ids=True)
    made = schedules(tmp_path, backups=[backup()], refreshes=[refresh(**AT_NIGHT)])
    assert len(made) == 3
    for one in made:
        with pytest.raises(FailedTick, match="is still to come"):
            tick(one, instance, tomorrow)
        now = datetime.now(timezone.utc)
        assert len(tick(one, instance, now).run_requests) == 1


@pytest.mark.parametrize("by", ["a refresh by hand", "resume"])
def test_a_rollback_holds_it_until(
    by: str, home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made = schedule(tmp_path, refreshes=[refresh(**AT_NIGHT)])
    with open_stores(home) as stores:
        clone(stores, "prod", "staging", if_exists="replace")
        live = rollback(stores, None, "staging")
        assert tick(made, instance).skip_message.startswith("Held, because staging was")
        if by == "resume":
            resume_refreshes(stores, live)
        else:
            clone(stores, "prod", "staging", if_exists="replace")
    assert len(tick(made, instance).run_requests) == 1


# ---- time zones ------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


def ticks(made: dg.ScheduleDefinition, start: datetime, count: int) -> list[datetime]:
    """When Dagster will tick."""
    times = schedule_execution_time_iterator(
        start.timestamp(), str(made.cron_schedule), made.execution_timezone
    )
    return list(islice(times, count))


@pytest.mark.parametrize("start", [datetime(2026, 3, 27), datetime(2026, 10, 23)])
@pytest.mark.parametrize("cron", ["30 2 * * *", "@daily"])
def test_each_day_has_one_backup_when_the_clock_is_changed(
    cron: str, start: datetime, tmp_path: Path
) -> None:
    made = schedule(tmp_path, backups=[backup(cron=cron, timezone="Europe/Berlin")])
    moments = ticks(made, start.replace(tzinfo=BERLIN), 5)
    days = Counter(moment.astimezone(BERLIN).date() for moment in moments)
    assert [days[day] for day in sorted(days)] == [1] * 5
    # Half past two does not exist on the day when the clock is set forward.
    late = {(2026, 3, 29)} if cron.startswith("30") and start.month == 3 else set()
    for moment in moments:
        local = moment.astimezone(BERLIN)
        if (local.year, local.month, local.day) in late:
            assert local.hour == 3
        else:
            assert f"{local:%H%M}" == ("0230" if cron.startswith("30") else "0000")


@pytest.mark.parametrize("start", [datetime(2026, 3, 28, 22), datetime(2026, 10, 24, 22)])
def test_each_hourly_backup_has_a_name_of_its_own_when_the_clock_is_changed(
    start: datetime, tmp_path: Path
) -> None:
    policies = written(tmp_path, backups=[backup(cron="0 * * * *", timezone="Europe/Berlin")])
    made = policy_schedules(policies, load_settings())[0]
    moments = ticks(made, start.replace(tzinfo=BERLIN), 8)
    apart = {later.timestamp() - one.timestamp() for one, later in pairwise(moments)}
    assert apart == {3600.0}
    names = [policies.backups[0].clone_name(moment) for moment in moments]
    assert len(set(names)) == 8
    assert all(len(name) <= 64 for name in names)


# ---- restore tests ---------------------------------------------------------------------------


def restore_test(folder: Path, **more: Any) -> list[dg.ScheduleDefinition]:
    made = schedules(folder, backups=[backup(**more)])
    return [one for one in made if one.job_name == "test_restore"]


def test_a_backup_is_restored_for_a_test_each_week(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        clone(stores, "prod", "monday", policy="nightly", preserve_resource_ids=True)
    (made,) = restore_test(tmp_path, timezone="Europe/Berlin")
    assert (made.name, made.cron_schedule) == ("restore_test_nightly", "0 5 * * 0")
    assert made.execution_timezone == "Europe/Berlin"
    assert made.default_status == dg.DefaultScheduleStatus.RUNNING
    (asked,) = tick(made, instance).run_requests
    assert asked.run_config == {"backup": "nightly"}
    assert asked.run_key == "restore_test_nightly:2026-05-06T02:00:00+00:00"
    assert "clone/policy" not in asked.tags  # it is no backup of the policy
    dg.validate_run_config(defs_job("test_restore"), asked.run_config)


@pytest.mark.parametrize("to", [None, "file:///nowhere"])
def test_before_the_first_proven_backup_there_is_none_to_test(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance, to: str | None
) -> None:
    """A run would fail, and wake somebody up for nothing."""
    (made,) = restore_test(tmp_path, to=to)
    with open_stores(home) as stores:
        hasty = {"policy": "nightly", "preserve_resource_ids": True, "verify": "counts"}
        clone(stores, "prod", "monday", **hasty)
    said = tick(made, instance)
    assert said.run_requests == []
    assert said.skip_message == ("No backup of nightly is proven yet, so there is none to restore.")


def test_where_the_catalog_cannot_be_read_now_the_run_is_to_wait_for_it(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    (home / "catalog.db").write_text("this is not a database, and long enough to be seen as none")
    (made,) = restore_test(tmp_path)
    assert len(tick(made, instance).run_requests) == 1


def test_when_it_is_tested_is_the_policys_to_say(tmp_path: Path) -> None:
    (made,) = restore_test(tmp_path, restore_test={"cron": "0 6 1 * *"})
    assert made.cron_schedule == "0 6 1 * *"
    assert restore_test(tmp_path, restore_test=None) == []


def test_a_policy_that_is_stopped_tests_nothing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    (made,) = restore_test(tmp_path, enabled=False)
    assert made.default_status == dg.DefaultScheduleStatus.STOPPED
    assert tick(made, instance).skip_message == "The policy says `enabled: false`."


def defs_job(name: str) -> dg.JobDefinition:
    from clone_pipeline.definitions import defs

    return defs.resolve_job_def(name)
