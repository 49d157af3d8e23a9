"""The sensors, over a real catalog and a real Dagster instance."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, event, insert, text, update

from clone_pipeline.core import ledger, reserve, watch
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.schema import buckets, clones, objects
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.publish import rollback
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.launch import clone_job
from clone_pipeline.sensors import PoliciesFileError, policy_sensors
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.harness import clone, open_stores
from clone_pipeline_tests.policies.files import refresh, written

__all__ = ["dagster_home", "home", "made_home"]  # fixtures

LATER = datetime(2030, 1, 1, tzinfo=timezone.utc)
REQUEST = {"namespace_identifier": "prod", "namespace_name": "new"}
UNCHANGED = "The source has not changed since it was copied."


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def sensors(folder: Path, **more: Any) -> dict[str, dg.SensorDefinition]:
    policies = written(folder, refreshes=[refresh(**more)])
    return {made.name: made for made in policy_sensors(policies, load_settings())}


class Watching:
    """One sensor and its cursor, tick after tick."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, **more: Any) -> None:
        self.sensor = sensors(folder, **more)["staging_refresh_follow"]
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> Any:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data

    def skipped(self) -> str:
        data = self.tick()
        assert not data.run_requests
        return str(data.skip_message)

    def asked(self) -> dg.RunRequest:
        (asked,) = self.tick().run_requests
        return asked

    def run(self, asked: dg.RunRequest) -> dg.JobExecutionResult:
        return dg.execute_job(
            dg.reconstructable(clone_job),
            instance=self.instance,
            run_config=dict(asked.run_config),
            tags=dict(asked.tags),
            raise_on_error=False,
        )


def change(home: Path) -> None:
    with open_stores(home) as stores, stores.catalog.write() as connection:
        mine = buckets.c.bucket_id == "bkt_videos01"
        connection.execute(update(buckets).where(mine).values(updated_at=LATER))


# ---- staging_refresh -------------------------------------------------------------------------


def test_a_change_is_copied_once_and_a_failure_is_tried_again(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance)
    first = watching.asked()
    assert (
        first.tags.items()
        >= {
            "clone/policy": "follow",
            "clone/policy_kind": "refresh",
            "clone/target_namespace": "staging",
            "clone/attempt": "1",
        }.items()
    )
    assert first.run_key == f"follow:{first.tags['clone/cause']}:1"
    # Nothing has come of it yet, so it is asked for again: the same key, which is launched once.
    assert watching.asked().run_key == first.run_key
    assert watching.run(first).success
    assert watching.skipped() == UNCHANGED
    change(home)
    second = watching.asked()
    assert second.tags["clone/cause"] != first.tags["clone/cause"]
    run = instance.create_run_for_job(
        clone_job(), run_config=dict(second.run_config), tags=dict(second.tags)
    )
    assert watching.skipped() == f"The run {run.run_id} of this policy is under way."
    instance.report_run_failed(run)
    assert f"Attempt 1 (run {run.run_id}) failed; the next follows in" in watching.skipped()


def test_a_cursor_that_is_lost_costs_nothing_when_the_source_is_the_same(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance)
    assert watching.run(watching.asked()).success
    watching.cursor = None
    assert watching.skipped() == UNCHANGED


def test_the_quiet_period_and_why_it_waits(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance, on_change={})
    assert "must be quiet for 300 s first" in watching.skipped()
    kept = json.loads(str(watching.cursor))
    since = kept["seen"]["since"]
    assert "must be quiet" in watching.skipped()
    assert json.loads(str(watching.cursor))["seen"]["since"] == since


def test_a_target_that_is_not_there_is_made_at_once(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance, target="new", on_change={})
    assert watching.asked().tags["clone/cause"].endswith("-missing")


