"""The job as Dagster runs it: what each op shows, how it retries, fails, stops and goes on."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._serdes import serialize_value
from sqlalchemy import select, text, update

from clone_pipeline.core import steps
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.errors import StorageFailed, StoreUnavailable
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.plan import begin
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.vectors.lock import FolderLock
from clone_pipeline.core.words import as_text
from clone_pipeline.defs import outcome as step_module
from clone_pipeline.defs.outcome import CANCELLED
from clone_pipeline.launch import clone_job, failure
from clone_pipeline_tests import harness
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS, SECRET, WEBHOOK_SECRET

__all__ = ["dagster_home", "home", "made_home"]  # fixtures


EVERYTHING = {"collections": True, "retrievers": True, "taxonomies": True}
OF_STEP = {
    "clone_buckets": ("buckets", "objects"),
    "clone_collections": ("collections",),
    "copy_points": ("points",),
    "clone_retrievers": ("retrievers",),
    "clone_taxonomies": ("taxonomies",),
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """A real one, on disk, with the filesystem IO manager."""
    with dg.instance_for_test() as instance:
        yield instance


def request(name: str = "new", **options: Any) -> dict[str, Any]:
    return {"namespace_identifier": "prod", "namespace_name": name, **options}


def launch(
    instance: dg.DagsterInstance, config: dict[str, Any], **more: Any
) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(clone_job),
        instance=instance,
        run_config=config,
        raise_on_error=False,
        **more,
    )


def in_process(**options: Any) -> dg.ExecuteInProcessResult:
    return clone_job().execute_in_process(run_config=request(**options), raise_on_error=False)


def shown(result: Any) -> dict[str, dict[str, Any]]:
    """Each op's output metadata."""
    return {
        event.node_name: {
            key: value.value for key, value in event.step_output_data.metadata.items()
        }
        for event in result.all_node_events
        if event.is_successful_output
    }


