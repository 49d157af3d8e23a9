"""Objects and payloads: data, rewritten in millions."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from clone_pipeline.core.references import OBJECT_KEYS, TABLE, Rewriter

from .examples import OTHER_ORGANIZATION, id_map

CLONED = Rewriter(id_map())

PAYLOAD: dict[str, Any] = {
    "document_id": "doc_1",
    "collection_id": "col_2",
    "title": "about col_1",
    "related": ["col_1", "tax_1"],
    "cluster_id": "cl_0",
    "metadata": {"collection_id": "col_1", "_taxonomy_tax_1_id": "col_1"},
    "edges": [{"type": "uses", "target_object_id": "obj_1", "target_collection_id": "col_1"}],
    "_internal": {
        "internal_id": "int_1",
        "namespace_id": "ns_src",
        "document_id": "doc_1",
        "collection_id": "col_2",
        "lineage": {
            "root_object_id": "obj_1",
            "root_bucket_id": "bkt_1",
            "source_type": "collection",
            "source_collection_id": "col_1",
            "path": "bkt_1/col_1/col_2",
            "chain": [
                {"collection_id": "col_1", "document_id": "doc_0"},
                {"collection_id": "col_2", "document_id": "doc_1"},
            ],
            "retriever_id": "ret_1",
        },
        "processing": {
            "source_url": "s3://files/ns_src/col_1/a.jpg",
            "taxonomy_lineage": ["tax_1", {"taxonomy_id": "tax_1", "collection_id": "col_1"}],
            "history": [{"operation": "taxonomy_join", "taxonomy_ids_applied": ["tax_1", "tax_x"]}],
        },
        "source_details": [
            {"type": "taxonomy", "source_id": "tax_1"},
            {"type": "cluster", "source_id": "clust_1"},
        ],
        "_taxonomy_tax_1_id": "col_1",
        "_taxonomy_tax_1_label": "tax_1",
        "_taxonomy_tax_1_b_id": "doc_7",
        "_acl": {"owner": "col_1"},
    },
}


def test_a_payload_points_into_the_clone_and_user_data_stays() -> None:
    before = copy.deepcopy(PAYLOAD)
    result, found = CLONED.rewrite_payload(PAYLOAD)
    counts = found.counts
    assert before == PAYLOAD
    internal = PAYLOAD["_internal"]
    expected = {
        **PAYLOAD,
        "collection_id": "col_N2",
        "edges": [{"type": "uses", "target_object_id": "obj_1", "target_collection_id": "col_N1"}],
        "_internal": {
            "internal_id": "int_1",
            "namespace_id": "ns_new",
            "document_id": "doc_1",
            "collection_id": "col_N2",
            "lineage": {
                **internal["lineage"],
                "root_bucket_id": "bkt_N1",
                "source_collection_id": "col_N1",
                "path": "bkt_N1/col_N1/col_N2",
                "chain": [
                    {"collection_id": "col_N1", "document_id": "doc_0"},
                    {"collection_id": "col_N2", "document_id": "doc_1"},
                ],
                "retriever_id": "ret_N1",
            },
            "processing": {
                "source_url": "s3://files/ns_src/col_1/a.jpg",
                "taxonomy_lineage": [
                    "tax_N1",
                    {"taxonomy_id": "tax_N1", "collection_id": "col_N1"},
                ],
                "history": [
                    {"operation": "taxonomy_join", "taxonomy_ids_applied": ["tax_N1", "tax_x"]}
                ],
            },
            "source_details": [
                {"type": "taxonomy", "source_id": "tax_N1"},
                {"type": "cluster", "source_id": "clust_1"},
            ],
            "_taxonomy_tax_N1_id": "col_N1",
            "_taxonomy_tax_N1_label": "tax_1",
            "_taxonomy_tax_N2_id": "doc_7",
            "_acl": {"owner": "col_1"},
        },
    }
    # As text, because the order of the fields is kept too.
    assert json.dumps(result) == json.dumps(expected)
    assert counts[("_internal.lineage.chain[].collection_id", "rewritten")] == 2
    assert counts[("_internal.source_details[].source_id", "kept")] == 1
    assert counts[("_internal.processing.history[].taxonomy_ids_applied[]", "kept")] == 1
    assert {path for path, _ in counts} <= {row.path for row in TABLE if row.resource == "payload"}
    assert CLONED.source_ids_left("payload", result) == []


def test_the_older_flat_layout_is_read_too() -> None:
    payload = {
        "collection_id": "col_1",
        "root_bucket_id": "bkt_1",
        "source_collection_id": "col_x",
        "lineage_path": "bkt_1/col_1",
        "lineage_chain": [{"collection_id": "col_1", "document_id": "doc_0"}],
        "source_details": [{"type": "collection", "source_id": "col_1"}, {"source_id": "col_1"}],
        "internal_metadata": {
            "processing_history": [{"taxonomy_ids_applied": ["tax_1"], "retriever_id": "ret_1"}]
        },
        "_taxonomy_tax_1_label": "Red",
    }
    result, _ = CLONED.rewrite_payload(payload)
    assert result == {
        "collection_id": "col_N1",
        "root_bucket_id": "bkt_N1",
        "source_collection_id": "col_x",
        "lineage_path": "bkt_N1/col_N1",
        "lineage_chain": [{"collection_id": "col_N1", "document_id": "doc_0"}],
        "source_details": [{"type": "collection", "source_id": "col_N1"}, {"source_id": "col_1"}],
        "internal_metadata": {
            "processing_history": [{"taxonomy_ids_applied": ["tax_N1"], "retriever_id": "ret_N1"}]
        },
        "_taxonomy_tax_N1_label": "Red",
    }


def test_a_payload_without_references_comes_back_as_it_is() -> None:
    for payload in ({}, {"title": "col_1"}, {"_internal": None}, {"edges": [], "_internal": {}}):
        result, found = CLONED.rewrite_payload(payload)
        assert result is payload
        assert not found.counts


def test_records_in_which_the_same_was_found_share_what_was_found() -> None:
    """So that millions of them can be counted as they come."""
    found = [CLONED.rewrite_payload({"collection_id": f"col_{n}", "n": n})[1] for n in (1, 2, 1, 9)]
    assert found[0] is found[1] is found[2]
    assert found[0].counts == {("collection_id", "rewritten"): 1}
    assert found[3].counts == {("collection_id", "kept"): 1}


@pytest.mark.parametrize("odd", [None, 7, "col_x", [], ["x", None, 3], {"x": 1}, True])
def test_unusual_payloads_are_carried_over(odd: Any) -> None:
    for key in PAYLOAD["_internal"]:
        if key not in ("namespace_id", "internal_id") and not key.startswith("_taxonomy_"):
            payload = {"_internal": {key: odd}}
            assert CLONED.rewrite_payload(payload)[0] == payload
    for key in PAYLOAD:
        assert CLONED.rewrite_payload({key: odd})[0] == {key: odd}


def test_a_payload_in_another_organization_belongs_to_it() -> None:
    rewriter = Rewriter(id_map(organization=OTHER_ORGANIZATION))
    result, _ = rewriter.rewrite_payload(PAYLOAD)
    assert result["_internal"]["internal_id"] == "int_2"
    assert rewriter.source_ids_left("payload", result) == []
    left = {"_internal": {**result["_internal"], "internal_id": "int_1"}}
    assert rewriter.source_ids_left("payload", left) == [("_internal.internal_id", "int_1")]


def test_what_is_left_of_the_source_is_named_with_its_place() -> None:
    left = CLONED.source_ids_left("payload", PAYLOAD)
    assert ("_internal.lineage.chain[1].collection_id", "col_2") in left
    assert ("_internal.lineage.path", "bkt_1") in left
    assert ("_internal.processing.taxonomy_lineage[1].taxonomy_id", "tax_1") in left
    assert ("_internal._taxonomy_tax_1_b_id", "tax_1_b") in left
    assert ("_internal._taxonomy_tax_1_id", "col_1") in left
    assert not [path for path, _ in left if path.startswith(("metadata", "related", "title"))]


def test_an_object_points_into_the_clone_and_its_files_stay() -> None:
    document = {
        "object_id": "obj_1",
        "bucket_id": "bkt_1",
        "key_prefix": "ns_src/bkt_1/",
        "source_details": [{"type": "collection", "source_id": "col_1"}],
        "edges": [{"target_object_id": "obj_2", "target_collection_id": "col_2"}],
        "blobs": [
            {
                "blob_id": "blob_1",
                "presigned_url": "https://signed",
                "properties": {"url": "s3://files/ns_src/a.jpg", "presigned_url": "https://signed"},
            },
            {"blob_id": "blob_2", "properties": {"url": "s3://files/b.jpg", "tag": "bkt_1"}},
        ],
        "related": "bkt_1",
    }
    before = copy.deepcopy(document)
    result, found = CLONED.rewrite_object(document)
    counts = found.counts
    assert document == before
    assert result == {
        **document,
        "bucket_id": "bkt_N1",
        "source_details": [{"type": "collection", "source_id": "col_N1"}],
        "edges": [{"target_object_id": "obj_2", "target_collection_id": "col_N2"}],
        "blobs": [
            {"blob_id": "blob_1", "properties": {"url": "s3://files/ns_src/a.jpg"}},
            document["blobs"][1],
        ],
    }
    assert counts[("blobs[].presigned_url", "cleared")] == 1
    assert CLONED.source_ids_left("object", result) == []
    assert CLONED.source_ids_left("object", document)[0] == ("bucket_id", "bkt_1")


def test_the_keys_of_objects_name_every_row_but_the_bucket() -> None:
    for row in TABLE:
        # With copies of files every object is looked at, because most have a location.
        stays = row.shape in ("verbatim", "location") or row.path == "bucket_id"
        if row.resource == "object" and not stays:
            assert OBJECT_KEYS & set(row.steps), row.path
