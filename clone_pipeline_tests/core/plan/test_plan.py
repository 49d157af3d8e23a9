"""Who may clone what to where, and what the plan of it says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.errors import (
    Conflict,
    DanglingReferences,
    Forbidden,
    InvalidRequest,
    NotFound,
    RequestError,
)
from clone_pipeline.core.ids import derive
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.plan.plan import Plan
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import COUNTS, prod

ACME, OTHER = "org_acme", "org_other"
ACME_INTERNAL, OTHER_INTERNAL = "int_acme", "int_other"
MEMBER, ADMIN = Principal(ACME, "member", "key_1"), Principal(ACME, "admin", "key_2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`prod` in two organizations, and `only` in the other one. Each has an internal id."""
    home = tmp_path_factory.mktemp("two")
    sources = (
        prod("ns_acme000001", "prod", ACME),
        prod("ns_other00001", "prod", OTHER),
        prod("ns_only000001", "only", OTHER),
    )
    with harness.holding(home, *sources) as stores:
        with stores.catalog.write() as connection:
            for one, internal in ((ACME, ACME_INTERNAL), (OTHER, OTHER_INTERNAL)):
                mine = schema.organizations.c.organization_id == one
                connection.execute(
                    update(schema.organizations).where(mine).values(internal_id=internal)
                )
    return home


@pytest.fixture
def stores(made: Path, tmp_path: Path) -> Iterator[Stores]:
    shutil.copytree(made, tmp_path / "home")
    with harness.open_stores(tmp_path / "home") as stores:
        yield stores


def plan(
    stores: Stores, source: str, name: str = "new", who: Principal = LOCAL_OPERATOR, **options: Any
) -> Plan:
    values = {"namespace_identifier": source, "namespace_name": name, **options}
    return dry_run.plan(stores, parse_request(values), who)


def live(stores: Stores, organization_id: str, name: str) -> Namespace | None:
    with stores.catalog.read() as connection:
        return catalog.find(connection, organization_id, name)


# ---- whose source, whose target --------------------------------------------------------------

# Who asks, with which options, for which source: whose source it is and whose clone it will be.
ALLOWED = [
    (LOCAL_OPERATOR, "ns_acme000001", {}, ACME, ACME),
    (LOCAL_OPERATOR, "only", {}, OTHER, OTHER),
    (LOCAL_OPERATOR, "only", {"organization_id": ACME}, OTHER, ACME),
    (LOCAL_OPERATOR, "prod", {"source_organization_id": OTHER}, OTHER, OTHER),
    (MEMBER, "prod", {}, ACME, ACME),
    (MEMBER, "prod", {"source_organization_id": ACME, "organization_id": ACME}, ACME, ACME),
    (Principal(ACME, "read", "key_3"), "prod", {}, ACME, ACME),
    (ADMIN, "prod", {}, ACME, ACME),
    (ADMIN, "only", {"source_organization_id": OTHER}, OTHER, ACME),
    (ADMIN, "only", {"source_organization_id": OTHER, "organization_id": OTHER}, OTHER, OTHER),
    (ADMIN, "prod", {"organization_id": OTHER}, ACME, OTHER),
]


@pytest.mark.parametrize(("who", "source", "options", "source_of", "target_of"), ALLOWED)
def test_what_is_allowed(
    who: Principal,
    source: str,
    options: dict[str, str],
    source_of: str,
    target_of: str,
    stores: Stores,
) -> None:
    made = plan(stores, source, who=who, **options)
    assert made.source.organization_id == source_of
    assert made.target_organization_id == target_of


REFUSED: list[tuple[Principal, str, dict[str, str], type[RequestError], str]] = [
    (LOCAL_OPERATOR, "prod", {}, InvalidRequest, "in several organizations"),
    (MEMBER, "only", {}, NotFound, "There is no namespace 'only' to clone"),
    (MEMBER, "only", {"source_organization_id": OTHER}, NotFound, "There is no namespace 'only'"),
    (MEMBER, "none", {"source_organization_id": OTHER}, NotFound, "There is no namespace 'none'"),
    (MEMBER, "prod", {"organization_id": OTHER}, NotFound, "There is no organization 'org_other'"),
    (ADMIN, "only", {}, NotFound, "There is no namespace 'only' to clone"),
    (ADMIN, "prod", {"organization_id": "org_x"}, NotFound, "There is no organization 'org_x'"),
]


@pytest.mark.parametrize(("who", "source", "options", "kind", "words"), REFUSED)
def test_what_is_refused(
    who: Principal,
    source: str,
    options: dict[str, str],
    kind: type[RequestError],
    words: str,
    stores: Stores,
) -> None:
    with pytest.raises(kind, match=words):
        plan(stores, source, who=who, **options)


def test_a_key_that_may_only_look_begins_nothing(stores: Stores) -> None:
    reader = Principal(ACME, "read", "key_3")
    with pytest.raises(Forbidden):
        harness.clone(stores, "prod", "new", principal=reader)
    assert live(stores, ACME, "new") is None


def test_a_name_is_free_although_another_organization_has_it_as_an_id(stores: Stores) -> None:
    # To say more would tell a member that the id exists.
    assert plan(stores, "prod", "ns_only000001", MEMBER).request.namespace_name == "ns_only000001"
    with pytest.raises(Conflict, match="is the id of a namespace"):
        plan(stores, "ns_acme000001", "ns_only000001")


