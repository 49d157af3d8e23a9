"""Who may write for a clone: one run at a time, and nobody who has lost it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core import process, steps
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import Conflict, InProgress, LeaseLost
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.discard import discard
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.lease import Lease, begin_attempt, release, step_out, take_over
from clone_pipeline.core.ledger.lease_timing import LEASE_SECONDS
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.plan import begin
from clone_pipeline.core.points import pages as slice_pages
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.process import Holder
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import harness

from .bundles import NAME, QDRANT, small_namespace
from .checks import find_clones

pytestmark = pytest.mark.outside

EVERYTHING: dict[str, Any] = {"include_resources": harness.everything()}


class Clock:
    """A clock that stands still until it is told to go."""

    now = datetime(2026, 5, 6, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, clock: Clock) -> Iterator[Stores]:
    with harness.holding(tmp_path, small_namespace(points=10, objects=6), clock=clock) as stores:
        yield stores


@pytest.fixture
def half(stores: Stores) -> Clone:
    """A clone that the run `first`, in this process, has brought up to the points."""
    return clone(stores, "first", until="copy_points")


def clone(stores: Stores, run_id: str, **options: Any) -> Clone:
    return harness.clone(stores, NAME, "copy", run_id=run_id, **EVERYTHING, **options)


def set_ledger(stores: Stores, made: Clone, **values: Any) -> None:
    with stores.catalog.write() as connection:
        connection.execute(
            update(schema.clones).where(schema.clones.c.clone_id == made.clone_id).values(values)
        )


def everything_stored(stores: Stores) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Every row of the catalog, and the collections of Qdrant with their number of points."""
    with stores.catalog.read() as connection:
        tables = {
            table.name: [repr(tuple(row)) for row in connection.execute(select(table))]
            for table in schema.metadata.sorted_tables
        }
    folder = stores.vector_address.folder / "collection"
    with stores.vectors() as vectors:
        return tables, {path.name: vectors.count(path.name) for path in folder.iterdir()}


@pytest.fixture
def dead_process() -> Holder:
    popen = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process._started(popen.pid)
    assert started is not None
    popen.kill()
    popen.communicate()
    return dataclasses.replace(Holder.current(), pid=popen.pid, started=started)


def test_a_living_holder_refuses_every_other_run(stores: Stores, half: Clone) -> None:
    before = everything_stored(stores)
    with pytest.raises(InProgress, match="first"):
        clone(stores, "second")
    with pytest.raises(InProgress, match="another request"):
        clone(stores, "second", description="another")
    with pytest.raises(InProgress):
        discard(stores, half)
    with pytest.raises(InProgress):
        delete_clone(stores, None, "copy")
    assert everything_stored(stores) == before
    assert clone(stores, "first").status == "ready"


def test_a_dead_process_is_seen_at_once(
    stores: Stores, half: Clone, dead_process: Holder, clock: Clock
) -> None:
    set_ledger(stores, half, **ledger.holder_values(dead_process, clock()))
    finished = clone(stores, "second")
    assert (finished.clone_id, finished.status) == (half.clone_id, "ready")
    assert finished.token == half.token + 1


@pytest.mark.parametrize("holder", ["on another host", "between two steps"])
def test_who_cannot_be_seen_holds_it_until_the_heartbeat_runs_out(
    stores: Stores, half: Clone, clock: Clock, holder: str
) -> None:
    if holder == "on another host":
        set_ledger(stores, half, holder_host="elsewhere")
    else:
        step_out(Lease(stores, half.clone_id, half.token))
    clock.pass_seconds(LEASE_SECONDS - 1)
    with pytest.raises(InProgress):
        clone(stores, "second")
    clock.pass_seconds(1)
    assert clone(stores, "second").status == "ready"


