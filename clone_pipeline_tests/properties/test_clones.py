"""For any namespace, its clone is the source with its references rewritten, and nothing else."""

from __future__ import annotations

import itertools
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.ids import id_map_from_json
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores, VectorAddress

from .. import harness
from ..core.bundle.samples import exact, read_bundle
from .loaded import LONG_EXAMPLES, loaded, nothing
from .namespaces import Source, everything, namespaces
from .oracle import bundles_apart, clone_of, expected, plan_apart, telling_apart, unlisted_in
from .world import NAMESPACE_ID, NAMESPACE_NAME

# Namespaces with all that there is, cloned again and again: too long for `fast`.
pytestmark = pytest.mark.outside

_SWITCHES = ("collections", "retrievers", "taxonomies")
_EVERYTHING = dict.fromkeys(_SWITCHES, True)
SELECTIONS = [
    dict(zip(_SWITCHES, chosen, strict=True))
    for chosen in itertools.product((True, False), repeat=3)
]
# What a clone is asked for: everything, as most are; everything with its ids; or a part.
WAYS = st.one_of(
    st.just({"include_resources": _EVERYTHING}),
    st.just({"include_resources": _EVERYTHING, "preserve_resource_ids": True}),
    st.builds(lambda selection: {"include_resources": selection}, st.sampled_from(SELECTIONS)),
)


def check_plans(stores: Stores, source: Source) -> None:
    """Every selection, with new ids and with the old ones."""
    for selection, preserve in itertools.product(SELECTIONS, (False, True)):
        request = parse_request(
            {
                "namespace_identifier": NAMESPACE_NAME,
                "namespace_name": "copy",
                "include_resources": selection,
                "preserve_resource_ids": preserve,
            }
        )
        plan = dry_run.plan(stores, request, LOCAL_OPERATOR)
        nothing(plan_apart(source, plan, selection), selection)
        nothing(telling_apart(source, plan, selection), selection)


def check_clone(
    stores: Stores, home: Path, source: Source, *, source_in: Stores | None = None, **options: Any
) -> Clone:
    """`source_in` are the stores of the source, where they are others."""
    before = harness.dump(source_in or stores, NAMESPACE_ID, home / "before")
    clone = harness.clone(stores, NAMESPACE_NAME, "copy", **options)
    assert clone.status == "ready"
    dumped = read_bundle(harness.dump(stores, "copy", home / "copy"))
    ids = clone_of(id_map_from_json(clone.plan["ids"]))
    wanted = expected(source, ids, "copy", options["include_resources"])
    wanted["namespace.json"]["organization_id"] = clone.organization_id
    infrastructure = wanted["namespace.json"]["infrastructure"]
    assert clone.qdrant_collection != infrastructure["qdrant_collection"]
    infrastructure["qdrant_collection"] = clone.qdrant_collection
    if stores.vector_address.url is not None:
        # What a server tells of a collection is more than what was asked for.
        for files in (wanted, dumped):
            files["qdrant.json"] = sorted(files["qdrant.json"]["payload_schema"])
    nothing(bundles_apart(wanted, dumped), options)
    assert unlisted(stores, clone) == unlisted_in(dumped["points.jsonl"], ids)
    after = harness.dump(source_in or stores, NAMESPACE_ID, home / "after")
    assert exact(read_bundle(before)) == exact(read_bundle(after))
    return clone


def unlisted(stores: Stores, clone: Clone) -> int:
    """How many ids of the source in payloads the proof tells of."""
    with stores.catalog.read() as connection:
        report = ledger.read_reports(connection, clone.clone_id)["verify_clone"]
    places = report.details["unlisted"]["places"]
    return sum(one["count"] for one in places if one["resource"] == "payload")


def check(source: Source, way: dict[str, Any]) -> None:
    with loaded(source) as (stores, home):
        check_plans(stores, source)
        check_clone(stores, home, source, **way)


@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(source=namespaces(), way=WAYS)
def test_a_clone_is_its_source_with_its_references_rewritten(
    source: Source, way: dict[str, Any]
) -> None:
    check(source, way)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces(), way=WAYS)
