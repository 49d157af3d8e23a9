"""The sensor `notifications`, tick after tick, over a real ledger and real servers to tell."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import update

from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.watch import policy_records
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs import notifying
from clone_pipeline.defs.automation import FailedTick
from clone_pipeline.defs.sensors import policy_sensors
from clone_pipeline.launch import clone_job
from clone_pipeline.policies import read_policies
from clone_pipeline.settings import load_settings
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.notify.receiver import Receiver, receiving
from clone_pipeline_tests.policies.files import backup

NIGHTLY: dict[str, Any] = {"policy": "nightly", "preserve_resource_ids": True}
SECRET = "canary-of-the-webhook"


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with harness.holding(tmp_path, sample()) as stores:
        yield stores


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(receiver: Receiver, name: str = "ops", **more: Any) -> dict[str, Any]:
    return {"name": name, "webhook": receiver.url, "secret": {"env": "HOOK_SECRET"}, **more}


class Telling:
    """The sensor and its cursor. `hours` are how far the clock is ahead."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, **sections: Any) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.file = folder / "policies.yaml"
        self.write(**sections)

    def write(self, **sections: Any) -> None:
        """The file, and the code location loaded anew."""
        self.file.write_text(json.dumps(sections), encoding="utf-8")
        made = policy_sensors(read_policies(self.file), load_settings())
        (self.sensor,) = (one for one in made if one.name == "notifications")

    def tick(self, hours: float = 0.0) -> str:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(hours=hours)

        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(notifying, "datetime", Later)
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return str(data.skip_message)


@pytest.fixture
def telling(
    stores: Stores, receiver: Receiver, tmp_path: Path, instance: dg.DagsterInstance
) -> Telling:
    return Telling(tmp_path, instance, backups=[backup()], notify=[hook(receiver)])


def broken(stores: Stores, name: str, before: str, why: str) -> Clone:
    """A run of the policy that ended before that step."""
    clone = harness.clone(stores, "prod", name, until=before, **NIGHTLY)
    ledger.fail(stores, clone.clone_id, str(clone.run_id), why)
    return clone


def restore_tested(stores: Stores, clone: Clone, good: bool) -> None:
    now = stores.clock().isoformat()
    result = {"tested_at": now, "good": good, "sentence": "Point 7 differs."}
    with stores.catalog.write() as connection:
        ledger.keep_restore_test(connection, clone.clone_id, result)


def test_each_kind_is_told_once_and_once_that_it_is_over(
    stores: Stores, receiver: Receiver, telling: Telling
) -> None:
    made = harness.clone(stores, "prod", "monday", **NIGHTLY)
    assert telling.tick() == telling.tick() == "Nothing is wrong."
    broken(stores, "tuesday", "copy_points", "The disk is full.")
    assert telling.tick() == "Wrong now: nightly: failed. ops was told of 1."
    restore_tested(stores, made, good=False)
    assert telling.tick(hours=31).endswith("ops was told of 2.")
    broken(stores, "wednesday", "publish_clone", "Nobody knows.")
    with stores.catalog.write() as connection:  # as one that died in the proof
        mine = clones.c.namespace_name == "wednesday"
        connection.execute(update(clones).where(mine).values(phase="verifying"))
        ledger.forget_reports(connection, _id(connection, "wednesday"), ("verify_clone",))
    telling.tick(hours=31)
    assert telling.tick(hours=31).startswith("Wrong now: nightly: not_proven, nightly: overdue, ")
    thursday = harness.clone(stores, "prod", "thursday", **NIGHTLY)
    telling.tick()
    restore_tested(stores, thursday, good=True)
    telling.tick()
    assert telling.tick() == "Nothing is wrong."
    assert receiver.said == [
        ["failed nightly"],
        ["overdue nightly", "restore_test_failed nightly"],
        ["not_proven nightly"],
        ["recovered failed nightly", "recovered not_proven nightly", "recovered overdue nightly"],
        ["recovered restore_test_failed nightly"],
    ]
    sentences = [one["sentence"] for got in receiver.received for one in got.events]
    assert sentences[0] == "'tuesday' failed: The disk is full."
    assert sentences[2] == "A backup could not be restored: Point 7 differs."
    assert sentences[-1] == "A backup was restored, proven and searched."


