"""`kill -9` in clones that begin with an earlier one: the clone is exact in the end, and the one
before stays whole; whoever reads what is refreshed meanwhile has that."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.generations.sweep import plan_sweep, run_sweep
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.outputs import CopiedPoints
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.verify import verify_sealed
from clone_pipeline_tests import harness

from .bundles import QDRANT, small_namespace
from .place import Outcome, Place
from .qdrant import Qdrant, running
from .rest import assert_equal_points, collections, newest_clone, points

pytestmark = pytest.mark.outside

# Read at import: no test sees the developer's environment.
KILLS = int(os.environ.get("CLONE_PIPELINE_TEST_KILLS", "30"))
POINTS, PAGE = 2000, 100
FAULTS = {"page": PAGE, "per_slice": 400}
# Of the step `copy_points`, and the how-manieth of each.
MOMENTS = [
    ("native copy:before", 1),
    ("native copy:after", 1),
    ("native remove:after", 1),
    ("upsert:half", 1),
    ("delete points:after", 2),
    ("write:committed", 4),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Qdrant]:
    with running(tmp_path / "server") as server:
        yield server


@pytest.fixture
def place(server: Qdrant, tmp_path: Path) -> Place:
    """A source, and a clone of it that is refreshed."""
    place = Place(tmp_path / "place", {"QDRANT_URL": server.url})
    place.home.mkdir(parents=True)
    with place.stores() as stores:
        harness.load(stores, small_namespace(points=POINTS, objects=3))
    assert refresh(place).code == 0
    return place


def refresh(place: Place, **faults: Any) -> Outcome:
    return run(place, "copy", faults, if_exists="replace")


def run(place: Place, name: str, faults: dict[str, Any], **options: Any) -> Outcome:
    process = place.start_child(name, FAULTS | faults, **options)
    try:
        return process.end()
    finally:
        process.kill()


def change_source(place: Place, chance: random.Random, marker: str) -> None:
    """Some points with another payload, some with other vectors, some gone, some new."""
    with place.stores() as stores, stores.vectors() as vectors:
        there = vectors.scroll(QDRANT, 10 * POINTS).points
        some = chance.sample(there, 60)
        changed = [
            *(one._replace(payload={**one.payload, "marker": marker}) for one in some[:20]),
            *(one._replace(vectors={"image": _vector(chance)}) for one in some[20:40]),
        ]
        new = [
            Point(chance.randrange(2**40), dict(one.vectors), {**one.payload, "marker": marker})
            for one in some[:20]
        ]
        vectors.upsert(QDRANT, [*changed, *new])
        vectors.delete_points(QDRANT, [one.id for one in some[40:]])


def _vector(chance: random.Random) -> list[float]:
    return [chance.random() for _ in range(4)]


class Reader:
    """Reads all that is live, again and again, as an application that knows the catalog does."""

    def __init__(self, stores: Stores, url: str) -> None:
        self._stores = stores
        self._url = url
        self.seen: list[Any] = []
        self.error: BaseException | None = None

    def read(self) -> Any:
        with self._stores.catalog.read() as connection:
            found = namespaces.resolve(connection, None, "copy")
        return points(self._url, found.qdrant_collection)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        ended = threading.Event()

        def run() -> None:
            try:
                while not ended.is_set():
                    state = self.read()
                    if state not in self.seen:
                        self.seen.append(state)
            except BaseException as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def live(stores: Stores) -> Namespace:
    with stores.catalog.read() as connection:
        return namespaces.resolve(connection, None, "copy")


def assert_whole(place: Place, server: Qdrant, name: str = "copy") -> None:
    with place.stores() as stores:
        made = newest_clone(stores, name)
        assert (made.status, made.plan["lane"]) == ("ready", "delta")
        with stores.catalog.read() as connection:
            reports = ledger.read_reports(connection, made.clone_id)
        assert_equal_points(stores, name, server.url, QDRANT)
    # The copy itself was whole: the proof would have put right what it was not.
    proof = reports["verify_clone"].shown
    assert (proof["differences_first"], proof["repaired"]) == ([], 0)
    changes = CopiedPoints.of(reports["copy_points"]).changes
    assert changes == {"inserted": 20, "changed": 40, "deleted": 20, "unchanged": POINTS - 60}


def test_a_refresh_killed_at_every_kind_of_moment_is_exact(place: Place, server: Qdrant) -> None:
    change_source(place, random.Random(1), "second")
    for moment, nth in MOMENTS:
        killed = refresh(place, kill=[f"copy_points:{moment}", nth])
        assert killed.code == -signal.SIGKILL, (moment, killed)
    assert refresh(place).code == 0
    assert_whole(place, server)


@pytest.mark.parametrize(
    "moment", ["publish_clone:write:uncommitted", "publish_clone:write:committed"]
)
def test_a_refresh_of_nothing_new_that_is_killed_leaves_what_is_live(
    moment: str, place: Place, server: Qdrant
) -> None:
    with place.stores() as stores:
        before = live(stores)
    assert refresh(place, kill=[moment, 1]).code == -signal.SIGKILL
    assert refresh(place).code == 0
    with place.stores() as stores:
        after, made = live(stores), newest_clone(stores, "copy")
        assert (after.key, after.generation, after.clone_id) == (before.key, 1, made.clone_id)
        assert made.status == "ready"
        run_sweep(stores, None, {}, plan_sweep(stores, None, {}))
        assert_equal_points(stores, "copy", server.url, QDRANT)
    assert len(collections(server.url)) == 2


@pytest.mark.long
def test_a_backup_killed_at_every_kind_of_moment_is_exact_and_so_is_the_one_before(
    server: Qdrant, tmp_path: Path
) -> None:
    """The source is only to be read, and its payloads name no namespace."""
    env = {"QDRANT_URL": server.url, "QDRANT_SOURCE_API_KEY": "key-that-reads"}
    place = Place(tmp_path / "place", env)
    place.home.mkdir(parents=True)
    source = small_namespace(points=POINTS, objects=3)
    for one in source["points.jsonl"]:
        del one["payload"]["_internal"]["namespace_id"]
    with place.stores() as stores:
        harness.load(stores, source)
    options = {"policy": "nightly", "preserve_resource_ids": True}
    assert run(place, "b1", {}, **options).code == 0
    change_source(place, random.Random(1), "second")
    for moment, nth in MOMENTS:
        killed = run(place, "b2", {"kill": [f"copy_points:{moment}", nth]}, **options)
        assert killed.code == -signal.SIGKILL, (moment, killed)
        with place.stores() as stores:
            assert verify_sealed(stores, None, "b1").unchanged is True
    assert run(place, "b2", {}, **options).code == 0
    assert_whole(place, server, "b2")
    with place.stores() as stores:
        assert verify_sealed(stores, None, "b1").unchanged is True


@pytest.mark.long
def test_refreshes_killed_at_random_moments_under_the_eyes_of_a_reader(
    place: Place, server: Qdrant
) -> None:
    chance = random.Random(20261130)
    kills = 0
    round = 0
    while kills < KILLS:
        round += 1
        change_source(place, chance, f"round {round}")
        with place.stores() as stores:
            live = newest_clone(stores, "copy").clone_id
            reader = Reader(stores, server.url)
            before = reader.read()
            with reader.at_work():
                ended = False
                while not ended:
                    outcome = refresh(place, kill_at=chance.randint(1, 150))
                    assert outcome.code in (0, -signal.SIGKILL), outcome
                    kills += outcome.code != 0
                    # Or it died after its last write.
                    made = newest_clone(stores, "copy")
                    ended = (made.status, made.clone_id != live) == ("ready", True)
            assert reader.error is None
            after = reader.read()
            assert all(state in (before, after) for state in reader.seen)
        assert_whole(place, server)
    # Every generation, and nothing of attempts that were given up.
    assert len(collections(server.url)) == 1 + 1 + round