def test_many_clones_are_their_sources_with_their_references_rewritten(
    source: Source, way: dict[str, Any]
) -> None:
    check(source, way)


@pytest.mark.parametrize("preserve", [False, True])
def test_a_namespace_of_all_that_there_is_comes_over_whole(
    catalog_url: str, tmp_path: Path, preserve: bool
) -> None:
    source = everything()
    with harness.holding(
        tmp_path, source.write(tmp_path / "source"), catalog_url=catalog_url
    ) as stores:
        options = {"include_resources": _EVERYTHING, "preserve_resource_ids": preserve}
        check_clone(stores, tmp_path, source, **options)


def test_on_a_server_a_namespace_of_all_that_there_is_comes_over_whole(
    qdrant_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    source = everything().stored_in(f"test_{uuid.uuid4().hex}")
    catalog = Catalog.open(sqlite_url)
    stores = Stores(catalog=catalog, vector_address=VectorAddress(tmp_path, qdrant_url))
    try:
        harness.load(stores, source.write(tmp_path / "source"))
        clone = check_clone(stores, tmp_path, source, include_resources=_EVERYTHING)
        with stores.vectors() as vectors:
            for name in (source.qdrant_collection, clone.qdrant_collection):
                vectors.delete(name)
    finally:
        catalog.close()


def test_of_a_namespace_of_all_that_there_is_every_selection_is_told() -> None:
    source = everything()
    with loaded(source) as (stores, _):
        check_plans(stores, source)


@pytest.mark.parametrize("selection", SELECTIONS[1:])
def test_records_keep_what_is_left_out(selection: dict[str, bool]) -> None:
    """Clones, and not only plans, of each selection: objects and points are in no plan."""
    source = everything()
    with loaded(source) as (stores, home):
        check_clone(stores, home, source, include_resources=selection)


def test_with_its_ids_preserved_only_the_namespace_has_another_one() -> None:
    with loaded(everything()) as (stores, home):
        options = {"include_resources": _EVERYTHING, "preserve_resource_ids": True}
        clone = harness.clone(stores, NAMESPACE_NAME, "backup", **options)
        ids = clone.plan["ids"]["ids"]
        assert all(old == new for kind in ids.values() for old, new in kind.items())
        old, new = clone.plan["ids"]["namespace"]
        assert (old, new != old) == (NAMESPACE_ID, True)
        texts = [
            harness.dump(stores, name, home / name) / "points.jsonl"
            for name in (NAMESPACE_NAME, "backup")
        ]
        source, backup = (path.read_text() for path in texts)
        for prefix in ("bkt", "col", "ret", "tax"):
            assert source.count(f"{prefix}_") == backup.count(f"{prefix}_")


def test_in_another_organization_nothing_of_the_first_is_left() -> None:
    source = everything()
    other = {"organization_id": "org_b", "namespace_id": "ns_b", "namespace_name": "of b"}
    with loaded(source) as (stores, home):
        harness.load(stores, {"namespace.json": other})
        options = {"include_resources": _EVERYTHING, "organization_id": "org_b"}
        clone = check_clone(stores, home, source, **options)
    assert clone.organization_id == "org_b"


def test_one_name_gives_one_set_of_ids_wherever_and_whenever() -> None:
    source = everything()
    made = []
    for _ in range(2):
        with loaded(source) as (stores, home):
            made.append(check_clone(stores, home, source, include_resources=_EVERYTHING))
    assert made[0].plan["ids"] == made[1].plan["ids"]


def test_a_refresh_keeps_all_ids() -> None:
    source = everything()
    with loaded(source) as (stores, home):
        first = check_clone(stores, home, source, include_resources=_EVERYTHING)
        for folder in ("before", "copy", "after"):
            shutil.rmtree(home / folder)
        again = check_clone(
            stores, home, source, include_resources=_EVERYTHING, if_exists="replace"
        )
        assert again.clone_id != first.clone_id
        assert again.plan["ids"] == first.plan["ids"]
        assert again.qdrant_collection != first.qdrant_collection