def test_a_rollback_holds_the_policy_until_a_refresh_by_hand(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance)
    assert watching.run(watching.asked()).success
    with open_stores(home) as stores:
        rollback(stores, None, "staging")
        change(home)
        assert watching.skipped().startswith("Held, because the target was rolled back")
        # Also when the generation that was rolled back from is gone.
        with stores.catalog.write() as connection:
            connection.execute(text("DELETE FROM namespaces WHERE role = 'previous'"))
        assert watching.skipped().startswith("Held")
        clone(stores, "prod", "staging", if_exists="replace")
    watching.asked()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"source": "gone"}, "There is no namespace 'gone' to clone"),
        ({"target": "plain"}, "'plain' was not made by clone-pipeline"),
        ({"source": "half"}, "The source 'half' is a clone that is not ready"),
        ({"enabled": False}, "The policy says `enabled: false`."),
    ],
)
def test_what_keeps_it_from_running_is_said(
    more: dict[str, Any], sentence: str, home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance, **more)
    watching.cursor = "{}"
    assert watching.skipped().startswith(sentence)
    assert watching.cursor == "{}"


def test_the_embedded_qdrant_is_not_opened(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(EmbeddedStore, "open", refuse)
    Watching(tmp_path, instance).asked()


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to any database meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_tick_costs_the_same_however_many_objects_there_are(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance, on_change={})
    watching.tick()
    with statements() as few:
        watching.tick()
    with open_stores(home) as stores:
        add_objects(stores, 5000)
    with statements() as many:
        watching.tick()
    assert many == few
    assert not [one for one in few if "objects" in one]
    assert len(few) < 60


def add_objects(stores: Stores, count: int) -> None:
    with stores.catalog.write() as connection:
        source = namespaces.resolve(connection, None, "prod")
        rows = [
            {
                "namespace_key": source.key,
                "object_id": f"more_{number}",
                "bucket_id": "bkt_videos01",
                "document": {},
                "created_at": LATER,
                "updated_at": LATER,
            }
            for number in range(count)
        ]
        connection.execute(insert(objects), rows)


# ---- the mark --------------------------------------------------------------------------------


def mark(stores: Stores) -> str:
    with stores.catalog.read() as connection:
        return watch.catalog_mark(connection, namespaces.resolve(connection, None, "prod"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE namespaces SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE buckets SET updated_at = '2030-01-01 00:00:00.000000'",
        'UPDATE buckets SET document = \'{"last_upload_at": "2030"}\'',
        "UPDATE buckets SET document = '{\"object_count\": 9}'",
        "UPDATE collections SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE retrievers SET updated_at = '2030-01-01 00:00:00.000000'",
        "UPDATE taxonomies SET updated_at = '2030-01-01 00:00:00.000000'",
        "DELETE FROM retrievers",
    ],
)
def test_the_mark_changes_with_the_catalog(statement: str, home: Path) -> None:
    with open_stores(home) as stores:
        before = mark(stores)
        assert mark(stores) == before
        with stores.catalog.write() as connection:
            connection.execute(text(statement))
        assert mark(stores) != before


def test_a_clone_leaves_the_mark_of_its_source_as_it_is(home: Path) -> None:
    with open_stores(home) as stores:
        before = mark(stores)
        clone(stores, "prod", "another")
        assert mark(stores) == before


def test_on_a_server_a_write_to_the_points_changes_the_mark(
    home: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    qdrant_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And while the server does not tell its last write, the last one that is known stands."""
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    name = f"watched_{uuid.uuid4().hex}"
    with open_stores(home) as stores, stores.catalog.write() as connection:
        infrastructure = json.dumps({"infrastructure": {"qdrant_collection": name}})
        connection.execute(text("UPDATE namespaces SET document = :d"), {"d": infrastructure})
    watching = Watching(tmp_path, instance, on_change={})
    with closing(ServerStore.open(qdrant_url)) as server:
        server.create(name, sample()["qdrant.json"])
        try:
            before = told(server, name)
            watching.tick()
            first = json.loads(str(watching.cursor))
            server.delete_points(name, [1])
            assert told(server, name, before) != before
            watching.tick()
            second = json.loads(str(watching.cursor))
            assert second["seen"]["mark"] != first["seen"]["mark"]
            monkeypatch.setattr(ServerStore, "last_write", lambda *_: None)
            watching.tick()
            assert json.loads(str(watching.cursor)) == second
        finally:
            server.delete(name)


def told(server: ServerStore, name: str, before: str | None = None) -> str | None:
    """The last write, once the server has applied it."""
    deadline = time.monotonic() + 30
    while (found := server.last_write(name)) in (None, before):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


# ---- clone_failed ----------------------------------------------------------------------------


def ended(
    instance: dg.DagsterInstance, folder: Path, run: dg.DagsterRun, *, cancelled: bool = False
) -> Any:
    """What the sensor says to a run that has ended."""
    report = instance.report_run_canceled if cancelled else instance.report_run_failed
    name = "clone_cancelled" if cancelled else "clone_failed"
    context = dg.build_run_status_sensor_context(
        sensor_name=name,
        dagster_event=report(run),
        dagster_instance=instance,
        dagster_run=instance.get_run_by_id(run.run_id) or run,
    )
    return sensors(folder)[name](context if cancelled else context.for_run_failure())


def begun(stores: Stores, instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run whose clone is under way, and whose process is gone."""
    run = instance.create_run_for_job(clone_job(), run_config=REQUEST, tags=tags)
    reserve.begin(stores, parse_request(REQUEST), LOCAL_OPERATOR, run.run_id)
    with stores.catalog.write() as connection:
        # No process has this id; its host is this one.
        connection.execute(update(clones).values(holder_pid=2**22 + 1))
    return run


def state(stores: Stores, run: dg.DagsterRun) -> tuple[str, str | None]:
    with stores.catalog.read() as connection:
        found = ledger.of_run(connection, run.run_id)
    return found.status, found.error


@pytest.mark.parametrize(("cancelled", "what"), [(False, "failed"), (True, "was cancelled")])
def test_a_run_that_died_without_a_word_is_recorded(
    cancelled: bool, what: str, home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = begun(stores, instance)
        assert ended(instance, tmp_path, run, cancelled=cancelled) is None
        sentence = (
            f"The run {what} without a word, as when its process is killed; resume the clone."
        )
        assert state(stores, run) == ("failed", sentence)


def test_a_run_that_will_be_repeated_is_left_alone(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = begun(stores, instance, **{"dagster/will_retry": "true"})
        skipped = ended(instance, tmp_path, run)
        assert "will be retried" in skipped.skip_message
        assert state(stores, run) == ("cloning", None)


def test_what_the_run_itself_has_said_stays(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = begun(stores, instance)
        clone_id = ledger_id(stores, run)
        ledger.fail(stores, clone_id, run.run_id, "The disk is full.")
        assert "is failed; nothing is left to do" in ended(instance, tmp_path, run).skip_message
        assert state(stores, run) == ("failed", "The disk is full.")


def test_a_clone_that_another_run_has_taken_over_is_left_alone(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = begun(stores, instance)
        instance.add_run_tags(run.run_id, {"clone/id": ledger_id(stores, run)})
        with stores.catalog.write() as connection:
            mine = clones.c.run_id == run.run_id
            connection.execute(update(clones).where(mine).values(run_id="another"))
        assert "is cloning; nothing is left" in ended(instance, tmp_path, run).skip_message


def test_a_process_that_still_lives_records_its_end_itself(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
        reserve.begin(stores, parse_request(REQUEST), LOCAL_OPERATOR, run.run_id)
        assert "is still alive" in ended(instance, tmp_path, run).skip_message
        assert state(stores, run) == ("cloning", None)


def test_a_run_that_had_no_clone_yet(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
    assert "has made no clone" in ended(instance, tmp_path, run).skip_message


def ledger_id(stores: Stores, run: dg.DagsterRun) -> str:
    with stores.catalog.read() as connection:
        return ledger.of_run(connection, run.run_id).clone_id


# ---- policies_file ---------------------------------------------------------------------------


def test_the_file_is_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    assert "policies_file" not in sensors(tmp_path)
    file = tmp_path / "policies.yaml"
    monkeypatch.setenv("CLONE_POLICIES", str(file))
    sensor = sensors(tmp_path)["policies_file"]
    context = dg.build_sensor_context(instance=instance)
    in_order = sensor.evaluate_tick(context).skip_message
    assert in_order == f"{file}: all 1 policies are in order."
    file.write_text(file.read_text() + "\n")
    with pytest.raises(PoliciesFileError, match="has changed since it was loaded"):
        sensor.evaluate_tick(context)
    file.write_text("backups:\n  - name: a\n")
    with pytest.raises(PoliciesFileError, match="line 2: `source` is required") as caught:
        sensor.evaluate_tick(context)
    assert "line 2: `cron` is required" in str(caught.value)