def lines(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The log of a run, as its page has it."""
    return [entry.user_message for entry in instance.all_logs(run_id)]


def table(value: list[Any]) -> list[dict[str, Any]]:
    return [record.data for record in value]


def ledger(home: Path, *columns: str, name: str = "new") -> Any:
    """Columns of the newest clone of a name."""
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        with catalog.read() as connection:
            query = select(*(schema.clones.c[column] for column in columns))
            mine = query.where(schema.clones.c.namespace_name == name)
            return connection.execute(mine.order_by(schema.clones.c.created_at.desc())).first()
    finally:
        catalog.close()


# ---- what the ops show -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "include",
    [
        dict(zip(EVERYTHING, values, strict=True))
        for values in itertools.product([True, False], repeat=3)
    ],
    ids=lambda include: "+".join(name for name, on in include.items() if on) or "nothing",
)
def test_what_is_not_asked_for_is_shown_as_skipped_and_nothing_else_is_lost(
    include: dict[str, bool], home: Path
) -> None:
    result = in_process(include_resources=include)
    assert result.success
    metadata = shown(result)
    assert set(metadata) == set(STEPS)
    expected = {
        name: count if include.get("collections" if name == "points" else name, True) else 0
        for name, count in COUNTS.items()
    }
    for step, names in OF_STEP.items():
        for name in names:
            assert metadata[step][f"created_{name}"] == expected[name]
        wanted = any(expected[name] for name in names)
        assert metadata[step]["status"] == ("done" if wanted else "skipped: not requested")
    response = result.output_for_node("publish_clone")
    assert response["cloned_resources"] == expected == counted(home, "new")
    # The sums of the ops' own numbers, and what the proof counted.
    assert sum(metadata[step]["created"] for step in OF_STEP) == sum(expected.values())
    assert table(metadata["verify_clone"]["counted"].records) == [expected]


def test_each_op_shows_its_numbers_and_its_resources(home: Path) -> None:
    result = in_process(include_resources=EVERYTHING)
    metadata = shown(result)
    for step in STEPS:
        one = metadata[step]
        assert one["clone_id"] == ledger(home, "clone_id")[0]
        assert isinstance(one["seconds"], float)
        assert isinstance(one["bytes"], int)
        assert one["created"] >= 0
    assert metadata["clone_buckets"]["bytes"] > 0
    assert metadata["copy_points"]["points_per_second"] > 0
    [collections] = [metadata["clone_collections"]["resources"]]
    rows = {row["source_id"]: row for row in table(collections.records)}
    assert set(rows) == {"col_scenes0001", "col_lines00001"}
    assert rows["col_scenes0001"]["name"] == "scenes"
    assert rows["col_scenes0001"]["target_id"].startswith("col_")
    assert rows["col_scenes0001"]["target_id"] != "col_scenes0001"
    planned = {row["kind"] for row in table(metadata["plan_clone"]["resources"].records)}
    assert planned == {"namespace", "bucket", "collection", "retriever", "taxonomy"}
    assert "S3 files" in metadata["plan_clone"]["warnings"]
    # The summary repeats what a person has to know, and sums up.
    summary = metadata["publish_clone"]
    assert "S3 files" in summary["warnings"]
    assert summary["bytes"] == sum(metadata[step]["bytes"] for step in OF_STEP)
    steps_shown = {row["step"]: row for row in table(summary["steps"].records)}
    for step in OF_STEP:
        assert steps_shown[step]["created"] == metadata[step]["created"]


def test_the_clone_is_an_asset_with_numbers_to_plot(home: Path) -> None:
    result = in_process()
    [made] = result.asset_materializations_for_node("publish_clone")
    assert made.asset_key == dg.AssetKey(["clone", "org_acme", "new"])
    numbers = {key: value.value for key, value in made.metadata.items()}
    assert {name: numbers[name] for name in COUNTS} == {**COUNTS, "taxonomies": 0}
    assert numbers["bytes"] > 0
    assert isinstance(numbers["seconds"], float)


def test_a_run_says_in_its_tags_what_it_makes(home: Path, instance: dg.DagsterInstance) -> None:
    result = launch(instance, request())
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (
        run.tags.items()
        >= {
            "clone/id": ledger(home, "clone_id")[0],
            "clone/source": "ns_prod000001",
            "clone/target_namespace": "new",
        }.items()
    )


# ---- failing ---------------------------------------------------------------------------------

Step = Callable[[Work], Any]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a step raise these errors, one each time, before it does its work; None is no error."""

    def at(step: str, *errors: BaseException | None) -> None:
        left, real = list(errors), steps._FUNCTIONS[step]

        def broken(work: Work) -> Any:
            error = left.pop(0) if left else None
            if error is not None:
                raise error
            return real(work)

        monkeypatch.setitem(steps._FUNCTIONS, step, broken)

    return at


def retries(result: Any) -> list[float]:
    """How long each retry waited."""
    return [
        event.event_specific_data.seconds_to_wait
        for event in result.all_events
        if event.event_type_value == "STEP_UP_FOR_RETRY"
    ]


def failed_step(result: Any) -> tuple[str, dict[str, Any]]:
    """The one step that failed: its sentence, and its metadata."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    return data.description, {key: value.value for key, value in data.metadata.items()}


@pytest.mark.parametrize("attempt", range(step_module.MAX_RETRIES))
@pytest.mark.parametrize("asked", [None, 0.5, 3600.0])
def test_no_wait_is_longer_than_a_cancel_may_take(attempt: int, asked: float | None) -> None:
    assert 0 < step_module._wait(attempt, asked) <= 10


def test_a_store_that_is_away_for_a_moment_is_tried_again(
    home: Path, breaks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "LONGEST_WAIT", 0.01)
    away = StoreUnavailable("Qdrant is busy.", retry_after=3600)
    breaks("copy_points", away, away)
    result = in_process()
    assert result.success
    assert retries(result) == [0.01, 0.01]
    assert counted(home, "new")["points"] == 5
    assert ledger(home, "status", "error") == ("ready", None)


def test_a_store_that_stays_away_fails_the_run_in_the_end(
    home: Path, breaks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "LONGEST_WAIT", 0.01)
    breaks("clone_buckets", *[StoreUnavailable("The catalog cannot be reached.")] * 99)
    result = in_process()
    assert not result.success
    assert len(retries(result)) == step_module.MAX_RETRIES
    sentence, metadata = failed_step(result)
    assert sentence == "The catalog cannot be reached."
    assert metadata["code"] == "store_unavailable"
    assert ledger(home, "status", "error") == ("failed", sentence)


def test_what_is_broken_for_good_is_not_tried_again_and_leaves_a_partial_report(
    home: Path, breaks: Callable[..., None]
) -> None:
    breaks("clone_retrievers", StorageFailed("The disk is full."))
    result = in_process()
    assert not result.success
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert sentence == "The disk is full."
    assert metadata["code"] == "storage_failed"
    assert metadata["clone_id"] == ledger(home, "clone_id")[0]
    done = {row["step"]: row["created"] for row in table(metadata["steps_done"].records)}
    assert done.items() >= {"clone_buckets": 5, "clone_collections": 2}.items()
    assert "clone_retrievers" not in done
    assert ledger(home, "status", "error") == ("failed", "The disk is full.")


def test_a_mistake_of_ours_is_one_sentence_too(home: Path, breaks: Callable[..., None]) -> None:
    breaks("clone_buckets", ValueError("first line\nsecond line with a value"))
    result = in_process()
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert sentence == "Unexpected ValueError: first line."
    assert metadata["steps_done"].records[0].data["step"] == "plan_clone"
    assert ledger(home, "error")[0] == sentence


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        ({"ttl_seconds": 5}, "`ttl_seconds` is not usable", "invalid_request"),
        ({"mode": "branch"}, "copy-on-write) is not available", "invalid_request"),
        ({"name": "n" * 65}, "at most 64 characters", "invalid_request"),
        ({"name": "prod"}, "Source and target are the same", "invalid_request"),
        ({"name": "plain"}, "A namespace named 'plain' exists", "namespace_name_taken"),
        ({"namespace_identifier": "nothing"}, "There is no namespace 'nothing'", "not_found"),
        ({"on_dangling": "fail"}, "2 references would not resolve", "dangling_references"),
        ({"lane": "native"}, "needs a Qdrant server", "invalid_request"),
    ],
)
def test_bad_input_is_a_failed_run_with_one_sentence_and_no_retry(
    options: dict[str, Any], words: str, code: str, home: Path
) -> None:
    result = in_process(**options)
    assert not result.success
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert words in sentence
    assert metadata["code"] == code
    said, found = failure(result)
    assert (as_text(said), found) == (sentence, code)  # type: ignore[arg-type]


def test_the_run_says_whom_it_waits_for(home: Path, instance: dg.DagsterInstance) -> None:
    """A step that stands still while another process has the embedded Qdrant looks hung."""
    lock = FolderLock(home / "qdrant")
    lock.acquire(0, None)
    waiting = f"Waiting for process {os.getpid()} (this one) to finish with {home / 'qdrant'}."

    def let_go() -> bool:
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                if any(waiting in lines(instance, run.run_id) for run in instance.get_runs()):
                    return True
                time.sleep(0.05)
            return False
        finally:
            lock.release()

    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(let_go)
        result = launch(instance, request())
    assert said.result()
    assert result.success
    [told] = [entry for entry in instance.all_logs(result.run_id) if entry.user_message == waiting]
    assert told.step_key == "plan_clone"


# ---- cancelled, and taken up again -----------------------------------------------------------


def test_a_run_that_is_cancelled_before_it_has_a_clone_has_nothing_to_resume(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: Any) -> None:
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(begin, "begin", cancelled)
    result = launch(instance, request())
    assert not result.success
    assert CANCELLED not in lines(instance, result.run_id)


def test_a_cancelled_run_is_marked_and_a_new_launch_goes_on(
    home: Path, instance: dg.DagsterInstance, breaks: Callable[..., None]
) -> None:
    breaks("clone_retrievers", dg.DagsterExecutionInterruptedError())
    cancelled = launch(instance, request())
    assert not cancelled.success
    status, error, clone_id = ledger(home, "status", "error", "clone_id")
    assert status == "failed"
    assert "cancelled" in error
    assert CANCELLED in lines(instance, cancelled.run_id)
    again = launch(instance, request())
    assert again.success
    assert ledger(home, "status", "error", "clone_id") == ("ready", None, clone_id)
    assert shown(again)["clone_buckets"]["status"] == "done before this run"
    assert counted(home, "new") == {**COUNTS, "taxonomies": 0}


@pytest.mark.parametrize("ending", [dg.DagsterExecutionInterruptedError(), StorageFailed("Full.")])
def test_a_run_is_taken_up_again_from_its_failure(
    ending: BaseException, home: Path, instance: dg.DagsterInstance, breaks: Callable[..., None]
) -> None:
    breaks("clone_collections", ending)
    ended = launch(instance, request())
    assert not ended.success
    again = launch(
        instance,
        request(),
        reexecution_options=dg.ReexecutionOptions.from_failure(ended.run_id, instance),
    )
    assert again.success
    assert set(shown(again)) == set(STEPS) - {"plan_clone", "clone_config", "clone_buckets"}
    assert ledger(home, "status", "run_id") == ("ready", again.run_id)
    assert counted(home, "new") == {**COUNTS, "taxonomies": 0}


# ---- secrets ---------------------------------------------------------------------------------


def everything_stored(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    events = [serialize_value(record) for record in instance.all_logs(run_id)]
    return "\n".join([*events, serialize_value(run), json.dumps(run.tags)])


@pytest.mark.parametrize("fails", [False, True])
def test_no_secret_is_stored_with_a_run(
    fails: bool, home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [SECRET, WEBHOOK_SECRET, "env-qdrant-key-91c2"]
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        secrets.append(create_key(catalog, "org_acme", "admin", datetime.now(timezone.utc))[0])
        _put_a_key_into_the_source(catalog)
        if fails:
            with catalog.write() as connection:
                connection.execute(
                    text(
                        "CREATE TRIGGER broken BEFORE INSERT ON collections "
                        "BEGIN SELECT RAISE(ABORT, 'broken'); END"
                    )
                )
    finally:
        catalog.close()
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", secrets[-1])
    monkeypatch.setenv("QDRANT_API_KEY", "env-qdrant-key-91c2")
    result = launch(instance, request(include_resources=EVERYTHING))
    assert result.success is not fails
    stored = everything_stored(instance, result.run_id)
    assert "clone_collections" in stored
    for secret in secrets:
        assert secret not in stored
    # A statement that fails is stored with its cause, but not with the documents in it.
    assert ("INSERT INTO collections" in stored) is fails
    assert "[parameters: (" not in stored


def _put_a_key_into_the_source(catalog: Catalog) -> None:
    with catalog.write() as connection:
        prod = schema.namespaces.c.namespace_name == "prod"
        document = connection.execute(select(schema.namespaces.c.document).where(prod)).scalar_one()
        document["infrastructure"]["qdrant_api_key"] = SECRET
        connection.execute(update(schema.namespaces).where(prod).values(document=document))


def test_no_secret_of_another_organization_is_stored_with_a_run(
    home: Path,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "DEBUG")
    files, _ = planted_files(1_000)
    files["namespace.json"] |= {"namespace_id": "ns_planted001", "namespace_name": "planted"}
    with harness.holding(home, files):
        pass
    asked = {"namespace_identifier": "planted", "namespace_name": "new"}
    asked |= {"include_resources": EVERYTHING, "organization_id": "org_other"}
    result = launch(instance, asked)
    assert result.success
    stored = everything_stored(instance, result.run_id)
    assert "do not go to another organization or environment" in stored
    assert "CANARY" not in stored + "".join(capfd.readouterr())
    for path in Path(instance.root_directory).rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes(), path
