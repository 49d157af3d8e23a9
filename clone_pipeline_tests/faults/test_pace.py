"""How fast and how much at once: what was asked for holds for all slices together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.points import pages
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline_tests import harness

from .bundles import NAME, QDRANT, small_namespace
from .qdrant import running
from .rest import assert_equal_points, newest_clone

pytestmark = pytest.mark.outside

POINTS, PAGE, SLICES = 800, 10, 8


def some_more(*workers: int) -> list[Any]:
    return [pytest.param(number, marks=pytest.mark.long) for number in workers]


class Clock:
    """Time passes by sleeping only. Those who sleep at the same time wake at the same time."""

    def __init__(self) -> None:
        self.started = self.now = datetime(2026, 5, 6, tzinfo=timezone.utc)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        time.sleep(0.005)  # for others to begin theirs
        with self._lock:
            self.now = max(self.now, until)

    @property
    def seconds(self) -> float:
        return (self.now - self.started).total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setattr(pages, "FIRST_PAGE", PAGE)
    monkeypatch.setattr(pages, "LARGEST_PAGE", PAGE)
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", POINTS // SLICES)
    with (
        running(tmp_path / "server") as server,
        harness.open_stores(tmp_path, clock=clock, sleep=clock.sleep) as made,
    ):
        made = replace(made, vector_address=replace(made.vector_address, url=server.url))
        harness.load(made, small_namespace(points=POINTS, objects=3))
        yield made


def clone(stores: Stores, **options: Any) -> dict[str, Any]:
    """The details of its copy."""
    options["include_resources"] = harness.everything()
    made = harness.clone(stores, NAME, "copy", verify="counts", **options)
    assert made.plan["slices"] == SLICES
    with stores.catalog.read() as connection:
        return ledger.read_reports(connection, made.clone_id)["copy_points"].shown


@pytest.mark.parametrize("workers", [4, *some_more(1, 8)])
def test_the_points_of_all_slices_together_stay_below_the_rate(
    stores: Stores, clock: Clock, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 100
    written, lock, write = [0], threading.Lock(), ServerStore.write
    too_early: list[tuple[int, float]] = []

    def counted(self: ServerStore, name: str, points: Any, *attempt: Any) -> None:
        with lock:
            written[0] += len(points)
            # What is in flight has not been waited for yet; 1 is for the clock's microseconds.
            if written[0] > clock.seconds * rate + workers * PAGE + 1:
                too_early.append((written[0], clock.seconds))
        write(self, name, points, *attempt)

    monkeypatch.setattr(ServerStore, "write", counted)
    details = clone(stores, max_points_per_second=rate, concurrent_slices=workers)
    assert too_early == []
    assert written[0] == POINTS
    assert clock.seconds >= POINTS / rate
    assert details["points_per_second"] <= rate


@pytest.mark.parametrize("workers", [3, *some_more(1, 8)])
def test_as_many_slices_are_in_flight_as_were_asked_for(
    stores: Stores, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reads wait for each other: all of them are needed for any to go on."""
    together, lock, read = threading.Barrier(workers), threading.Lock(), ServerStore.read
    flying, most, first = [0], [0], set[str]()

    def counted(self: ServerStore, name: str, *place: Any) -> Any:
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
            thread = threading.current_thread()
            # The plan reads a page in the main thread.
            waits = thread is not threading.main_thread() and thread.name not in first
            first.add(thread.name)
        try:
            if waits:
                together.wait(60)
            return read(self, name, *place)
        finally:
            with lock:
                flying[0] -= 1

    monkeypatch.setattr(ServerStore, "read", counted)
    details = clone(stores, concurrent_slices=workers)
    assert most[0] == details["slices_at_once"] == workers
    assert newest_clone(stores, "copy").status == "ready"
    url = stores.vector_address.url
    assert url is not None
    assert_equal_points(stores, "copy", url, QDRANT)


def test_the_proof_keeps_the_pace_too(stores: Stores, clock: Clock) -> None:
    options = {"include_resources": harness.everything(), "max_points_per_second": 200}
    harness.clone(stores, NAME, "copy", verify="full", **options)
    # The copy reads every point of the source, the proof every point of the target.
    assert clock.seconds >= 2 * POINTS / 200
