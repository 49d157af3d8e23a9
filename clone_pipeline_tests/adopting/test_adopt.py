"""A Qdrant collection that nobody here made, as a namespace: cloned, proven, and never written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from clone_pipeline.core import adopt as adopting
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import organizations
from clone_pipeline.core.errors import Conflict, InvalidRequest, NameTaken, NotFound
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import plan_sweep, run_sweep
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.points import pages
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.restore_test import run_restore_test
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair

from .. import harness
from ..faults.proxy import recording
from ..faults.rest import ask, points
from ..faults.test_source_server import READS, kinds
from .shapes import POINTS, SHAPES, Shape, fill, keys_of, made, path

pytestmark = pytest.mark.outside

LISTS = {("GET", "/collections")}
EXISTS = {("GET", "/collections/{}/exists")}
KEYS = {("GET", "/collections/{}/cluster")}
KINDS = ("buckets", "objects", "collections", "retrievers", "taxonomies")


@contextmanager
def stores_at(url: str, home: Path) -> Iterator[Stores]:
    with harness.open_stores(home) as stores:
        stores = replace(stores, vector_address=replace(stores.vector_address, url=url))
        try:
            yield stores
        finally:
            remove_clones(stores)


def remove_clones(stores: Stores) -> None:
    """What was made here, and not what was adopted."""
    with stores.catalog.read() as connection:
        query = select(ledger.clones.c.qdrant_collection)
        names = list(connection.execute(query).scalars())
    with stores.vectors() as vectors:
        for name in names:
            vectors.delete(name)


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    with stores_at(qdrant_url, tmp_path) as stores:
        yield stores


def adopt(stores: Stores, collection: str, name: str = "docs", url: str | None = None) -> str:
    """Returns the namespace's id."""
    [found], _ = adopting.find_collections(stores, url, collection)
    return adopting.adopt(stores, None, found, name, url).namespace_id


def report(stores: Stores, clone: Clone, step: str = "copy_points") -> Any:
    with stores.catalog.read() as connection:
        return ledger.read_reports(connection, clone.clone_id)[step]


def contents(url: str, collection: str, shape: Shape = SHAPES["unnamed"]) -> dict[Any, Any]:
    """By pages that strict mode allows; by shard key and id, where there are shard keys."""
    name = quote(collection, safe="")
    if not shape.keys:
        return points(url, name, page=40)
    return {
        (key, id): point
        for key in keys_of(url, collection)
        for id, point in points(url, name, page=40, shard_key=key).items()
    }


@pytest.mark.parametrize("lane", ["stream", "native"])
def test_limits_that_are_off_bind_no_clone(qdrant_url: str, stores: Stores, lane: str) -> None:
    """A new shard on the server would have them."""
    off = {"enabled": False, "write_rate_limit": 1, "read_rate_limit": 1}
    with made(qdrant_url, SHAPES["unnamed"]) as collection:
        ask(qdrant_url, path(collection), {"strict_mode_config": off}, "PATCH")
        adopt(stores, collection)
        clone = harness.clone(stores, "docs", "copy", lane=lane)
        expected = contents(qdrant_url, collection)
        for _ in range(3):
            assert contents(qdrant_url, clone.qdrant_collection) == expected


@pytest.mark.parametrize("lane", ["stream", "native"])
def test_what_a_collection_is_told_after_it_is_made_its_clone_is_told_too(
    qdrant_url: str, stores: Stores, lane: str
) -> None:
    with made(qdrant_url, SHAPES["unnamed"]) as collection:
        later = {"params": {"read_fan_out_factor": 2, "read_fan_out_delay_ms": 50}}
        ask(qdrant_url, path(collection), later, "PATCH")
        adopt(stores, collection)
        clone = harness.clone(stores, "docs", "copy", lane=lane)
        told = [
            ask(qdrant_url, path(one))["config"]["params"]
            for one in (collection, clone.qdrant_collection)
        ]
        assert told[0] == told[1]
        assert told[0].items() >= later["params"].items()


