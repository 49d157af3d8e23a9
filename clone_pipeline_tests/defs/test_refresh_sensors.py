"""The sensor of a refresh, over a real catalog and a real Dagster instance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin
from dagster._core.remote_representation.external_data import SensorExecutionErrorSnap
from dagster._grpc.impl import get_external_sensor_execution
from sqlalchemy import Engine, event, insert, select, text, update

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.schema import buckets, clones, objects
from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.generations.rollback import resume_refreshes, rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.refresh import marks
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.defs.automation import FailedTick
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.defs.watching import UNCHANGED, Watching, sensors
from clone_pipeline_tests.harness import clone, open_stores

LATER = datetime(2030, 1, 1, tzinfo=timezone.utc)
STILL_LATER = datetime(2030, 1, 2, tzinfo=timezone.utc)


def change(home: Path, now: datetime = LATER) -> None:
    with open_stores(home) as stores, stores.catalog.write() as connection:
        mine = buckets.c.bucket_id == "bkt_videos01"
        connection.execute(update(buckets).where(mine).values(updated_at=now))


# ---- staging_refresh -------------------------------------------------------------------------


def test_a_change_is_copied_once_and_a_failure_is_tried_again(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    watching = Watching(tmp_path, instance)
    change(home)
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
    change(home, STILL_LATER)
    second = watching.asked()
    assert second.tags["clone/cause"] != first.tags["clone/cause"]
    run = instance.create_run_for_job(
        clone_job(), run_config=dict(second.run_config), tags=dict(second.tags)
    )
    assert watching.skipped() == f"The run {run.run_id} of this policy is under way."
    instance.report_run_failed(run)
    assert f"Attempt 1 (run {run.run_id}) failed; the next follows in" in watching.skipped()


def test_a_target_that_is_a_copy_of_the_source_as_it_is_needs_no_run(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Whoever made it, and whatever the sensor has forgotten."""
    assert Watching(tmp_path, instance).skipped() == UNCHANGED
    change(home)
    watching = Watching(tmp_path, instance)
    assert watching.run(watching.asked()).success
    watching.cursor = None
    assert watching.skipped() == UNCHANGED
    with open_stores(home) as stores:
        change(home, STILL_LATER)
        clone(stores, "prod", "staging", if_exists="replace")
    assert watching.skipped() == UNCHANGED


def test_a_target_without_what_its_policy_wants_is_refreshed_once(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    options = {"include_resources": {"taxonomies": True}}
    watching = Watching(tmp_path, instance, options=options)
    assert watching.run(watching.asked()).success
    assert watching.skipped() == UNCHANGED


def test_a_run_that_goes_on_with_an_older_plan_is_followed_by_another(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """It makes a copy of the source as it was then, whatever its run was asked for."""
    change(home)
    with open_stores(home) as stores:
        options = {"if_exists": "replace", "run_id": "died", "until": "verify_clone"}
        died = clone(stores, "prod", "staging", **options)
        ledger.fail(stores, died.clone_id, "died", "The disk was full.")
    change(home, STILL_LATER)
    watching = Watching(tmp_path, instance)
    first = watching.asked()
    assert watching.run(first).success
    second = watching.asked()
    assert (second.tags["clone/cause"], second.tags["clone/attempt"]) == (
        first.tags["clone/cause"],
        "2",
    )
    assert watching.run(second).success
    assert watching.skipped() == UNCHANGED


def test_the_target_of_an_earlier_version_is_refreshed_once(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores, stores.catalog.write() as connection:
        for clone_id, plan in connection.execute(select(clones.c.clone_id, clones.c.plan)).all():
            del plan["catalog_mark"]
            mine = clones.c.clone_id == clone_id
            connection.execute(update(clones).where(mine).values(plan=plan))
    watching = Watching(tmp_path, instance)
    assert watching.run(watching.asked()).success
    assert watching.skipped() == UNCHANGED


def test_the_quiet_period_and_why_it_waits(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    change(home)
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
    change(home)
    watching = Watching(tmp_path, instance)
    assert watching.run(watching.asked()).success
    with open_stores(home) as stores:
        rollback(stores, None, "staging")
        change(home, STILL_LATER)
        assert watching.skipped().startswith("Held, because staging was rolled back")
        # Also when the generation that was rolled back from is gone.
        with stores.catalog.write() as connection:
            connection.execute(text("DELETE FROM namespaces WHERE role = 'previous'"))
        assert watching.skipped().startswith("Held")
        clone(stores, "prod", "staging", if_exists="replace")
    assert watching.skipped() == UNCHANGED


def test_a_run_that_was_asked_for_before_the_rollback_does_not_undo_it(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        clone(stores, "prod", "staging", if_exists="replace")
        change(home)
        asked = Watching(tmp_path, instance).asked()
        rollback(stores, None, "staging")
        assert not Watching(tmp_path, instance).run(asked).success
        with stores.catalog.read() as connection:
            live = namespaces.resolve(connection, None, "staging")
        assert (live.generation, live.held_at is None) == (1, False)


def test_a_policy_that_was_told_to_go_on_refreshes_what_was_rolled_back(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    change(home)
    watching = Watching(tmp_path, instance)
    first = watching.asked()
    assert watching.run(first).success
    with open_stores(home) as stores:
        for _ in "twice":
            live = rollback(stores, None, "staging")
            assert watching.skipped().startswith("Held")
            resume_refreshes(stores, live)
            # The source is what it was, but the target is no copy of it any more.
            again = watching.asked()
            assert again.run_key != first.run_key
            rollback(stores, None, "staging", to=2)
            assert watching.skipped() == UNCHANGED


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"source": "gone"}, "There is no namespace 'gone' to clone"),
        ({"target": "plain"}, "'plain' was not made by clone-pipeline"),
        ({"source": "half"}, "The source 'half' is a clone that is not ready"),
    ],
)
def test_what_a_run_would_be_refused_for_fails_the_tick(
    more: dict[str, Any], sentence: str, home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(FailedTick, match=sentence):
        Watching(tmp_path, instance, **more).tick()


def test_a_failed_tick_is_shown_as_one_sentence(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """As the daemon records it and the UI shows it: no traceback, of which Dagster has two."""
    location = dg.Definitions(
        jobs=[clone_job()], sensors=list(sensors(tmp_path, source="gone").values())
    )
    recorded = get_external_sensor_execution(
        location.get_repository_def(),
        RegisteredCodeLocationOrigin("here"),
        instance.get_ref(),
        "staging_refresh_follow",
        *[None] * 5,
    )
    assert isinstance(recorded, SensorExecutionErrorSnap)
    error = recorded.error
    assert error is not None
    assert (
        error.message
        == "There is no namespace 'gone' to clone; `clone-pipeline list` shows the ones there are."
    )
    assert (error.stack, error.cause, error.context) == ([], None, None)


def test_what_keeps_it_from_running_for_now_is_said(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    disabled = Watching(tmp_path, instance, enabled=False)
    disabled.cursor = "{}"
    assert disabled.skipped() == "The policy says `enabled: false`."

    def away(*_: Any) -> None:
        raise StoreUnavailable("The Qdrant server cannot be reached.")

    monkeypatch.setattr(marks, "source_mark", away)
    watching = Watching(tmp_path, instance)
    watching.cursor = "{}"
    assert watching.skipped() == "The Qdrant server cannot be reached."
    assert disabled.cursor == watching.cursor == "{}"


def test_the_embedded_qdrant_is_not_opened(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(EmbeddedStore, "open", refuse)
    change(home)
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
