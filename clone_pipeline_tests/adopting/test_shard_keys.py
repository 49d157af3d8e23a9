"""A collection with custom sharding: its points are known by shard key and id, wherever they are
copied, proven, caught up with, archived and searched for differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core import bundle
from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive.place import ANYTHING
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import (
    BundleError,
    CloneError,
    InvalidRequest,
    NoShardKey,
    StoreUnavailable,
)
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.points import catchup, pages
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.restore_test import run_restore_test
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices, transport
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline.core.verify.diff import contrast

from .. import harness
from ..core.bundle.archive.making import InMemory
from ..faults.bundles import NAME
from ..faults.place import Place
from ..faults.rest import ask, collections
from .shapes import SHAPES, add_key, keys_of, made, path, remove_key
from .test_adopt import adopt, contents, remove_clones, report, request, stores_at

pytestmark = pytest.mark.outside

SHAPE = SHAPES["custom shard keys"]
POINTS = SHAPE.points * len(SHAPE.filled)
Key = int | str


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture
def stores(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Every key has several slices, of several pages."""
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 25)
    monkeypatch.setattr(pages, "FIRST_PAGE", 10)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    with stores_at(url, tmp_path) as stores:
        yield stores


@pytest.fixture
def docs(url: str, stores: Stores) -> Iterator[str]:
    """The Qdrant collection of the adopted namespace `docs`."""
    with made(url, SHAPE) as collection:
        adopt(stores, collection)
        yield collection


def put(url: str, collection: str, key: Key, *ids: int, **payload: Any) -> None:
    points = [{"id": id, "vector": [0.5] * 6, "payload": payload} for id in ids]
    body = {"points": points, "shard_key": key}
    ask(url, f"{path(collection)}/points?wait=true", body, "PUT")


def remove(url: str, collection: str, key: Key, *ids: int) -> None:
    body = {"points": ids, "shard_key": key}
    ask(url, f"{path(collection)}/points/delete?wait=true", body)


def step(stores: Stores, clone: Clone, name: str) -> StepReport:
    return run_step(stores, clone.clone_id, str(clone.run_id), name, process_goes_on=True)


def assert_same(stores: Stores, url: str, docs: str, clone: Clone) -> None:
    """Independent of the product, then the product's own word."""
    assert contents(url, clone.qdrant_collection, SHAPE) == contents(url, docs, SHAPE)
    assert keys_of(url, clone.qdrant_collection) != []
    assert set(keys_of(url, clone.qdrant_collection)) == set(keys_of(url, docs))
    assert verify_sealed(stores, None, "copy").unchanged
    assert verify_pair(stores, None, "docs", "copy").equal