@pytest.mark.parametrize(
    ("who", "options"),
    [
        (ADMIN, {"source_organization_id": OTHER}),
        (LOCAL_OPERATOR, {"organization_id": ACME}),
    ],
)
def test_across_organizations_every_point_changes_hands(
    who: Principal, options: dict[str, str], stores: Stores
) -> None:
    harness.clone(stores, "only", "new", principal=who, **options)
    clone = live(stores, ACME, "new")
    assert clone is not None
    with stores.vectors() as vectors:
        points = vectors.scroll(clone.qdrant_collection, 100).points
        untouched = vectors.scroll("ns_only000001_store", 100).points
    assert len(points) == COUNTS["points"]
    assert {point.payload["_internal"]["internal_id"] for point in points} == {ACME_INTERNAL}
    ids = {point.payload["_internal"]["namespace_id"] for point in points}
    assert ids == {clone.namespace_id}
    assert {one.payload["_internal"]["namespace_id"] for one in untouched} == {"ns_only000001"}


def test_the_same_words_from_another_organization_are_another_clone(stores: Stores) -> None:
    """What the other's admin left unfinished in this organization is not taken up by a member."""
    theirs = Principal(OTHER, "admin", "key_4")
    left = harness.clone(
        stores, "prod", "new", principal=theirs, organization_id=ACME, until="clone_buckets"
    )
    with stores.catalog.write() as connection:
        connection.execute(update(schema.clones).values(holder_host=None, heartbeat_at=None))
    mine = harness.clone(stores, "prod", "new", principal=MEMBER, organization_id=ACME)
    assert mine.clone_id != left.clone_id
    assert mine.source_namespace_id == "ns_acme000001"


# ---- what the plan says ----------------------------------------------------------------------


def test_new_ids_are_the_same_each_time_and_of_the_documented_form(stores: Stores) -> None:
    first, second = (plan(stores, "ns_acme000001") for _ in range(2))
    assert first.to_json() == second.to_json()
    for resource in first.resources:
        expected = derive(resource.kind, ACME, "new", resource.source_id)
        assert resource.target_id == expected


def test_a_derived_id_that_is_taken_gets_the_next_derivation(stores: Stores) -> None:
    taken = derive("collection", ACME, "new", "col_scenes0001")
    with stores.catalog.write() as connection:
        columns = schema.collections.c
        there = connection.execute(
            select(schema.namespaces.c.namespace_key).where(
                schema.namespaces.c.namespace_id == "ns_only000001"
            )
        ).scalar_one()
        mine = (columns.namespace_key == there, columns.collection_id == "col_lines00001")
        connection.execute(update(schema.collections).where(*mine).values(collection_id=taken))
    made = plan(stores, "ns_acme000001")
    new = made.id_map.ids["collection"]["col_scenes0001"]
    assert new == derive("collection", ACME, "new", "col_scenes0001", attempt=1)


def test_preserved_ids_are_the_source_s_but_for_its_own(stores: Stores) -> None:
    made = plan(stores, "ns_acme000001", preserve_resource_ids=True)
    changed = [one for one in made.resources if one.source_id != one.target_id]
    assert [one.kind for one in changed] == ["namespace"]


def test_nothing_dangles_with_everything_on_board_but_what_is_never_cloned(stores: Stores) -> None:
    with pytest.raises(DanglingReferences) as caught:
        plan(
            stores,
            "ns_acme000001",
            include_resources=harness.everything(),
            on_dangling="fail",
        )
    [reference] = caught.value.details["references"]
    assert reference["old"] == "clust_abcdefgh"
    assert "and 1 reference would not resolve in the clone (1 cleared)" in caught.value.message


def test_a_plan_counts_and_measures(stores: Stores) -> None:
    made = plan(stores, "ns_acme000001", include_resources=harness.everything())
    assert made.counts == COUNTS
    assert made.bytes["points"] > 0
    assert made.bytes["disk_needed"] >= made.bytes["points"]
    without = plan(stores, "ns_acme000001", include_resources={"collections": False})
    assert (without.counts["points"], without.bytes["points"]) == (0, 0)


def test_a_source_without_points_is_told(stores: Stores) -> None:
    with stores.vectors() as vectors:
        vectors.delete_points("ns_acme000001_store", range(5))
    assert any("holds no points" in one for one in plan(stores, "ns_acme000001").warnings)


def with_collections(stores: Stores, **fields: str) -> None:
    """Gives every collection of the catalog these fields; `{collection_id}` is its own."""
    table = schema.collections
    with stores.catalog.write() as connection:
        for row in connection.execute(select(table)).mappings().all():
            mine = [table.c[key.name] == row[key.name] for key in table.primary_key]
            given = {name: value.format(**row) for name, value in fields.items()}
            document = {**row["document"], **given}
            connection.execute(update(table).where(*mine).values(document=document))


@pytest.mark.parametrize("state", ["cold", "archived"])
def test_a_collection_without_its_vectors_is_told_or_refused(stores: Stores, state: str) -> None:
    with_collections(stores, lifecycle_state=state)
    told = [text for text in plan(stores, "ns_acme000001").warnings if "cold or archived" in text]
    assert len(told) == 1
    with pytest.raises(DanglingReferences, match="is cold or archived"):
        plan(stores, "ns_acme000001", on_dangling="fail")


def test_preserved_ids_share_the_s3_vector_index_and_the_plan_says_so(stores: Stores) -> None:
    with_collections(stores, s3_vector_index="col_{collection_id}")
    said = "the same S3 vector index"
    kept = plan(stores, "ns_acme000001", preserve_resource_ids=True)
    assert any(said in text for text in kept.warnings)
    assert not any(said in text for text in plan(stores, "ns_acme000001").warnings)
