"""A collection with custom sharding is copied and proven key by key, then damaged, killed,
removed, restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import InvalidRequest, StoreUnavailable
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.restore_test import run_restore_test
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import transport
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline.core.verify.diff import Looked, contrast

from .. import harness
from ..faults.bundles import NAME
from ..faults.place import Place
from ..faults.rest import ask, collections
from .keyed import POINTS, SHAPE, assert_same, docs, put, remove, step, stores, url
from .shapes import add_key, made, path, remove_key
from .test_adopt import adopt, contents, remove_clones, report, request, stores_at

__all__ = ["docs", "stores", "url"]  # fixtures

pytestmark = pytest.mark.outside


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
    told = contrast(Looked(stores, None, "docs"), Looked(stores, None, "copy"))
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


# ---- killed, removed, restored ---------------------------------------------------------------


@pytest.mark.parametrize("nth", [9, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 17))])
@pytest.mark.long
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
