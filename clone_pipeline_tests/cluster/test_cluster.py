"""A Qdrant cluster of three nodes: copied, proven and refreshed, while a node dies or a shard is
moved."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from clone_pipeline.core.errors import InvalidRequest, StoreUnavailable
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.points import retry
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests import harness
from clone_pipeline_tests.adopting.shapes import PATIENTLY, SHAPES, Shape, fill, made, path
from clone_pipeline_tests.adopting.test_adopt import adopt, contents, report, request, stores_at
from clone_pipeline_tests.faults.place import wait_until
from clone_pipeline_tests.faults.rest import ask, newest_clone
from clone_pipeline_tests.qdrant_server import Qdrant

from .conftest import NODES, peers

pytestmark = pytest.mark.outside
LONG = pytest.mark.long

# More points than the others, so that each of four shards has some pages.
SHARDS, POINTS = 4, 200


def shape(replicas: int, *, keys: bool = False) -> Shape:
    found = SHAPES["custom shard keys" if keys else "unnamed"]
    config = found.config | {"replication_factor": replicas, "write_consistency_factor": 1}
    points = found.points if keys else POINTS
    return replace(found, config={"shard_number": SHARDS} | config, points=points)


@contextmanager
def adopted(stores: Stores, nodes: list[Qdrant], shape: Shape) -> Iterator[str]:
    """A collection of the cluster as the namespace `docs`."""
    with made(nodes[0].url, shape) as collection:
        adopt(stores, collection)
        yield collection


def at_call(
    monkeypatch: pytest.MonkeyPatch, method: str, number: int, action: Callable[[], None]
) -> None:
    """Does something before that call of a store's method, by whichever thread."""
    whole, lock, calls = getattr(ServerStore, method), threading.Lock(), iter(range(10**9))

    def counting(self: ServerStore, *arguments: Any, **options: Any) -> Any:
        with lock:
            if next(calls) == number:
                action()
        return whole(self, *arguments, **options)

    monkeypatch.setattr(ServerStore, method, counting)


def settled(nodes: list[Qdrant], collection: str) -> bool:
    """Each node knows each replica of each shard as active."""
    for node in nodes:
        try:
            known = ask(node.url, f"{path(collection)}/cluster")
        except URLError:  # it has just been started again
            return False
        shards = (*known["local_shards"], *known["remote_shards"])
        if known["shard_transfers"] or any(one["state"] != "Active" for one in shards):
            return False
    return True


def assert_same_at_each_node(nodes: list[Qdrant], source: str, copy: str, shape: Shape) -> None:
    wait_until(lambda: settled(nodes, source) and settled(nodes, copy), "all replicas")
    expected = contents(nodes[0].url, source, shape)
    assert len(expected) == shape.points * len(shape.filled)
    for node in nodes:
        assert contents(node.url, copy, shape) == expected


@pytest.mark.parametrize("keys", [False, pytest.param(True, marks=LONG)], ids=["by id", "keys"])
@pytest.mark.parametrize("replicas", [pytest.param(1, marks=LONG), 2])
def test_a_copy_is_proven_refreshed_and_rolled_back(
    nodes: list[Qdrant], stores: Stores, replicas: int, keys: bool
) -> None:
    kind = shape(replicas, keys=keys)
    with adopted(stores, nodes, kind) as docs:
        before = contents(nodes[0].url, docs, kind)
        first = harness.clone(stores, "docs", "copy", if_exists="replace", alias="live")
        assert report(stores, first).details["lane"] == "stream"
        assert_same_at_each_node(nodes, docs, first.qdrant_collection, kind)
        params = [
            ask(node.url, path(name))["config"]["params"]
            for node in nodes
            for name in (docs, first.qdrant_collection)
        ]
        assert params == params[:1] * len(params)
        fill(nodes[1].url, docs, kind, range(3), title="changed")
        second = harness.clone(stores, "docs", "copy", if_exists="replace")
        assert_same_at_each_node(nodes, docs, second.qdrant_collection, kind)
        assert verify_sealed(stores, None, "copy").unchanged
        assert verify_pair(stores, None, "docs", "copy").equal
        rollback(stores, None, "copy")
        assert contents(nodes[2].url, "live", kind) == before


