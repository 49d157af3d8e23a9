"""The same kills where every step has a process of its own."""

from __future__ import annotations

import os
import random
import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.lease_timing import LEASE_SECONDS

from .bundles import NAME, QDRANT, write_namespace
from .checks import Source, assert_whole, find_clones, look_at_source, status
from .place import Place, Process, wait_until
from .qdrant import running
from .rest import assert_equal_points

pytestmark = pytest.mark.long

MULTIPROCESS = {"CLONE_EXECUTOR": "multiprocess"}
CLONE = ("clone", NAME, "copy", "--taxonomies")
# The points of the source, but for the last few seconds' worth, are a page of their own: the step
# stays long enough to be found at work.
SLOWLY = ("--max-points-per-second", "10")
RESUME = ("resume", "copy")


@pytest.fixture
def place(loaded: Place, tmp_path: Path) -> Place:
    copied = loaded.copy(tmp_path / "place")
    return Place(copied.folder, MULTIPROCESS)


def find(place: Place) -> Clone | None:
    if not (place.home / "catalog.db").exists():
        return None
    with place.stores() as stores:
        found = find_clones(stores, "copy")
    return found[-1] if found else None


def is_copying(place: Place) -> bool:
    """Points are durable, and their step is the only one that is not done."""
    found = find(place)
    if found is None:
        return False
    with place.stores() as stores, stores.catalog.read() as connection:
        done = ledger.read_reports(connection, found.clone_id)
        alone = "clone_taxonomies" in done and "copy_points" not in done
        return alone and ledger.points_copied(connection, found.clone_id) > 0


def step_processes(running: Process) -> list[int]:
    """The ids of the processes in which a run's steps are at work: Dagster forks them from a server
    that is the run's child."""
    servers = psutil.Process(running.pid).children()
    return [step.pid for server in servers for step in server.children()]


def has_begun(place: Place) -> bool:
    return find(place) is not None


def let_the_lease_run_out(place: Place) -> None:
    """Between two steps of a run nobody can be seen to be dead; only the heartbeat tells."""
    with place.stores() as stores, stores.catalog.write() as connection:
        past = stores.clock() - timedelta(seconds=LEASE_SECONDS)
        connection.execute(update(schema.clones).values(heartbeat_at=past))


def start(place: Place) -> Process:
    return place.start(*CLONE, *SLOWLY)


@pytest.mark.parametrize("when", [has_begun, is_copying])
def test_the_whole_run_is_killed(
    place: Place, before: Source, tmp_path: Path, when: object
) -> None:
    assert callable(when)
    running = start(place)
    try:
        wait_until(lambda: bool(when(place)), "the moment")
    finally:
        outcome = running.kill()
    assert outcome.code == -signal.SIGKILL
    let_the_lease_run_out(place)
    place.good(*RESUME)
    assert_whole(place, "copy", before, tmp_path / "scratch")


def test_the_whole_run_is_killed_at_a_random_moment_and_again(
    place: Place, before: Source, tmp_path: Path
) -> None:
    chance = random.Random(8)
    running = start(place)
    wait_until(lambda: has_begun(place), "the reservation")
    for _ in range(2):
        try:
            running.popen.wait(timeout=chance.uniform(0, 4))
        except Exception:  # it has not ended by itself
            assert running.kill().code == -signal.SIGKILL
        let_the_lease_run_out(place)
        running = place.start(*RESUME)
    assert running.end().code == 0
    assert_whole(place, "copy", before, tmp_path / "scratch")


def test_the_process_of_one_step_is_killed(place: Place, before: Source, tmp_path: Path) -> None:
    running = start(place)
    try:
        # The process of a step that is done takes a while to end.
        wait_until(lambda: is_copying(place) and len(step_processes(running)) == 1, "points")
        (copying,) = step_processes(running)
        os.kill(copying, signal.SIGKILL)
        outcome = running.end()
    finally:
        running.kill()
    assert outcome.code == 1
    assert "copy_points" in outcome.sentence
    assert status(place, "copy") in ("cloning", "failed")
    let_the_lease_run_out(place)
    place.good(*RESUME)
    assert_whole(place, "copy", before, tmp_path / "scratch")


def test_several_slices_on_a_server_from_several_processes(tmp_path: Path) -> None:
    """No process inherits a connection of another's: gRPC would hang in it."""
    with running(tmp_path / "server") as server:
        place = Place(tmp_path / "place", {"QDRANT_URL": server.url, **MULTIPROCESS})
        place.good("load", str(write_namespace(tmp_path / "in", points=11_000, objects=6)))
        before = look_at_source(place, tmp_path / "dump")
        place.good(*CLONE, "--concurrent-slices", "3")
        assert_whole(place, "copy", before, tmp_path / "scratch")
        with place.stores() as stores:
            assert find_clones(stores, "copy")[-1].plan["slices"] == 3
            assert_equal_points(stores, "copy", server.url, QDRANT)
