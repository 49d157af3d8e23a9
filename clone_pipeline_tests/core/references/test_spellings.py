"""Conditions, lists and texts that spell a reference in some other way than most."""

from __future__ import annotations

from typing import Any

import pytest

from clone_pipeline.core.references import Rewriter

from .examples import id_map
from .test_stages import outcomes, parameters

CLONED = Rewriter(id_map())

CONDITIONS = (
    {"key": "collection_id", "operator": "eq", "value": "col_1"},
    {"must": [{"key": "collection_id", "value": "col_1"}]},
    {"must": {"key": "collection_id", "match": {"operator": "eq", "value": "col_1"}}},
    {"must": [{"match": {"key": "collection_id", "value": "col_1"}}]},
    {"field_name": "collection_id", "operator": "eq", "value": "col_1"},
    {"attribute": "_internal.lineage.chain[].collection_id", "comparator": "eq", "value": "col_1"},
    {"path": "lineage_path", "operator": "prefix", "value": "bkt_1/col_1"},
    {"field": "collection_id", "in": ["col_1", "col_2"]},
    {"field": "collection_id", "any": ["col_1"]},
    {"field": "collection_id", "$ne": "col_1"},
    {"field": "DOC.collection_id", "operator": "eq", "value": "col_1"},
    {"field": "{{ doc._internal.collection_id }}", "operator": "eq", "value": "col_1"},
    {"field": "collection_id", "operator": "in", "value": "col_1, col_2"},
    {"$nor": [{"collection_id": "col_1"}]},
    {"term": {"collection_id": "col_1"}},
    {"bool": {"must_not": [{"terms": {"collection_id": ["col_1", "col_2"]}}]}},
    {"case": [{"if": {"field": "collection_id", "operator": "eq", "value": {"value": "col_1"}}}]},
    {"==": [{"var": "collection_id"}, "col_1"]},
    ["collection_id", "==", "col_1"],
)


def follows(value: Any) -> Any:
    """The value with the clone's ids in place of the source's."""
    text = repr(value).replace("col_1", "col_N1").replace("col_2", "col_N2")
    return text.replace("bkt_1", "bkt_N1").replace("tax_1", "tax_N1")


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_condition_follows_its_field_however_it_is_written(condition: Any) -> None:
    new, references = parameters({"filters": condition})
    assert repr(new) == follows({"filters": condition})
    assert set(outcomes(references)) == {"rewritten"}


@pytest.mark.parametrize(
    "condition",
    [
        {"key": "user.collection_id", "match": {"value": "col_1"}},
        {"name": "title", "value": "col_1"},
        {"field": "title", "operator": "in", "value": "col_1,col_2"},
        ["title", "==", "col_1"],
    ],
    ids=str,
)
def test_a_field_of_the_users_keeps_its_value(condition: Any) -> None:
    new, _ = parameters({"filters": {"must": [condition]}})
    assert new == {"filters": {"must": [condition]}}


def test_a_condition_on_a_field_that_only_a_run_knows_is_not_taken_for_data() -> None:
    condition = {"field": "{{INPUT.field}}", "operator": "eq", "value": "col_1"}
    new, references = parameters({"filters": condition})
    assert (new, references) == ({"filters": condition}, [])
    config = {"parameters": new}
    (found,) = CLONED.unlisted("retriever", {"stages": [{"config": config}]})
    assert (found.old, found.dangles) == ("col_1", True)


@pytest.mark.parametrize(
    "value",
    [
        {"collection_ids": "col_1,col_2"},
        {"collection_ids": ["col_1, col_2"]},
        {"body": {"collections": "col_1,col_2", "all": "tax_1 , col_2"}},
        {"retriever_inputs": {"collections": "col_1,col_2"}},
    ],
    ids=str,
)
def test_ids_with_commas_between_them_are_a_list(value: dict[str, Any]) -> None:
    new, references = parameters(value)
    assert repr(new) == follows(value)
    assert outcomes(references) == ["rewritten"] * len(references) != []


def test_of_a_list_in_one_text_nothing_is_dropped() -> None:
    new, references = parameters({"collection_id": "col_1,col_x"})
    assert new == {"collection_id": "col_N1,col_x"}
    assert outcomes(references) == ["rewritten", "unresolved"]
    new, references = parameters({"collection_id": "col_x,col_y"})
    assert (new, outcomes(references)) == ({"collection_id": None}, ["cleared"])


@pytest.mark.parametrize(
    "body",
    [
        '{"collection_id": "col_1", "limit": {{INPUT.limit}}, "note": "of col_1"}',
        '[ {"key": "_internal._taxonomy_tax_1_label", "in": ["col_1"]}]',
    ],
)
def test_a_body_may_be_json_in_a_text(body: str) -> None:
    new, references = parameters({"body": body})
    assert new == {"body": follows(body)[1:-1].replace("of col_N1", "of col_1")}
    assert "rewritten" in outcomes(references)


def test_a_filter_in_the_body_of_a_call_follows_the_taxonomy() -> None:
    must = [{"key": "_internal._taxonomy_tax_1_label", "match": {"value": "a"}}]
    body = {"filters": {"must": must, "_internal._taxonomy_tax_1_id": "col_1"}}
    new, _ = parameters({"body": body})
    assert repr(new["body"]) == follows(body)


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example.org/v1/documents?collection_id=col_1&limit=3",
        "https://api.example.org/v1/documents?ids=col_x,col_1#all",
        "https://api.example.org/v1/documents;collection=col_1",
        "/v1/collections/col_1.json",
        "ns_src.example.org/v1",
        "col_1,col_2",
        "a; col_1",
    ],
)
def test_an_id_in_an_address_or_in_a_list_is_told_and_refused(text: str) -> None:
    new, _ = parameters({"anything": text})
    assert new == {"anything": text}
    found = CLONED.unlisted("retriever", {"stages": [{"config": {"parameters": new}}]})
    assert [one.dangles for one in found] == [True] * len(found) != []


def test_a_file_is_no_address() -> None:
    new, _ = parameters({"anything": "s3://bucket/ns_src/col_1?versionId=col_1"})
    assert CLONED.unlisted("retriever", {"stages": [{"config": {"parameters": new}}]}) == []


def test_the_type_of_an_older_record_is_in_capitals() -> None:
    details = {"source_details": [{"type": "BUCKET", "source_id": "bkt_1"}]}
    new, _ = CLONED.rewrite_payload(details)
    assert repr(new) == follows(details)


@pytest.mark.parametrize("beside", ["", "properties", "details", "data", "metadata"])
def test_no_presigned_url_of_a_blob_comes_over(beside: str) -> None:
    blob = {"presigned_url": "https://signed", "url": "s3://b/k"}
    blobs = [{beside: blob} if beside else blob]
    new, _ = CLONED.rewrite_object({"presigned_url": "https://signed", "blobs": blobs})
    assert "signed" not in repr(new)
    if beside in ("", "properties"):
        lists = {key: blobs for key in ("blobs", "document_blobs", "source_blobs")}
        signed = {"presigned_url": "https://signed"}
        payload = {**lists, "_internal": {**lists, **signed, "processing": signed}}
        new, _ = CLONED.rewrite_payload(payload)
        assert "signed" not in repr(new)
