"""Ids of the source at places that no table names: the proof tells of them, the plan before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import DanglingReferences
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores, VectorAddress

from ... import harness
from .making import NAME, SOURCE, Making
from .source import UUID, source

STAGE = "stages[].parameters"


@contextmanager
def loaded(home: Path, catalog_url: str, address: VectorAddress | None = None) -> Iterator[Stores]:
    """The source, with ids of its own where no row of the table is."""
    files = source(f"test_{uuid.uuid4().hex}")
    files["retrievers.jsonl"][0]["stages"][0]["parameters"] |= {
        "join_collection_id": "col_1",
        "headers": {"X-Namespace": "ns_prod000001"},
        "lookups": ["col_1", "col_2"],
    }
    files["buckets.jsonl"][0]["metadata"] = {"shown_in": "col_1"}
    files["objects.jsonl"][1] |= {"shown_in": "col_1", "note": "of col_1"}
    files["objects.jsonl"][2] |= {"by": {"ret_1": {"n": 1}}, "plain": True}
    for point in files["points.jsonl"]:
        point["payload"]["seen_in"] = ["col_1", "col_unknown"]
        point["payload"]["url"] = "s3://files/ns_prod000001/col_1/a.mp4"
        if point["id"] == UUID:
            point["payload"]["way"] = "bkt_a/col_1"
            point["payload"]["metadata"] = {"bkt_b": 2}
    more = {} if address is None else {"vector_address": address}
    with harness.open_stores(home, catalog_url, **more) as stores:
        harness.load(stores, files)
        yield stores


CONFIGURATION = {
    ("retriever", f"{STAGE}.lookups[]"): 2,
    ("retriever", f"{STAGE}.join_collection_id"): 1,
    ("retriever", f"{STAGE}.headers.X-Namespace"): 1,
    ("bucket", "metadata.shown_in"): 1,
}
RECORDS = {
    ("object", "shown_in"): 1,
    ("object", "by{}"): 1,
    ("payload", "seen_in[]"): 10,
    ("payload", "way"): 1,
    ("payload", "metadata{}"): 1,
}


def places(told: dict[str, Any]) -> dict[tuple[str, str], int]:
    found = {(one["resource"], one["path"]): one["count"] for one in told["places"]}
    assert told["count"] == sum(found.values())
    return found


def request(**options: Any) -> Any:
    include = harness.everything()
    return parse_request(
        {
            "namespace_identifier": SOURCE,
            "namespace_name": NAME,
            "include_resources": include,
            **options,
        }
    )


def test_the_proof_tells_where_ids_of_the_source_stand(
    catalog_url: str, address: VectorAddress, tmp_path: Path
) -> None:
    with loaded(tmp_path, catalog_url, address) as stores:
        proof = Making.until_copied(stores).prove()
    assert places(proof.details["unlisted"]) == CONFIGURATION | RECORDS
    assert proof.details["source_ids_left"] == 0
    assert proof.details["differences"] == 0
    assert proof.warnings == [
        "14 ids of the source stand in objects or payloads where no reference is known, and "
        "stayed: payload seen_in[] (10), object by{} (1), object shown_in (1); the run's page has "
        "more under `unlisted`."
    ]


@pytest.mark.parametrize("verify", ["sample", "counts"])
def test_a_proof_that_is_not_full_tells_of_the_configuration(
    verify: str, sqlite_url: str, tmp_path: Path
) -> None:
    with loaded(tmp_path, sqlite_url) as stores:
        proof = Making.until_copied(stores, verify=verify).prove()
    assert places(proof.details["unlisted"]) == CONFIGURATION
    assert proof.warnings == []


def test_the_plan_tells_of_the_configuration_and_can_refuse_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    with loaded(tmp_path, sqlite_url) as stores:
        plan = dry_run.plan(stores, request(), LOCAL_OPERATOR).to_json()
        assert places(plan["unlisted"]) == CONFIGURATION
        assert plan["reference_counts"]["unlisted"] == 5
        told = [one for one in plan["references"] if one["outcome"] == "unlisted"]
        assert {one["resource_id"] for one in told} == {"ret_1", "bkt_a"}
        assert told[-1]["path"] == "stages[0].parameters.lookups[1]"
        assert any(
            text.startswith("5 ids of the source stand where no reference is known")
            for text in plan["warnings"]
        )
        with pytest.raises(DanglingReferences) as refused:
            dry_run.plan(stores, request(on_dangling="fail"), LOCAL_OPERATOR)
    refusals = refused.value.details["references"]
    assert [one["path"] for one in refusals] == [
        "stages[0].parameters.join_collection_id",
        "stages[0].parameters.headers.X-Namespace",
        "stages[0].parameters.lookups[0]",
        "stages[0].parameters.lookups[1]",
    ]


def test_ids_that_are_preserved_are_the_clones_own(sqlite_url: str, tmp_path: Path) -> None:
    with loaded(tmp_path, sqlite_url) as stores:
        proof = Making.until_copied(stores, preserve_resource_ids=True).prove()
    assert places(proof.details["unlisted"]) == {("retriever", f"{STAGE}.headers.X-Namespace"): 1}


def test_a_namespace_without_such_ids_has_none(stores_on_each_qdrant: Stores) -> None:
    proof = Making.until_copied(stores_on_each_qdrant).prove()
    assert proof.details["unlisted"] == {"count": 0, "places": []}
    assert proof.warnings == []
