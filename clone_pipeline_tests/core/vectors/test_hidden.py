"""A Qdrant server that hides points until they are indexed (`prevent_unoptimized`): nothing is read
of it that only looks whole, and what has that setting is cloned like any other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.points import retry
from clone_pipeline.core.refresh.marks import mark
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair
from clone_pipeline.core.verify.diff import Looked, contrast

from ... import harness, qdrant_server
from ...adopting.test_adopt import adopt, stores_at
from ...faults.place import wait_until
from ...faults.rest import ask, newest_clone, points
from ...properties.test_loads import archived

pytestmark = pytest.mark.outside

SIZE, POINTS = 64, 2000
# The least that a server takes: some 400 of these points.
HIDING = {"prevent_unoptimized": True, "indexing_threshold": 100, "default_segment_number": 1}
BUSY = {"max_optimization_threads": 0}


def upsert(url: str, name: str, numbers: range, title: str = "first") -> None:
    """Not waited for, which would take until they are shown."""
    some = [
        {"id": n, "vector": [n / 7.0, *[1.0] * (SIZE - 1)], "payload": {"title": title}}
        for n in numbers
    ]
    ask(url, f"/collections/{name}/points?wait=false", {"points": some}, "PUT")


def configure(url: str, name: str, optimizers: dict[str, Any]) -> None:
    ask(url, f"/collections/{name}", {"optimizers_config": optimizers}, "PATCH")


def let_index(url: str, name: str) -> None:
    configure(url, name, {"max_optimization_threads": 1})
    wait_until(lambda: hidden(url, name) == 0, "the index")


def hidden(url: str, name: str) -> int:
    return int(ask(url, f"/collections/{name}")["update_queue"].get("deferred_points", 0))


@pytest.fixture
def collection(qdrant_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Most of whose points are hidden, as long as it is not let index them."""
    name = f"hiding_{request.node.name.partition('[')[0]}"
    vectors = {"size": SIZE, "distance": "Dot"}
    body = {"vectors": vectors, "optimizers_config": HIDING | BUSY}
    ask(qdrant_url, f"/collections/{name}", body, "PUT")
    try:
        upsert(qdrant_url, name, range(POINTS))
        wait_until(lambda: hidden(qdrant_url, name) > POINTS // 2, "the points")
        yield name
    finally:
        ask(qdrant_url, f"/collections/{name}", method="DELETE")


READS: list[Callable[[ServerStore, str], object]] = [
    lambda store, name: store.read(name, 10),
    lambda store, name: store.scroll(name, 10),
    lambda store, name: store.retrieve(name, [3]),
    lambda store, name: store.count(name),
]


@pytest.mark.parametrize("read", READS)
def test_nothing_is_read_or_counted_while_points_are_hidden(
    qdrant_url: str, collection: str, read: Callable[[ServerStore, str], object]
) -> None:
    with closing(ServerStore.open(qdrant_url)) as store:
        with pytest.raises(StoreUnavailable, match=r"hides 1,\d+ points of hiding_") as caught:
            read(store, collection)
        assert "prevent_unoptimized" in caught.value.message
        let_index(qdrant_url, collection)
        read(store, collection)
        assert store.count(collection) == POINTS


def test_those_of_a_collection_that_is_to_hide_none_any_more_are_waited_for(
    qdrant_url: str, collection: str
) -> None:
    """Its segments go on hiding what they hide, and the collection tells of none."""
    with closing(ServerStore.open(qdrant_url)) as store:
        configure(qdrant_url, collection, {"prevent_unoptimized": False})
        assert store.count(collection) < POINTS
        with pytest.raises(StoreUnavailable, match="hides"):
            mark(store, collection)
        configure(qdrant_url, collection, {"max_optimization_threads": 1})
        wait_until(lambda: store.count(collection) == POINTS, "the index")
        mark(store, collection)


def test_those_of_a_server_that_hides_them_in_every_collection_are_waited_for(
    tmp_path: Path,
) -> None:
    if not qdrant_server.is_installed():
        pytest.skip("no server of its own: put `qdrant` on the PATH")
    overwrite = "STORAGE__OPTIMIZERS_OVERWRITE__"
    settings = {
        f"{overwrite}PREVENT_UNOPTIMIZED": "true",
        f"{overwrite}INDEXING_THRESHOLD_KB": "100",
    }
    with (
        qdrant_server.run(tmp_path / "qdrant", **settings) as url,
        closing(ServerStore.open(url)) as store,
    ):
        vectors = {"size": SIZE, "distance": "Dot"}
        ask(url, "/collections/plain", {"vectors": vectors, "optimizers_config": BUSY}, "PUT")
        upsert(url, "plain", range(POINTS))
        wait_until(lambda: store.hidden_in_segments("plain") > 0, "the points")
        with pytest.raises(StoreUnavailable, match="hides"):
            mark(store, "plain")


def test_a_setting_that_was_changed_meanwhile_is_seen(qdrant_url: str, collection: str) -> None:
    with closing(ServerStore.open(qdrant_url)) as store:
        configure(qdrant_url, collection, {"prevent_unoptimized": False})
        assert store.count(collection) < POINTS
        configure(qdrant_url, collection, {"prevent_unoptimized": True})
        for read in (mark, ServerStore.count):
            with pytest.raises(StoreUnavailable, match="hides"):
                read(store, collection)


def test_points_that_are_hidden_in_the_middle_of_a_read_are_waited_for(
    qdrant_url: str, collection: str
) -> None:
    """Those that are written over are not there for a while, in neither version."""
    let_index(qdrant_url, collection)
    over, counts = threading.Event(), set[int]()

    def count() -> None:
        with closing(ServerStore.open(qdrant_url)) as store:
            while not over.is_set():
                try:
                    counts.add(len(list(store.read(collection, POINTS).points)))
                except StoreUnavailable:
                    continue

    reading = threading.Thread(target=count)
    reading.start()
    for round in range(6):
        upsert(qdrant_url, collection, range(POINTS // 2), f"round {round}")
        let_index(qdrant_url, collection)
    over.set()
    reading.join()
    assert counts == {POINTS}


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path, collection: str) -> Iterator[Stores]:
    """With the collection as the namespace `docs`, of which all points are shown."""
    let_index(qdrant_url, collection)
    with stores_at(qdrant_url, tmp_path) as stores:
        adopt(stores, collection)
        yield stores


def assert_whole(url: str, source: str, copy: str) -> None:
    wait_until(lambda: hidden(url, source) == hidden(url, copy) == 0, "the index")
    expected = points(url, source)
    assert len(expected) >= POINTS
    assert points(url, copy) == expected
    told = [ask(url, f"/collections/{one}")["config"]["optimizer_config"] for one in (source, copy)]
    assert told[0] == told[1]


@pytest.mark.parametrize("lane", ["stream", "native"])
def test_a_clone_waits_for_them_and_has_them(
    qdrant_url: str, collection: str, stores: Stores, lane: str
) -> None:
    made = harness.clone(stores, "docs", "copy", until="copy_points", lane=lane)
    # Between the plan and the copy, half are hidden again.
    upsert(qdrant_url, collection, range(POINTS // 2), "second")
    for step in STEPS[STEPS.index("copy_points") :]:
        run_step(stores, made.clone_id, str(made.run_id), step, process_goes_on=True)
    assert_whole(qdrant_url, collection, newest_clone(stores, "copy").qdrant_collection)


def test_it_is_refreshed_by_what_has_changed(
    qdrant_url: str, collection: str, stores: Stores
) -> None:
    for changed in (1, 600):
        upsert(qdrant_url, collection, range(POINTS, POINTS + changed))
        let_index(qdrant_url, collection)
        clone = harness.clone(stores, "docs", "copy", if_exists="replace", lane="auto")
        assert_whole(qdrant_url, collection, clone.qdrant_collection)
    assert clone.plan["base"] is not None or clone.plan["lane"] == "native"


@pytest.mark.parametrize("what", ["verify", "diff", "dump", "dump into an archive"])
def test_nothing_is_compared_or_dumped_that_is_not_whole(
    qdrant_url: str,
    collection: str,
    stores: Stores,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness.clone(stores, "docs", "copy")
    monkeypatch.setattr(retry, "_LONGEST_SECONDS", 0.0)
    configure(qdrant_url, collection, BUSY)
    upsert(qdrant_url, collection, range(POINTS // 2), "second")
    wait_until(lambda: hidden(qdrant_url, collection) > 0, "the points")
    # What is hidden by then stays so.
    configure(qdrant_url, collection, {"prevent_unoptimized": False})
    look = {
        "verify": lambda: verify_pair(stores, None, "docs", "copy"),
        "diff": lambda: contrast(Looked(stores, None, "docs"), Looked(stores, None, "copy")),
        "dump": lambda: harness.dump(stores, "docs", tmp_path / "dump"),
        "dump into an archive": lambda: archived(stores, "docs"),
    }[what]
    with pytest.raises(StoreUnavailable, match="hides"):
        look()


def test_a_plan_says_that_it_cannot_be_read_now(
    qdrant_url: str, collection: str, stores: Stores
) -> None:
    configure(qdrant_url, collection, BUSY)
    upsert(qdrant_url, collection, range(POINTS // 2), "second")
    wait_until(lambda: hidden(qdrant_url, collection) > 0, "the points")
    with pytest.raises(StoreUnavailable, match="hides"):
        harness.clone(stores, "docs", "copy")
