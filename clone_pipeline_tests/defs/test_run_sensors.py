"""The sensors that look after runs and after the policies file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import LeaseLost, NotFound
from clone_pipeline.core.generations.discard import withdraw
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger import lease_timing as timing
from clone_pipeline.core.ledger.lease import Lease
from clone_pipeline.core.plan import begin as reserve
from clone_pipeline.core.plan import reservation
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.defs.automation import FailedTick
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.defs.watching import sensors
from clone_pipeline_tests.harness import open_stores

REQUEST = {"namespace_identifier": "prod", "namespace_name": "new"}


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


def test_a_process_that_goes_on_after_the_end_of_its_run_loses_its_lease(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
        made = reserve.begin(stores, parse_request(REQUEST), LOCAL_OPERATOR, run.run_id)
        assert ended(instance, tmp_path, run, cancelled=True) is None
        assert state(stores, run)[0] == "failed"
        with pytest.raises(LeaseLost), Lease(stores, made.clone_id, made.token).write():
            pass
        with stores.catalog.read() as connection:
            assert not ledger.get(connection, made.clone_id).is_held(stores.clock())


def test_a_run_that_had_no_clone_yet(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
    assert "has made no clone" in ended(instance, tmp_path, run).skip_message


def ledger_id(stores: Stores, run: dg.DagsterRun) -> str:
    with stores.catalog.read() as connection:
        return ledger.of_run(connection, run.run_id).clone_id


# ---- clones_in_waiting -----------------------------------------------------------------------


def looked_after(instance: dg.DagsterInstance, folder: Path) -> str:
    """A tick of the sensor; what it says."""
    context = dg.build_sensor_context(instance=instance)
    return str(sensors(folder)["clones_in_waiting"].evaluate_tick(context).skip_message)


@pytest.mark.parametrize(
    ("executor", "between_steps", "silence"),
    [
        ("in_process", False, timing.LEASE_SECONDS),
        ("multiprocess", False, timing.LEASE_SECONDS),
        # The next step may have to wait for its process.
        ("multiprocess", True, timing.RESERVED_SECONDS),
    ],
)
def test_a_run_whose_worker_on_another_machine_is_gone_is_ended_whatever_dagster_believes(
    home: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    between_steps: bool,
    silence: float,
) -> None:
    monkeypatch.setenv("CLONE_EXECUTOR", executor)
    with open_stores(home) as stores:
        run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
        instance.report_run_canceling(run)  # under way
        reserve.begin(stores, parse_request(REQUEST), LOCAL_OPERATOR, run.run_id)
        pid = None if between_steps else 17
        for left, over in ((5, False), (-1, True)):
            seen = stores.clock() - timedelta(seconds=silence - left)
            elsewhere = {"holder_host": "worker-1", "holder_pid": pid, "heartbeat_at": seen}
            with stores.catalog.write() as connection:
                connection.execute(update(clones).values(elsewhere))
            looked_after(instance, tmp_path)
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            assert (found.status == dg.DagsterRunStatus.FAILURE) == over
            assert state(stores, run)[0] == ("failed" if over else "cloning")


def reserved(stores: Stores, instance: dg.DagsterInstance) -> tuple[str, dg.DagsterRun]:
    """A reservation and the run that it waits for."""
    clone = reservation.reserve_for_run(stores, parse_request(REQUEST), LOCAL_OPERATOR)
    tags = {"clone/id": clone.clone_id}
    run = instance.create_run_for_job(clone_job(), run_config=REQUEST, tags=tags)
    reservation.submitted(stores, clone, run.run_id)
    return clone.clone_id, run


def test_a_reservation_is_kept_while_its_run_waits(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        clone_id, run = reserved(stores, instance)
        long_ago = stores.clock() - timedelta(seconds=timing.RESERVED_SECONDS + 1)
        with stores.catalog.write() as connection:
            connection.execute(update(clones).values(heartbeat_at=long_ago, reserved_at=long_ago))
        looked_after(instance, tmp_path)
        with stores.catalog.read() as connection:
            kept = ledger.get(connection, clone_id)
        assert (kept.run_id, kept.status) == (run.run_id, "cloning")
        assert kept.is_held(stores.clock())


def test_a_run_that_was_cancelled_in_the_queue_has_made_nothing(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        _, run = reserved(stores, instance)
        assert ended(instance, tmp_path, run, cancelled=True) is None
        status, error = state(stores, run)
        assert (status, str(error).startswith("The run was cancelled")) == ("failed", True)


def test_a_run_whose_request_was_withdrawn_has_nothing_to_record(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        clone = reservation.reserve_for_run(stores, parse_request(REQUEST), LOCAL_OPERATOR)
        tags = {"clone/id": clone.clone_id}
        run = instance.create_run_for_job(clone_job(), run_config=REQUEST, tags=tags)
        withdraw(stores, clone, "Dagster was away.")
        assert "has made no clone" in ended(instance, tmp_path, run).skip_message
        with pytest.raises(NotFound):
            state(stores, run)


def test_a_reservation_goes_on_to_the_run_that_dagster_puts_in_the_place_of_its_own(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        clone_id, first = reserved(stores, instance)
        instance.report_run_failed(first)
        instance.add_run_tags(first.run_id, {"dagster/will_retry": "true"})
        looked_after(instance, tmp_path)
        assert state(stores, first) == ("cloning", None)
        second = instance.create_run_for_job(
            clone_job(), run_config=REQUEST, parent_run_id=first.run_id, root_run_id=first.run_id
        )
        instance.add_run_tags(first.run_id, {"dagster/auto_retry_run_id": second.run_id})
        looked_after(instance, tmp_path)
        assert state(stores, first) == ("cloning", None)
        instance.report_run_failed(second)
        looked_after(instance, tmp_path)
        with stores.catalog.read() as connection:
            assert ledger.get(connection, clone_id).status == "failed"


def test_a_run_that_is_gone_is_ended_in_dagster_too(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """As after a power cut: nobody has told Dagster, and its place in the queue is taken."""
    with open_stores(home) as stores:
        run = begun(stores, instance)
        assert run.status == dg.DagsterRunStatus.NOT_STARTED
        looked_after(instance, tmp_path)
        status, error = state(stores, run)
        assert (status, "ended without a word" in str(error)) == ("failed", True)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE


def test_a_clone_that_is_being_made_is_left_alone(
    home: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with open_stores(home) as stores:
        run = instance.create_run_for_job(clone_job(), run_config=REQUEST)
        reserve.begin(stores, parse_request(REQUEST), LOCAL_OPERATOR, run.run_id)
        said = looked_after(instance, tmp_path)
        assert said == "Clones that are being made, or wait for their run: 1."
        assert state(stores, run) == ("cloning", None)


# ---- policies_file ---------------------------------------------------------------------------


def test_the_file_is_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    assert "policies_file" not in sensors(tmp_path)
    file = tmp_path / "policies.yaml"
    monkeypatch.setenv("CLONE_POLICIES", str(file))
    sensor = sensors(tmp_path)["policies_file"]
    # Whoever has just put the file right and reloaded it looks at the sensor next.
    assert sensor.minimum_interval_seconds == 30
    context = dg.build_sensor_context(instance=instance)
    in_order = sensor.evaluate_tick(context).skip_message
    assert in_order == f"{file}: 1 policy, and it is in order."
    file.write_text(file.read_text() + "\n")
    with pytest.raises(FailedTick, match="has changed since it was loaded"):
        sensor.evaluate_tick(context)
    file.write_text("backups:\n  - name: a\n")
    with pytest.raises(FailedTick, match="line 2: `source` is required") as caught:
        sensor.evaluate_tick(context)
    assert "line 2: `cron` is required" in str(caught.value)