def test_a_heartbeat_prolongs_the_lease(stores: Stores, half: Clone, clock: Clock) -> None:
    lease = Lease(stores, half.clone_id, half.token)
    clock.pass_seconds(LEASE_SECONDS)
    lease._beat(dataclasses.replace(Holder.current(), host="elsewhere"))
    clock.pass_seconds(LEASE_SECONDS - 1)
    with pytest.raises(InProgress):
        clone(stores, "second")


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_stale_writer_stops_before_it_writes(
    stores: Stores, step: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = clone(stores, "first", until=step)
    ledger.fail(stores, begun.clone_id, "first", "The machine was asleep.")
    taken = clone(stores, "second", until="clone_config")
    assert taken.token == begun.token + 1
    stale = Lease(stores, begun.clone_id, begun.token)
    before = everything_stored(stores)
    with pytest.raises(LeaseLost):
        steps._FUNCTIONS[step](Work(stores, begun, stale, clock(), Meter(clock)))
    stale._beat(Holder.current())
    step_out(stale)
    release(stale)
    ledger.fail(stores, begun.clone_id, "first", "Too late.")
    assert everything_stored(stores) == before
    assert clone(stores, "second").status == "ready"


def test_a_writer_that_loses_its_lease_in_the_middle_stops_with_the_page(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = clone(stores, "first", until="copy_points")
    monkeypatch.setattr(slice_pages, "EMBEDDED_PAGE", 3)
    pages = []
    upsert = EmbeddedStore.upsert

    def taken_after_the_second(
        self: EmbeddedStore, collection: str, points: Sequence[Point]
    ) -> None:
        upsert(self, collection, points)
        pages.append(len(points))
        if len(pages) == 2:
            set_ledger(stores, begun, token=begun.token + 1, run_id="second")

    monkeypatch.setattr(EmbeddedStore, "upsert", taken_after_the_second)
    with pytest.raises(LeaseLost, match="taken this clone over"):
        steps._FUNCTIONS["copy_points"](
            Work(
                stores,
                begun,
                Lease(stores, begun.clone_id, begun.token),
                stores.clock(),
                Meter(stores.clock),
            )
        )
    assert pages == [3, 3]
    with stores.catalog.read() as connection:
        assert ledger.points_copied(connection, begun.clone_id) == 3
    assert clone(stores, "second").response["cloned_resources"]["points"] == 10  # type: ignore[index]


def test_of_a_step_that_is_delivered_twice_only_the_last_one_writes(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a queue that has not heard for an hour that it is being worked on."""
    begun = clone(stores, "first", until="copy_points")
    monkeypatch.setattr(slice_pages, "EMBEDDED_PAGE", 3)
    upsert, pages = EmbeddedStore.upsert, []

    def delivered_again(self: EmbeddedStore, collection: str, points: Sequence[Point]) -> None:
        upsert(self, collection, points)
        pages.append(len(points))
        if len(pages) == 2:
            with stores.catalog.write() as connection:
                begin_attempt(connection, begun.clone_id, "copy_points")

    monkeypatch.setattr(EmbeddedStore, "upsert", delivered_again)
    with pytest.raises(LeaseLost, match="begun once more"):
        steps.run_step(stores, begun.clone_id, "first", "copy_points", process_goes_on=True)
    assert pages == [3, 3]
    # A step beside it is no attempt at it.
    steps.run_step(stores, begun.clone_id, "first", "clone_retrievers", process_goes_on=True)
    steps.run_step(stores, begun.clone_id, "first", "copy_points", process_goes_on=True)
    assert clone(stores, "first").response["cloned_resources"]["points"] == 10  # type: ignore[index]


def test_the_heartbeat_of_an_earlier_attempt_says_nothing(
    stores: Stores, half: Clone, clock: Clock
) -> None:
    with stores.catalog.write() as connection:
        earlier = begin_attempt(connection, half.clone_id, "copy_points")
        begin_attempt(connection, half.clone_id, "copy_points")
    elsewhere = dataclasses.replace(Holder.current(), host="elsewhere")
    Lease(stores, half.clone_id, half.token, "copy_points", earlier)._beat(elsewhere)
    assert find_clones(stores, "copy")[-1].holder_host == Holder.current().host


def test_who_is_at_work_for_a_run_that_somebody_has_ended_stops(
    stores: Stores, half: Clone
) -> None:
    ledger.end_run(stores, half.clone_id, "first", "The machine was asleep.")
    lease = Lease(stores, half.clone_id, half.token)
    with pytest.raises(LeaseLost):
        lease.check()
    with pytest.raises(LeaseLost), lease.write():
        pass
    lease._beat(dataclasses.replace(Holder.current(), host="elsewhere"))
    (found,) = find_clones(stores, "copy")
    assert (found.holder_host, found.status) == (None, "failed")
    discard(stores, found)  # at once


def test_a_retry_does_not_wait_for_the_lease_of_the_run_that_it_repeats(
    stores: Stores, half: Clone
) -> None:
    set_ledger(stores, half, holder_host="elsewhere")
    with pytest.raises(InProgress):
        take_it_over(stores, half, "second")
    # From the first step, and from a later one.
    request = parse_request(half.request)
    begun = begin.begin(stores, request, LOCAL_OPERATOR, "second", frozenset({"first"}))
    assert (begun.clone_id, begun.token) == (half.clone_id, half.token + 1)
    set_ledger(stores, half, holder_host="elsewhere")
    steps.run_step(
        stores,
        half.clone_id,
        "third",
        "clone_taxonomies",
        process_goes_on=True,
        ended=frozenset({"first", "second"}),
    )
    assert find_clones(stores, "copy")[-1].run_id == "third"


def test_a_step_that_waited_for_long_takes_nothing_from_the_run_that_came_after(
    stores: Stores, half: Clone
) -> None:
    ledger.end_run(stores, half.clone_id, "first", "It died.")
    clone(stores, "second", until="copy_points")
    ledger.fail(stores, half.clone_id, "second", "The disk is full.")
    with pytest.raises(LeaseLost):
        steps.run_step(stores, half.clone_id, "first", "copy_points", process_goes_on=False)
    found = find_clones(stores, "copy")[-1]
    assert (found.run_id, found.error) == ("second", "The disk is full.")


def test_a_step_does_not_end_the_hold_of_one_on_another_host_with_the_same_process_id(
    stores: Stores, half: Clone
) -> None:
    set_ledger(stores, half, holder_host="elsewhere")
    step_out(Lease(stores, half.clone_id, half.token))
    assert find_clones(stores, "copy")[-1].holder_pid == Holder.current().pid


def test_the_same_request_resumes_and_another_one_begins_anew(stores: Stores, half: Clone) -> None:
    ledger.fail(stores, half.clone_id, "first", "It died.")
    assert clone(stores, "second", until="copy_points").clone_id == half.clone_id
    ledger.fail(stores, half.clone_id, "second", "It died again.")
    other = clone(stores, "third", description="another")
    assert other.status == "ready"
    assert other.clone_id != half.clone_id
    assert [made.status for made in find_clones(stores, "copy")] == ["discarded", "ready"]
    _, collections = everything_stored(stores)
    assert collections == {QDRANT: 10, other.qdrant_collection: 10}


def test_nobody_takes_over_what_is_being_discarded(
    stores: Stores, half: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.fail(stores, half.clone_id, "first", "It died.")
    delete = EmbeddedStore.delete
    refusals = []

    def interrupted(self: EmbeddedStore, collection: str) -> None:
        for attempt in (
            lambda: take_it_over(stores, half, "second"),
            lambda: discard(stores, half),
        ):
            with pytest.raises(InProgress) as refusal:
                attempt()
            refusals.append(refusal)
        delete(self, collection)

    monkeypatch.setattr(EmbeddedStore, "delete", interrupted)
    discard(stores, half)
    assert len(refusals) == 2
    before = everything_stored(stores)
    discard(stores, half)
    assert everything_stored(stores) == before


def test_a_discard_that_failed_can_be_done_again(
    stores: Stores, half: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.fail(stores, half.clone_id, "first", "It died.")

    def broken(self: EmbeddedStore, collection: str) -> None:
        raise RuntimeError("injected")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedStore, "delete", broken)
        with pytest.raises(RuntimeError, match="injected"):
            discard(stores, half)
    discard(stores, half)
    assert everything_stored(stores)[1] == {QDRANT: 10}


def test_a_clone_that_was_published_a_moment_ago_is_not_taken_over(
    stores: Stores, half: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run finds it unfinished; the first one publishes it before the second takes it."""
    find = ledger.unfinished

    def finished_meanwhile(*args: Any) -> Clone | None:
        found = find(*args)
        monkeypatch.undo()
        clone(stores, "first")
        return found

    monkeypatch.setattr(ledger, "unfinished", finished_meanwhile)
    with pytest.raises(Conflict, match="ready"):
        clone(stores, "second")
    [made] = find_clones(stores, "copy")
    assert (made.status, made.run_id) == ("ready", "first")


def take_it_over(stores: Stores, made: Clone, run_id: str) -> Clone:
    with stores.catalog.write() as connection:
        current = ledger.get(connection, made.clone_id)
        return take_over(connection, current, run_id, Holder.current(), stores.clock())