def _id(connection: Any, name: str) -> str:
    found = [one for one in policy_records(connection, None) if one.made == name]
    assert [one.policy for one in found] == ["nightly"]
    query = clones.select().where(clones.c.namespace_name == name)
    return str(connection.execute(query).mappings().one()["clone_id"])


def test_what_is_missed_while_nobody_looked_is_told_at_the_first_tick_after(
    stores: Stores, receiver: Receiver, telling: Telling
) -> None:
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    telling.tick()
    telling.tick(hours=96)
    assert receiver.said == [["overdue nightly"]]
    (event,) = receiver.received[0].events
    assert event["sentence"] == "Its last success is 4 days ago; one is expected every 24 hours."


def test_a_policy_that_never_ran_is_overdue_after_its_time(
    receiver: Receiver, telling: Telling
) -> None:
    for hours in (0, 29, 31, 32):
        telling.tick(hours)
    assert receiver.said == [["overdue nightly"]]


def made_clone(stores: Stores, place: str) -> Callable[[datetime], None]:
    clone = harness.clone(stores, "prod", "monday", **NIGHTLY)

    def tested(moment: datetime) -> None:
        result = {"tested_at": moment.isoformat(), "good": True}
        with stores.catalog.write() as connection:
            ledger.keep_restore_test(connection, clone.clone_id, result)

    return tested


def made_archive(stores: Stores, place: str) -> Callable[[datetime], None]:
    wanted = Wanted("prod", f"{place}/monday", policy="nightly")
    archive = archive_namespace(stores, wanted, LOCAL_OPERATOR, "a-run")

    def tested(moment: datetime) -> None:
        with stores.catalog.write() as connection:
            records.change(
                connection, archive.key, moment, tested_at=moment, restore_test={"good": True}
            )

    return tested


@pytest.mark.parametrize("make", [made_clone, made_archive])
def test_a_restore_test_that_no_longer_runs_is_told_once_and_once_that_it_is_over(
    stores: Stores, receiver: Receiver, telling: Telling, tmp_path: Path, make: Any
) -> None:
    place = (tmp_path / "out").as_uri()
    to = {"to": place} if make is made_archive else {}
    entry = backup(cron="0 2 * * 0", restore_test={"cron": "0 5 * * *"}, **to)
    telling.write(backups=[entry], notify=[hook(receiver)])
    tested = make(stores, place)
    telling.tick()
    telling.tick(hours=29)
    assert receiver.said == []
    for hours in (31, 32):
        telling.tick(hours)
    tested(stores.clock() + timedelta(hours=33))
    for hours in (34, 35, 62):
        telling.tick(hours)
    # Nobody looks for days.
    for hours in (100, 101):
        telling.tick(hours)
    tested(stores.clock() + timedelta(hours=101))
    telling.tick(hours=102)
    late, over = ["restore_test_overdue nightly"], ["recovered restore_test_overdue nightly"]
    assert receiver.said == [late, over, late, over]
    first, _, second, _ = (got.events[0]["sentence"] for got in receiver.received)
    assert first.startswith("No backup was restored for a test in the 31 hours that it is watched")
    assert second == "The last restore test was 2 days ago; one is expected every 24 hours."
    entry["restore_test"] = None
    telling.tick(hours=140)
    telling.write(backups=[entry], notify=[hook(receiver)])
    telling.tick(hours=140)
    assert receiver.said[4:] == [late, over]


def test_a_run_that_failed_before_its_clone_was_planned_is_told(
    receiver: Receiver, telling: Telling, instance: dg.DagsterInstance
) -> None:
    config = {"namespace_identifier": "gone", "namespace_name": "new"}
    tags = {"clone/policy": "nightly"}
    run = instance.create_run_for_job(clone_job(), run_config=config, tags=tags)
    telling.tick()
    instance.report_run_failed(run)
    telling.tick()
    assert receiver.said == [["failed nightly"]]
    again = instance.create_run_for_job(clone_job(), run_config=config, tags=tags)
    telling.tick()
    instance.report_run_failed(again)
    telling.tick()
    assert len(receiver.received) == 1