@pytest.mark.parametrize(
    ("verify", "grpc"), [("full", True), ("sample", True), ("counts", True), ("full", False)]
)
def test_every_proof_over_every_transport(
    url: str,
    stores: Stores,
    docs: str,
    verify: str,
    grpc: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not grpc:
        monkeypatch.setattr(transport, "_ENCODED_SINCE", (99,))
    clone = harness.clone(stores, "docs", "copy", verify=verify, lane="stream")
    assert report(stores, clone).details["transport"].startswith("gRPC" if grpc else "REST")
    assert clone.plan["slices"] > len(SHAPE.keys)
    compared = {"full": POINTS, "sample": 100, "counts": 0}[verify]
    assert report(stores, clone, "verify_clone").details["points_compared"] == compared
    assert_same(stores, url, docs, clone)


def test_each_key_has_the_shards_that_it_has_in_the_source(
    url: str, stores: Stores, docs: str
) -> None:
    add_key(url, docs, "large", shards=3)
    put(url, docs, "large", *range(100))
    clone = harness.clone(stores, "docs", "copy")
    entries = clone.plan["qdrant_config"]["shard_keys"]
    shards = {entry["shard_key"]: entry["shards_number"] for entry in entries}
    assert shards == {"large": 3, **dict.fromkeys(SHAPE.keys, 2)}
    with stores.vectors() as vectors:
        there = vectors.read_config(clone.qdrant_collection)
    assert there["shard_keys"] == entries
    assert_same(stores, url, docs, clone)


def test_the_native_lane_is_refused_with_the_reason(stores: Stores, docs: str) -> None:
    with pytest.raises(InvalidRequest, match="loses the points of shard keys"):
        dry_run.plan(stores, request("docs", "copy", lane="native"), LOCAL_OPERATOR)
    assert dry_run.plan(stores, request("docs", "copy"), LOCAL_OPERATOR).lane == "stream"


@pytest.mark.parametrize("where", ["a server that is no cluster", "embedded"])
def test_a_qdrant_without_shard_keys_gets_none_of_the_points(
    cluster_url: str, qdrant_url: str, tmp_path: Path, where: str
) -> None:
    stores_there = (
        harness.open_stores(tmp_path) if where == "embedded" else stores_at(qdrant_url, tmp_path)
    )
    with stores_there as stores, made(cluster_url, SHAPE) as collection:
        adopt(stores, collection, url=cluster_url)
        before = collections(qdrant_url)
        with pytest.raises(InvalidRequest, match=r"cluster.enabled: true"):
            harness.clone(stores, "docs", "copy")
        assert collections(qdrant_url) == before
        only = {"collections": False, "retrievers": True, "taxonomies": True}
        clone = harness.clone(stores, "docs", "copy", include_resources=only)
        assert (clone.status, clone.points) == ("ready", 0)


def test_a_key_that_is_still_being_filled_is_waited_for(
    url: str, stores: Stores, docs: str
) -> None:
    """As when a tenant is moved out of a key that it shares."""
    body = {"shard_key": "new tenant", "initial_state": "Partial"}
    ask(url, f"{path(docs)}/shards", body, "PUT")
    with pytest.raises(StoreUnavailable, match=r"the shard key 'new tenant' of docs_.* try again"):
        dry_run.plan(stores, request("docs", "copy"), LOCAL_OPERATOR)
    remove_key(url, docs, "new tenant")
    assert_same(stores, url, docs, harness.clone(stores, "docs", "copy"))


# ---- damages ---------------------------------------------------------------------------------

Damage = Callable[[str, str], None]
DAMAGES: dict[str, tuple[Damage, set[tuple[str, str]]]] = {
    "a point removed": (
        lambda url, name: remove(url, name, "tenant ü", 5),
        {("5 in shard key 'tenant ü'", "is missing")},
    ),
    "a point removed from an integer key": (
        lambda url, name: remove(url, name, 7, 5),
        {("5 in shard key 7", "is missing")},
    ),
    "a point more": (
        lambda url, name: put(url, name, "empty", 5),
        {("5 in shard key 'empty'", "is extra")},
    ),
    "a point moved": (
        lambda url, name: (remove(url, name, "7", 3), put(url, name, "empty", 3))[0],
        {("3 in shard key '7'", "is missing"), ("3 in shard key 'empty'", "is extra")},
    ),
    "a payload changed": (
        lambda url, name: ask(
            url,
            f"{path(name)}/points/payload?wait=true",
            {"points": [5], "payload": {"title": "x"}, "shard_key": "7"},
        ),
        {("5 in shard key '7'", "payload.title")},
    ),
}


def test_every_damage_in_one_key_is_found_and_named_and_put_right(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="verify_clone")
    named = set[tuple[str, str]]()
    for do, names in DAMAGES.values():
        do(url, clone.qdrant_collection)
        named |= names
    proof = step(stores, clone, "verify_clone")
    found = {(one["id"], one["field"]) for one in proof.details["differences_first"]}
    assert found == named
    assert proof.details["repaired"] == len(named)
    step(stores, clone, "publish_clone")
    assert_same(stores, url, docs, clone)


@pytest.mark.parametrize("what", ["a point removed", "a point moved", "a payload changed"])
def test_a_damage_to_one_key_of_a_published_clone_is_found_and_named(
    url: str, stores: Stores, docs: str, what: str
) -> None:
    do, named = DAMAGES[what]
    clone = harness.clone(stores, "docs", "copy")
    do(url, clone.qdrant_collection)
    sealed = verify_sealed(stores, None, "copy")
    assert sealed.changed_parts == ["points"]
    keys = {name.partition(" in ")[2] for name, _ in named}
    (found,) = sealed.differences.first
    assert all(key in found.field for key in keys)
    pair = verify_pair(stores, None, "docs", "copy")
    assert {(one.id, one.field) for one in pair.differences.first} == named
    told = contrast(stores, None, "docs", "copy")
    assert {one.name for one in told.listed} == {name for name, _ in named}


def test_a_key_that_is_gone_is_made_again_with_its_points(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="verify_clone")
    remove_key(url, clone.qdrant_collection, "7")
    add_key(url, clone.qdrant_collection, "nobody's")
    put(url, clone.qdrant_collection, "nobody's", 1)
    proof = step(stores, clone, "verify_clone")
    assert proof.details["differences_first"][0]["field"] == "shard_keys differs"
    assert proof.details["repaired"] == 1 + SHAPE.points
    step(stores, clone, "publish_clone")
    assert_same(stores, url, docs, clone)


@pytest.mark.parametrize("what", ["gone", "added"])
def test_a_published_clone_with_other_keys_is_not_what_was_published(
    url: str, stores: Stores, docs: str, what: str
) -> None:
    clone = harness.clone(stores, "docs", "copy")
    if what == "gone":
        remove_key(url, clone.qdrant_collection, "tenant ü")
    else:
        add_key(url, clone.qdrant_collection, "another")
    changed = verify_sealed(stores, None, "copy").changed_parts
    assert changed == ["qdrant config", "points"][: 2 if what == "gone" else 1]
    assert verify_pair(stores, None, "docs", "copy").equal is False


# ---- a source that moves ---------------------------------------------------------------------


def after_the_copy(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Before it is asked whether the source was written to."""
    inner, asked = catchup.mark, list[str]()

    def noted(store: Any, collection: str) -> str:
        if not asked:
            asked.append(collection)
            do()
        return inner(store, collection)

    monkeypatch.setattr(catchup, "mark", noted)


def test_keys_that_come_and_go_while_it_is_copied_come_and_go_in_the_clone(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        remove_key(url, docs, 7)
        add_key(url, docs, "later", shards=1)
        put(url, docs, "later", 1, 2, 1000, n=1)
        add_key(url, docs, "later and empty")
        put(url, docs, "empty", 1)

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    consistency = report(stores, clone).shown["consistency"]
    assert consistency["points_changed"] == [4]
    assert consistency["outcome"] == "nothing differs any more after 1 catch-up pass"
    proof = report(stores, clone, "verify_clone").details
    assert (proof["differences"], proof["drift"]["state"]) == (0, "quiet")
    assert clone.points == POINTS - SHAPE.points + 4
    assert_same(stores, url, docs, clone)


def test_a_key_in_the_place_of_another_one_is_noticed(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qdrant gives it the number of the other one's shard, and the same number of writes."""
    add_key(url, docs, "first", shards=1)
    put(url, docs, "first", 1)
    marks = [mark_of(stores, docs)]

    def change() -> None:
        remove_key(url, docs, "first")
        add_key(url, docs, "second", shards=1)
        put(url, docs, "second", 1, n=2)
        marks.append(mark_of(stores, docs))

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    assert report(stores, clone).shown["consistency"]["points_changed"] == [1]
    assert_same(stores, url, docs, clone)
    before, after = marks
    assert [known[:2] for known in before] == [known[:2] for known in after]
    assert before != after


def mark_of(stores: Stores, collection: str) -> list[Any]:
    """Number, last write and key of each shard."""
    with stores.vectors() as vectors:
        told = vectors.last_write(collection)
    assert told is not None
    known: list[Any] = json.loads(told)
    return known


def test_a_server_that_tells_no_last_write_tells_its_keys(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with several nodes; and there are as many points as there were."""
    monkeypatch.setattr(ServerStore, "last_write", lambda *_: None)

    def change() -> None:
        remove(url, docs, 7, 1)
        add_key(url, docs, "later")
        put(url, docs, "later", 1)

    after_the_copy(monkeypatch, change)
    clone = harness.clone(stores, "docs", "copy")
    assert report(stores, clone).shown["consistency"]["points_changed"] == [2]
    assert_same(stores, url, docs, clone)


def test_keys_that_come_and_go_before_the_copy_are_followed(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="copy_points")
    remove_key(url, docs, "tenant ü")
    add_key(url, docs, "later")
    put(url, docs, "later", *range(30))
    for name in ("copy_points", "clone_retrievers", "clone_taxonomies", "verify_clone"):
        step(stores, clone, name)
    step(stores, clone, "publish_clone")
    assert_same(stores, url, docs, clone)


def test_a_key_that_goes_while_it_is_read_ends_the_copy_and_the_resumed_one_goes_on(
    url: str, stores: Stores, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CONCURRENT", 1)
    inner, read = ServerStore.read, list[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> Any:
        read.append(collection)
        if len(read) == 18:
            remove_key(url, docs, "tenant ü")
        return inner(self, collection, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(ServerStore, "read", noted)
        with pytest.raises(NoShardKey, match=r"'tenant ü' of docs_.* was taken away .* resume"):
            harness.clone(stores, "docs", "copy")
    clone = harness.clone(stores, "docs", "copy")
    assert_same(stores, url, docs, clone)


def test_what_comes_after_the_copy_is_drift_and_a_refresh_has_it(
    url: str, stores: Stores, docs: str
) -> None:
    clone = harness.clone(stores, "docs", "copy", until="verify_clone")
    add_key(url, docs, "later")
    put(url, docs, "later", 1, 2)
    drift = step(stores, clone, "verify_clone").details["drift"]
    assert drift == {"state": "moving", "at_least": {"points": 2, "qdrant_config": 1}}
    step(stores, clone, "publish_clone")
    pair = verify_pair(stores, None, "docs", "copy")
    assert (pair.unchanged, pair.equal) == (True, False)
    clone = harness.clone(stores, "docs", "copy", if_exists="replace")
    assert_same(stores, url, docs, clone)


# ---- killed, removed, restored ---------------------------------------------------------------


@pytest.mark.parametrize("nth", [9, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 17))])
def test_a_killed_copy_is_gone_on_with(url: str, tmp_path: Path, nth: int) -> None:
    place = Place(tmp_path, {"QDRANT_URL": url})
    place.home.mkdir()
    faults = {"page": 10, "per_slice": 25}
    with made(url, SHAPE) as collection, place.stores() as stores:
        try:
            adopt(stores, collection, NAME)
            kill = ["copy_points:upsert:after", nth]
            assert place.start_child("copy", {**faults, "kill": kill}).end().code < 0
            ended = place.start_child("copy", faults).end()
            assert ended.code == 0, ended
            with stores.catalog.read() as connection:
                live = catalog.resolve(connection, None, "copy")
            before = contents(url, collection, SHAPE)
            assert contents(url, live.qdrant_collection, SHAPE) == before
            assert verify_pair(stores, None, NAME, "copy").equal
        finally:
            remove_clones(stores)


def test_a_clone_of_it_is_deleted(url: str, stores: Stores, docs: str) -> None:
    before = contents(url, docs, SHAPE)
    clone = harness.clone(stores, "docs", "copy")
    delete_clone(stores, None, "copy")
    assert clone.qdrant_collection not in collections(url)
    assert contents(url, docs, SHAPE) == before


def test_a_backup_of_it_is_tested_and_restored(url: str, stores: Stores, docs: str) -> None:
    harness.clone(stores, "docs", "backup", preserve_resource_ids=True, policy="nightly")
    tested = run_restore_test(stores, LOCAL_OPERATOR, "nightly", harness.new_run(), lambda _: None)
    assert (tested.good, tested.points) == (True, POINTS)
    back = harness.clone(stores, "backup", "back", preserve_resource_ids=True, restore=True)
    assert contents(url, back.qdrant_collection, SHAPE) == contents(url, docs, SHAPE)


def test_strict_mode_that_forbids_an_exact_count_counts_key_by_key(
    url: str, stores: Stores, docs: str
) -> None:
    strict = {"enabled": True, "search_allow_exact": False, "max_query_limit": 40}
    ask(url, path(docs), {"strict_mode_config": strict}, "PATCH")
    with stores.vectors() as vectors:
        assert vectors.count(docs) == POINTS
        assert vectors.within("7").count(docs) == SHAPE.points
    assert_same(stores, url, docs, harness.clone(stores, "docs", "copy"))


# ---- bundles and archives --------------------------------------------------------------------


@contextmanager
def emptied(url: str, home: Path) -> Iterator[Stores]:
    """Another deployment on the same server."""
    home.mkdir()
    with stores_at(url, home) as stores:
        try:
            yield stores
        finally:
            harness.remove_collections(stores)


def loaded(stores: Stores, name: str = "copy") -> str:
    with stores.catalog.read() as connection:
        return catalog.resolve(connection, None, name).qdrant_collection


@pytest.mark.parametrize("of", ["adopted", "clone"])
def test_a_bundle_has_the_keys(
    url: str, stores: Stores, docs: str, tmp_path: Path, of: str
) -> None:
    clone = harness.clone(stores, "docs", "copy")
    folder = harness.dump(stores, "docs" if of == "adopted" else "copy", tmp_path / "bundle")
    before = contents(url, docs, SHAPE)
    with emptied(url, tmp_path / "other") as other:
        if of == "adopted":
            target = bundle.Target("copy", None, new_ids=True)
        else:
            delete_clone(stores, None, "copy")
            target = bundle.Target(None, None, new_ids=False)
        with other.vectors() as vectors:
            done = bundle.load(folder, other.catalog, vectors, other.clock(), target=target)
        assert done.counts["points"] == POINTS
        there = loaded(other)
        assert contents(url, there, SHAPE) == before
        assert set(keys_of(url, there)) == set(SHAPE.keys)
        again = harness.dump(other, "copy", tmp_path / "again")
        for file in ("points.jsonl", "qdrant.json"):
            assert (again / file).read_bytes() == (folder / file).read_bytes()
    assert clone.points == POINTS


def test_a_key_that_comes_while_it_is_dumped_is_in_the_bundle(
    url: str, stores: Stores, docs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, read = ServerStore.scroll, list[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> Any:
        read.append(collection)
        if len(read) == 2:
            add_key(url, docs, "later")
            put(url, docs, "later", 1)
        return inner(self, collection, *rest)

    monkeypatch.setattr(ServerStore, "scroll", noted)
    folder = harness.dump(stores, "docs", tmp_path / "bundle")
    lines = (folder / "points.jsonl").read_text().splitlines()
    assert sum('"shard_key":"later"' in line for line in lines) == 1
    assert '"later"' in (folder / "qdrant.json").read_text()


class Dying(InMemory):
    left = 10**9

    def write(self, name: str, data: bytes, over: str = ANYTHING) -> str:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().write(name, data, over)


def dump(stores: Stores, place: InMemory) -> Any:
    with stores.catalog.read() as connection:
        key = catalog.resolve(connection, None, "docs").key
    with stores.vectors() as vectors:
        return archive.dump_archive(stores, vectors, key, place, Meter(stores.clock))


def load(stores: Stores, place: InMemory) -> Any:
    target = bundle.Target("copy", None, new_ids=True)
    with stores.vectors() as vectors:
        return archive.load_archive(stores, vectors, place, target=target)


def test_an_archive_has_the_keys_and_is_gone_on_with(
    url: str, stores: Stores, docs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Dying()
    place.left = 9
    with pytest.raises(KeyboardInterrupt):
        dump(stores, place)
    place.left = 10**9
    dumped = dump(stores, place)
    assert dumped.counts["points"] == POINTS
    assert 0 < dumped.reused < POINTS
    assert dumped.consistent is True
    with emptied(url, tmp_path / "other") as other:
        inner, written = ServerStore.upsert, list[str]()

        def dies(self: ServerStore, collection: str, *rest: Any) -> None:
            written.append(collection)
            if len(written) == 3:
                raise KeyboardInterrupt
            inner(self, collection, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(ServerStore, "upsert", dies)
            patched.setattr("clone_pipeline.core.bundle.files.BATCH_LINES", 40)
            patched.setattr("clone_pipeline.core.bundle.claim.Reservation.give_up", lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                load(other, place)
        with other.catalog.write() as connection:
            connection.exec_driver_sql("UPDATE loads SET holder_pid = 0")
        done = load(other, place)
        assert done.counts["points"] == POINTS
        assert contents(url, loaded(other), SHAPE) == contents(url, docs, SHAPE)


@pytest.mark.parametrize("how", ["folder", "archive"])
def test_what_keeps_no_keys_is_told_so_before_anything_is_written(
    stores: Stores, docs: str, tmp_path: Path, how: str
) -> None:
    place, folder = InMemory(), tmp_path / "bundle"
    dump(stores, place) if how == "archive" else harness.dump(stores, "docs", folder)
    (tmp_path / "embedded").mkdir()
    with harness.open_stores(tmp_path / "embedded") as embedded:
        with pytest.raises(BundleError, match=r"qdrant.json: has shard keys, which only a Qdrant"):
            load(embedded, place) if how == "archive" else harness.load(embedded, folder)
        with embedded.catalog.read() as connection, pytest.raises(CloneError):
            catalog.resolve(connection, None, "docs")