@pytest.mark.parametrize(
    ("shape", "limits"),
    [
        ("unnamed", {"max_points_count": 3}),
        ("unnamed", {"max_collection_vector_size_bytes": 50}),
        ("on disk", {"max_payload_index_count": 0}),
        ("sparse only", {"sparse_config": {"words": {"max_length": 2}}}),
        ("multivector", {"multivector_config": {"": {"max_vectors": 1}}}),
    ],
    ids=lambda one: one if isinstance(one, str) else min(one),
)
def test_what_has_outgrown_its_limits_is_cloned_with_them(
    qdrant_url: str,
    stores: Stores,
    shape: str,
    limits: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for page in ("FIRST_PAGE", "LARGEST_PAGE"):  # a server looks once in many writes
        monkeypatch.setattr(pages, page, 1)
    with made(qdrant_url, SHAPES[shape]) as collection:
        strict = {"strict_mode_config": {"enabled": True, **limits}}
        ask(qdrant_url, path(collection), strict, "PATCH")
        adopt(stores, collection)
        clone = harness.clone(stores, "docs", "copy", lane="stream")
        told = [
            ask(qdrant_url, path(one))["config"]["strict_mode_config"]
            for one in (collection, clone.qdrant_collection)
        ]
        assert told[0] == told[1]
        expected = contents(qdrant_url, collection)
        assert contents(qdrant_url, clone.qdrant_collection) == expected


@pytest.mark.parametrize("what", SHAPES)
def test_any_collection_is_cloned_refreshed_and_rolled_back_without_a_write_to_it(
    request: pytest.FixtureRequest, tmp_path: Path, what: str
) -> None:
    shape = SHAPES[what]
    url: str = request.getfixturevalue("cluster_url" if shape.keys else "qdrant_url")
    alias = f"alias_{uuid.uuid4().hex[:8]}"
    with (
        made(url, shape) as collection,
        recording(url) as proxy,
        stores_at(url, tmp_path) as stores,
    ):
        adopt(stores, collection, url=proxy.url)
        before = contents(url, collection, shape)
        # By the one lane, and refreshed by the other one where that can be.
        first = harness.clone(
            stores, "docs", "copy", if_exists="replace", alias=alias, lane="stream"
        )
        points_made = shape.points * len(shape.filled)
        assert first.plan["counts"]["points"] == points_made == len(before)
        assert contents(url, first.qdrant_collection, shape) == before
        assert verify_pair(stores, None, "docs", "copy").equal
        config = ask(url, path(collection))
        copied = ask(url, path(first.qdrant_collection))
        assert copied["config"]["params"] == config["config"]["params"]
        assert copied["payload_schema"].keys() == config["payload_schema"].keys()
        assert set(keys_of(url, first.qdrant_collection)) == set(shape.keys)

        fill(url, collection, shape, range(3), title="changed")
        harness.clone(stores, "docs", "copy", if_exists="replace")
        after = contents(url, collection, shape)
        assert after != before
        assert contents(url, alias, shape) == after
        rollback(stores, None, "copy")
        assert contents(url, alias, shape) == before
        asked = {kind for kind in kinds(proxy.requests) if kind[0] != "GET"}
        assert asked <= READS | EXISTS | (KEYS if shape.keys else set())


def test_warnings_about_what_it_cannot_have_are_absent(qdrant_url: str, stores: Stores) -> None:
    with made(qdrant_url, SHAPES["like the platform's"]) as collection:
        adopt(stores, collection)
        made_plan = dry_run.plan(stores, request("docs", "copy"), LOCAL_OPERATOR)
        assert made_plan.warnings == []
        clone = harness.clone(stores, "docs", "copy", lane="stream")
        assert report(stores, clone).warnings == []
        assert report(stores, clone, "publish_clone").warnings == []
        # Nor about the copy's own copy, which is of the same payloads.
        again = harness.clone(stores, "copy", "again", lane="stream")
        assert report(stores, again, "publish_clone").warnings == []
        assert points(qdrant_url, again.qdrant_collection) == points(qdrant_url, collection)


def request(source: str, name: str, **options: Any) -> Any:
    return parse_request({"namespace_identifier": source, "namespace_name": name, **options})


@pytest.mark.parametrize("lane", ["native", "stream"])
def test_both_lanes_copy_an_adopted_collection(qdrant_url: str, stores: Stores, lane: str) -> None:
    """Nothing in the payloads is ours, so the native lane is open without preserved ids."""
    with made(qdrant_url, SHAPES["like the platform's"]) as collection:
        adopt(stores, collection)
        clone = harness.clone(stores, "docs", "copy", lane=lane)
        assert clone.plan["lane"] == lane
        assert points(qdrant_url, clone.qdrant_collection) == points(qdrant_url, collection)
        assert dry_run.plan(stores, request("docs", "other"), LOCAL_OPERATOR).lane == "native"


def test_a_backup_of_it_is_restored_when_it_is_lost(qdrant_url: str, stores: Stores) -> None:
    shape = SHAPES["named"]
    with made(qdrant_url, shape) as collection:
        namespace_id = adopt(stores, collection)
        before = points(qdrant_url, collection)
        harness.clone(stores, "docs", "backup", preserve_resource_ids=True, policy="nightly")
        tested = run_restore_test(
            stores, LOCAL_OPERATOR, "nightly", harness.new_run(), lambda _: None
        )
        assert tested.good
        assert tested.searches > 0
        adopting.release(stores, None, "docs")
    back = harness.clone(stores, "backup", "docs", preserve_resource_ids=True, restore=True)
    assert points(qdrant_url, back.qdrant_collection) == before
    with stores.catalog.read() as connection:
        assert catalog.resolve(connection, None, "docs").namespace_id == namespace_id


def test_it_follows_the_alias_that_it_was_adopted_by(qdrant_url: str, stores: Stores) -> None:
    shape = SHAPES["unnamed"]
    with made(qdrant_url, shape) as old, made(qdrant_url, shape) as new:
        fill(qdrant_url, new, shape, range(POINTS, POINTS + 5))
        alias = f"alias_of_{old}"
        point_at(qdrant_url, alias, old)
        adopt(stores, alias)
        assert harness.clone(stores, "docs", "copy").points == POINTS
        point_at(qdrant_url, alias, new)
        assert harness.clone(stores, "docs", "copy", if_exists="replace").points == POINTS + 5
        with pytest.raises(Conflict, match="that of the namespace 'docs' already"):
            adopt(stores, new, "again")


def point_at(url: str, alias: str, collection: str) -> None:
    action = {"create_alias": {"alias_name": alias, "collection_name": collection}}
    ask(url, "/collections/aliases", {"actions": [action]})


def test_nothing_deletes_or_replaces_it(qdrant_url: str, stores: Stores) -> None:
    with made(qdrant_url, SHAPES["unnamed"]) as collection:
        adopt(stores, collection)
        harness.clone(stores, "docs", "copy")
        for admitted in (Admitted(), Admitted(loaded=True, last_backup=True)):
            with pytest.raises(Conflict, match="which is never deleted here"):
                delete_clone(stores, None, "docs", admitted)
        for options in ({}, {"adopt": True}):
            with pytest.raises(Conflict, match="an adopted Qdrant collection, which nothing"):
                harness.clone(stores, "copy", "docs", if_exists="replace", **options)
        with pytest.raises(Conflict, match="no previous generation"):
            rollback(stores, None, "docs")
        plan = plan_sweep(stores, None, {})
        run_sweep(stores, None, {}, plan)
        assert len(points(qdrant_url, collection)) == POINTS


def test_released_it_is_forgotten_and_adopted_again_it_is_the_same(
    qdrant_url: str, stores: Stores
) -> None:
    with made(qdrant_url, SHAPES["unnamed"]) as collection:
        first = adopt(stores, collection)
        clone = harness.clone(stores, "docs", "copy")
        adopting.release(stores, None, "docs")
        with stores.catalog.read() as connection, pytest.raises(NotFound):
            catalog.resolve(connection, None, "docs")
        assert len(points(qdrant_url, collection)) == POINTS
        assert adopt(stores, collection) == first
        again = harness.clone(stores, "docs", "copy", if_exists="replace")
        assert again.source_namespace_id == clone.source_namespace_id
        with pytest.raises(Conflict, match="was not adopted"):
            adopting.release(stores, None, "copy")


def test_several_are_found_by_a_glob_without_those_that_are_namespaces(
    qdrant_url: str, stores: Stores
) -> None:
    with (
        made(qdrant_url, SHAPES["unnamed"]) as one,
        made(qdrant_url, SHAPES["empty"]) as two,
        made(qdrant_url, SHAPES["named"]) as three,
    ):
        adopt(stores, three)
        found, taken = adopting.find_collections(stores, None, "docs_*")
        # Other tests have theirs on the same server.
        assert {one, two} <= {each.name for each in found}
        assert three in taken
        assert {each.name: each.points for each in found}[one] == POINTS


def test_what_cannot_be_adopted_is_told_in_a_sentence(
    qdrant_url: str, stores: Stores, tmp_path: Path
) -> None:
    with made(qdrant_url, SHAPES["unnamed"]) as collection:
        with pytest.raises(NotFound, match="has no collection or alias 'nowhere'"):
            adopt(stores, "nowhere")
        with pytest.raises(NotFound, match=r"is called like 'nowhere\*'"):
            adopt(stores, "nowhere*")
        for name, wrong in {"x" * 65: "1 to 64", " a": "begin or end", "a\0": "NUL"}.items():
            with pytest.raises(InvalidRequest, match=wrong):
                adopt(stores, collection, name)
        adopt(stores, collection)
        with made(qdrant_url, SHAPES["empty"]) as other, pytest.raises(NameTaken):
            adopt(stores, other)
        with (
            harness.open_stores(tmp_path / "embedded") as embedded,
            pytest.raises(InvalidRequest, match="QDRANT_URL names none"),
        ):
            adopt(embedded, collection)


def test_into_an_empty_catalog_it_brings_an_organization_and_among_several_asks_for_one(
    qdrant_url: str, stores: Stores
) -> None:
    with made(qdrant_url, SHAPES["empty"]) as one, made(qdrant_url, SHAPES["empty"]) as two:
        adopt(stores, one)
        with stores.catalog.write() as connection:
            known = list(connection.execute(select(organizations.c.organization_id)).scalars())
            assert known == [adopting.FIRST_ORGANIZATION]
            now = stores.clock()
            connection.execute(
                organizations.insert().values(
                    organization_id="org_two", internal_id="org_two", created_at=now
                )
            )
        with pytest.raises(InvalidRequest, match="several organizations"):
            adopt(stores, two, "two")
        [found], _ = adopting.find_collections(stores, None, two)
        assert adopting.adopt(stores, "org_two", found, "two").organization_id == "org_two"
        with pytest.raises(NotFound, match="no organization 'org_three'"):
            adopting.adopt(stores, "org_three", found, "three")
