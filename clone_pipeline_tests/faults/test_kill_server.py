"""`kill -9` while points are copied to a server, then another run with another number of workers:
nothing is lost, extra or altered, and hardly anything is done twice."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from subprocess import TimeoutExpired

import pytest

from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline_tests import harness

from .bundles import NAME, QDRANT, small_namespace
from .checks import status
from .place import Outcome, Place, Process
from .qdrant import Qdrant, running
from .rest import assert_equal_points, newest_clone

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "200"))
POINTS, PAGE = 12_000, 100
# Every so many runs is the real command.
REAL = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    with running(tmp_path_factory.mktemp("qdrant") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def source(server: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A data folder with the source; its points are on the server."""
    folder = tmp_path_factory.mktemp("many")
    place = Place(folder, {"QDRANT_URL": server.url})
    place.home.mkdir()
    with place.stores() as stores:
        harness.load(stores, small_namespace(points=POINTS, objects=5))
    return place


class Attempts:
    """Runs that make one clone, one after another; counts what they write, and may write."""

    def __init__(self, place: Place, name: str, per_slice: int = 5000) -> None:
        self.name = name
        self.kills = 0
        self._place = place
        self._slices = -(-POINTS // per_slice)
        self._allowed = POINTS
        self._writes = place.folder / f"{name}.writes"
        self._faults = {"page": PAGE, "per_slice": per_slice, "writes": str(self._writes)}

    def end(self, workers: int, *, real: bool = False, **faults: object) -> bool:
        """Whether the clone is ready after a run; else the run was killed."""
        process = self._start(workers, real, faults)
        try:
            return self._count(process.end(), workers)
        finally:
            process.kill()

    def end_within(self, seconds: float, workers: int) -> bool:
        process = self._start(workers, False, {})
        with suppress(TimeoutExpired):
            process.popen.wait(timeout=seconds)
        return self._count(process.kill(), workers)

    def _start(self, workers: int, real: bool, faults: dict[str, object]) -> Process:
        faults = {**self._faults, **faults}
        if not real:
            return self._place.start_child(self.name, faults, concurrent_slices=workers)
        pace = ("--taxonomies", "--concurrent-slices", str(workers))
        return self._place.start("clone", NAME, self.name, *pace, **faults)

    def _count(self, outcome: Outcome, workers: int) -> bool:
        assert outcome.code in (0, -signal.SIGKILL), outcome
        if outcome.code == 0:
            return True
        self.kills += 1
        self._allowed += min(workers, self._slices) * PAGE
        return status(self._place, self.name) == "ready"  # it died after its last write

    def assert_whole(self, url: str) -> None:
        written = sum(map(int, self._writes.read_text().split()))
        assert POINTS <= written <= self._allowed
        with self._place.stores() as stores:
            made = newest_clone(stores, self.name)
            with stores.catalog.read() as connection:
                reports = ledger.read_reports(connection, made.clone_id)
            assert made.plan["slices"] == self._slices
            assert_equal_points(stores, self.name, url, QDRANT)
        # The copy itself was whole: the proof would have put right what it was not.
        proof = reports["verify_clone"].shown
        assert (proof["differences"], proof["repaired"]) == (0, 0)
        assert reports["copy_points"].shown["consistency"]["state"] == "quiet"


@pytest.mark.long
def test_a_clone_killed_four_times_is_whole_and_hardly_anything_was_copied_twice(
    source: Place, server: Qdrant
) -> None:
    attempts = Attempts(source, "copy")
    for workers, moment, nth in [
        (3, "copy_points:upsert:half", 20),
        (1, "copy_points:write:uncommitted", 15),
        (8, "copy_points:write:committed", 30),
        (2, "copy_points:upsert:half", 25),
    ]:
        assert not attempts.end(workers, kill=[moment, nth])
    assert attempts.end(5)
    attempts.assert_whole(server.url)


@pytest.mark.long
def test_clones_killed_at_random_moments(source: Place, server: Qdrant) -> None:
    """Also at random times, which are moments that nobody thought of."""
    chance = random.Random(20260508)
    kills = runs = clones = 0
    while kills < KILLS:
        attempts = Attempts(source, f"copy-{clones}", per_slice=chance.choice([5000, 1000, 400]))
        ended = False
        while not ended:
            runs += 1
            workers = chance.randint(1, 8)
            if runs % 4 == 0:
                ended = attempts.end_within(chance.uniform(0.5, 4.0), workers)
            else:
                moment = chance.randint(1, 400)
                ended = attempts.end(workers, real=runs % REAL == 1, kill_at=moment)
        attempts.assert_whole(server.url)
        kills += attempts.kills
        clones += 1