def test_a_node_with_all_shards_does_not_tell_their_last_write(nodes: list[Qdrant]) -> None:
    """Of a replica that is not active it would be an old one."""
    with made(nodes[0].url, shape(NODES)) as docs, closing(ServerStore.open(nodes[0].url)) as store:
        assert (store.last_write(docs), store.segments(docs)) == (None, None)


@pytest.mark.parametrize("keys", [False, pytest.param(True, marks=LONG)], ids=["by id", "keys"])
def test_a_copy_on_a_single_server_of_what_has_two_replicas(
    nodes: list[Qdrant], cluster_url: str, tmp_path: Path, keys: bool
) -> None:
    kind = shape(2, keys=keys)
    kind = replace(kind, config=kind.config | {"write_consistency_factor": 2})
    with made(nodes[0].url, kind) as docs, stores_at(cluster_url, tmp_path) as stores:
        adopt(stores, docs, url=nodes[1].url)
        clone = harness.clone(stores, "docs", "copy")
        expected = contents(nodes[0].url, docs, kind)
        assert contents(cluster_url, clone.qdrant_collection, kind) == expected


def test_the_native_lane_is_refused_with_the_reason(nodes: list[Qdrant], stores: Stores) -> None:
    with adopted(stores, nodes, shape(2)):
        with pytest.raises(InvalidRequest, match="not of one moment"):
            dry_run.plan(stores, request("docs", "copy", lane="native"), LOCAL_OPERATOR)
        plan = dry_run.plan(stores, request("docs", "copy"), LOCAL_OPERATOR)
        assert (plan.lane, "not of one moment" in plan.lane_reason) == ("stream", True)


def test_all_nodes_are_known_as_one_store(nodes: list[Qdrant], cluster_url: str) -> None:
    """Else an environment at one node could be cloned to an environment at another."""
    found = []
    for url in (*(node.url for node in nodes), cluster_url):
        with closing(ServerStore.open(url)) as store:
            found.append(store.identity())
    assert found[:-1] == found[:1] * len(nodes)
    assert found[-1] != found[0]


# ---- a node that dies ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "method"),
    [
        pytest.param("copy_points", "read", marks=LONG),
        ("copy_points", "write"),
        ("verify_clone", "read"),
    ],
)
@pytest.mark.parametrize("replicas", [pytest.param(1, marks=LONG), 2])
def test_a_node_that_dies_and_comes_back(
    nodes: list[Qdrant],
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    method: str,
    replicas: int,
) -> None:
    """With two replicas the rest goes on; with one, the step waits until the node is back."""
    kind = shape(replicas)
    with adopted(stores, nodes, kind) as docs:
        dies = nodes[2]

        def die() -> None:
            dies.kill()
            if replicas == 1:
                threading.Timer(3, dies.start).start()

        clone = harness.clone(stores, "docs", "copy", until=step)
        at_call(monkeypatch, method, 7, die)
        try:
            for name in STEPS[STEPS.index(step) :]:
                run_step(stores, clone.clone_id, str(clone.run_id), name, process_goes_on=True)
        finally:
            if replicas == 2:
                dies.start()
        assert newest_clone(stores, "copy").status == "ready"
        assert_same_at_each_node(nodes, docs, clone.qdrant_collection, kind)
        assert verify_sealed(stores, None, "copy").unchanged