def test_a_target_that_is_away_is_told_when_it_is_back_and_the_other_one_once(
    stores: Stores, receiver: Receiver, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with receiving() as other:
        both = [hook(receiver), hook(other, "other")]
        telling = Telling(tmp_path, instance, backups=[backup()], notify=both)
        broken(stores, "monday", "copy_points", "The disk is full.")
        other.answers = [500] * 6
        # What reached the first one is kept, so this tick cannot fail.
        assert telling.tick().endswith(
            "ops was told of 1. other (127.0.0.1) answered with status 500."
        )
        cursor = telling.cursor
        with pytest.raises(FailedTick, match=r"^other \(127.0.0.1\) answered with status 50"):
            telling.tick()
        assert telling.cursor == cursor
        assert telling.tick().endswith("other was told of 1.")
        telling.tick()
        assert receiver.said == other.said == [["failed nightly"]]


def test_a_lost_cursor_costs_one_message(
    stores: Stores, receiver: Receiver, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    names = [f"p{n}" for n in range(5)]
    entries = [backup(name=name, name_template=f"{name}_{{date}}_{{time}}") for name in names]
    telling = Telling(tmp_path, instance, backups=entries, notify=[hook(receiver)])
    for name in names:
        clone = harness.clone(stores, "prod", name, until="copy_points", policy=name)
        ledger.fail(stores, clone.clone_id, str(clone.run_id), "The disk is full.")
    telling.tick()
    for cursor in (None, "spoilt"):
        telling.cursor = cursor
        telling.tick()
        telling.tick()
    assert receiver.said == [[f"failed {name}" for name in names]] * 3
    ids = {one.headers["webhook-id"] for one in receiver.received}
    assert len(ids) == 1


def test_a_policy_that_is_broken_in_the_file_has_not_recovered(
    stores: Stores, receiver: Receiver, telling: Telling
) -> None:
    notify = [hook(receiver)]
    broken(stores, "monday", "copy_points", "The disk is full.")
    telling.tick()
    telling.write(backups=[backup(cron="never")], notify=notify)
    telling.tick()
    assert receiver.said == [["failed nightly"], ["broken_file"]]
    assert "line 1: `cron` 'never' is no cron line" in receiver.received[1].events[0]["sentence"]
    telling.write(backups=[backup(enabled=False)], notify=notify)
    telling.tick()
    assert receiver.said[2:] == [["recovered broken_file", "recovered failed nightly"]]
    telling.write(backups=[backup()], notify=notify)
    telling.tick()
    assert receiver.said[3:] == [["failed nightly"]]
    telling.write(notify=notify)
    telling.tick()
    telling.tick()
    assert receiver.said[4:] == [["recovered failed nightly"]]


def test_another_cron_is_not_overdue_by_what_was_before(
    stores: Stores, receiver: Receiver, telling: Telling
) -> None:
    harness.clone(stores, "prod", "monday", **NIGHTLY)
    telling.tick()
    telling.write(backups=[backup(cron="0 * * * *")], notify=[hook(receiver)])
    telling.tick(hours=20)
    assert receiver.received == []
    telling.tick(hours=22)
    assert receiver.said == [["overdue nightly"]]


def test_no_tick_has_a_secret(
    stores: Stores,
    receiver: Receiver,
    telling: Telling,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{receiver.url}/canary-of-the-path"
    monkeypatch.setenv("HOOK_URL", url)
    entry = {"name": "ops", "webhook": {"env": "HOOK_URL"}, "secret": {"env": "HOOK_SECRET"}}
    telling.write(backups=[backup()], notify=[entry])
    broken(stores, "monday", "copy_points", "At postgresql://app:canary-of-it@db/x: no.")
    receiver.answers = [403, 500]
    said = telling.tick()
    said += telling.tick() + str(telling.cursor) + receiver.received[0].body.decode()
    assert "403" in said
    assert "canary" not in said + caplog.text.replace(str(telling.file), "")


def test_a_catalog_that_cannot_be_read_fails_the_tick(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_URL", "postgresql://app:canary@127.0.0.1:9/none")
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", "canary-of-a-key")
    sections = json.loads(telling.file.read_text())
    telling.write(**sections)
    with pytest.raises(FailedTick, match="cannot be reached") as caught:
        telling.tick()
    assert "canary" not in str(caught.value)


def test_before_there_is_a_catalog_nothing_is_wrong(
    receiver: Receiver,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "none"))
    telling = Telling(tmp_path, instance, backups=[backup()], notify=[hook(receiver)])
    assert telling.tick() == "Nothing is wrong."
    assert not (tmp_path / "none").exists()