@pytest.mark.long
def test_a_node_that_stays_away_is_told_and_the_clone_resumed_when_it_is_back(
    nodes: list[Qdrant], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = shape(1)
    with adopted(stores, nodes, kind) as docs:
        with monkeypatch.context() as patched:
            patched.setattr(retry, "_LONGEST_SECONDS", 1.0)
            at_call(patched, "write", 7, nodes[2].kill)
            try:
                with pytest.raises(StoreUnavailable, match="Qdrant at"):
                    harness.clone(stores, "docs", "copy")
            finally:
                nodes[2].start()
        wait_until(lambda: settled(nodes, docs), "the node")
        clone = harness.clone(stores, "docs", "copy")
        assert_same_at_each_node(nodes, docs, clone.qdrant_collection, kind)


def _a_node_dies(nodes: list[Qdrant], docs: str, chance: random.Random) -> bool:
    time.sleep(chance.uniform(0.1, 0.6))
    nodes[2].kill()
    time.sleep(chance.uniform(0.1, 0.4))
    nodes[2].start()
    return True


def _a_shard_moves(nodes: list[Qdrant], docs: str, chance: random.Random) -> bool:
    """Whether one could be begun."""
    node = chance.choice(nodes)
    known = ask(node.url, f"{path(docs)}/cluster")
    if not known["local_shards"] or known["shard_transfers"]:
        time.sleep(0.02)
        return False
    there = chance.choice([one for one in peers(node) if one != known["peer_id"]])
    with suppress(HTTPError):  # another node knows already that the last one is not over
        move_shard(node, docs, there)
        return True
    return False


@pytest.mark.long
@pytest.mark.parametrize(("trouble", "times"), [(_a_node_dies, 8), (_a_shard_moves, 30)])
def test_whatever_is_asked_meanwhile_is_done_or_waited_for(
    nodes: list[Qdrant], trouble: Callable[[list[Qdrant], str, random.Random], bool], times: int
) -> None:
    """The node in between says it in many ways, some only in the middle of a large answer."""
    kind = replace(shape(1), points=3_000)
    chance, over = random.Random(20261201), threading.Event()
    with made(nodes[0].url, kind) as docs, closing(ServerStore.open(nodes[0].url)) as store:
        fill(nodes[0].url, docs, kind, range(kind.points), title="of a large answer " * 100)
        page = list(store.read(docs, kind.points).points)

        def all_are_there() -> None:
            assert len(list(store.read(docs, kind.points).points)) == kind.points

        asked: list[Callable[[], Any]] = [
            all_are_there,
            lambda: list(store.read(docs, 1000, chance.randrange(kind.points)).points),
            lambda: store.write(docs, page[:500]),
            lambda: store.upsert(docs, [point.plain() for point in page[:50]]),
            lambda: store.delete_points(docs, [2**60]),
            lambda: (store.scroll(docs, 200), store.retrieve(docs, range(300))),
            lambda: (store.count(docs), store.read_config(docs), store.split(docs, 4)),
        ]
        refused: list[Exception] = []

        def ask_again_and_again(question: Callable[[], Any]) -> None:
            while not over.is_set():
                try:
                    question()
                except Exception as error:
                    refused.append(error)
                    time.sleep(0.02)

        with ThreadPoolExecutor(len(asked)) as threads:
            running = [threads.submit(ask_again_and_again, one) for one in asked]
            try:
                done = 0
                while done < times:
                    done += trouble(nodes, docs, chance)
            finally:
                over.set()
        for one in running:
            one.result()
    # A move is not noticed by who asks at the right moments.
    assert refused or trouble is _a_shard_moves
    assert [error for error in refused if not isinstance(error, StoreUnavailable)] == []


# ---- a shard that moves ----------------------------------------------------------------------


def move_shard(node: Qdrant, name: str, there: int) -> None:
    """The first of the node's shards."""
    known = ask(node.url, f"{path(name)}/cluster")
    shard = known["local_shards"][0]["shard_id"]
    body = {"shard_id": shard, "from_peer_id": known["peer_id"], "to_peer_id": there}
    ask(node.url, f"{path(name)}/cluster?{PATIENTLY}", {"move_shard": body})


@pytest.mark.parametrize("of", ["source", "copy"])
def test_a_shard_that_is_moved_meanwhile(
    nodes: list[Qdrant], stores: Stores, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    kind = shape(1)
    with adopted(stores, nodes, kind) as docs:

        def move() -> None:
            name = docs if of == "source" else newest_clone(stores, "copy").qdrant_collection
            here = ask(nodes[0].url, "/cluster")["peer_id"]
            move_shard(nodes[0], name, next(peer for peer in peers(nodes[0]) if peer != here))

        at_call(monkeypatch, "write", 7, move)
        clone = harness.clone(stores, "docs", "copy")
        assert_same_at_each_node(nodes, docs, clone.qdrant_collection, kind)
        assert verify_sealed(stores, None, "copy").unchanged
