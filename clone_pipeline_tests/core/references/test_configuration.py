"""What the table alone does not show: places that depend on each other, names, text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clone_pipeline.core.references import Reference, Rewriter

from .examples import OTHER_ORGANIZATION, id_map

CLONED = Rewriter(id_map())
NO_TAXONOMIES = Rewriter(id_map(without=("taxonomy",)))
NO_COLLECTIONS = Rewriter(id_map(without=("collection",)))


def short(references: list[Reference]) -> list[tuple[str, str, str]]:
    return [(found.path, found.old, found.outcome) for found in references]


def test_fields_that_no_row_names_come_over_in_their_order() -> None:
    document = {"zeta": 1, "bucket_id": "bkt_1", "alpha": {"x": [None, "col_1"]}, "metadata": {}}
    result, references = CLONED.rewrite("bucket", document)
    assert json.dumps(result) == json.dumps({**document, "bucket_id": "bkt_N1"})
    assert references == []


def test_dropping_an_entry_parks_all_of_it_and_leaves_the_others() -> None:
    entries = [
        {"taxonomy_id": "tax_1", "target_collection_id": "col_1", "priority": 1},
        {"taxonomy_id": "tax_x", "target_collection_id": "col_2", "priority": 2},
        {"taxonomy_id": "tax_1_b", "target_collection_id": None, "priority": 3},
    ]
    document = {"collection_id": "col_1", "taxonomy_applications": entries}
    result, references = CLONED.rewrite("collection", document)
    assert result["taxonomy_applications"] == [
        {"taxonomy_id": "tax_N1", "target_collection_id": "col_N1", "priority": 1},
        {"taxonomy_id": "tax_N2", "target_collection_id": None, "priority": 3},
    ]
    (cleared,) = [found for found in references if found.outcome == "cleared"]
    assert cleared.path == "taxonomy_applications[1].taxonomy_id"
    assert cleared.removed == "taxonomy_applications[1]"
    assert cleared.parked == entries[1]
    assert cleared.reason == "the source namespace has no such taxonomy"
    # What stood inside the dropped entry is not in the clone, so it is not reported as rewritten.
    assert [found.old for found in references if found.outcome == "rewritten"] == [
        *("tax_1", "col_1", "tax_1_b")
    ]


def test_all_that_drops_one_entry_is_named() -> None:
    entry = {"taxonomy_id": "tax_1", "target_collection_id": "col_1"}
    rewriter = Rewriter(id_map(without=("taxonomy", "collection")))
    result, references = rewriter.rewrite("collection", {"taxonomy_applications": [entry]})
    assert result == {"taxonomy_applications": []}
    assert [found.old for found in references] == ["tax_1", "col_1"]
    assert {found.removed for found in references} == {"taxonomy_applications[0]"}


def test_a_source_keeps_its_last_bucket() -> None:
    document = {"source": {"type": "bucket", "bucket_ids": ["bkt_x", "bkt_1"]}}
    result, _ = CLONED.rewrite("collection", document)
    assert result["source"]["bucket_ids"] == ["bkt_N1"]
    document = {"source": {"type": "bucket", "bucket_ids": ["bkt_x", "bkt_y"]}}
    result, references = CLONED.rewrite("collection", document)
    assert result == document
    assert [found.outcome for found in references] == ["unresolved", "unresolved"]


def test_buckets_of_another_namespace_stay_wherever_the_collection_names_them() -> None:
    elsewhere = {
        "type": "bucket",
        "source_namespace_id": "ns_other",
        "bucket_ids": ["bkt_1", "bkt_far"],
        "field_map": {"bkt_1": []},
    }
    document = {
        "source": {
            "type": "collection",
            "collection_id": "col_1",
            "inherited_bucket_ids": ["bkt_far"],
        },
        "source_bucket_schemas": {"bkt_far": {}},
        "source_lineage": [{"source_config": elsewhere}],
    }
    result, references = CLONED.rewrite("collection", document)
    assert result["source_lineage"] == document["source_lineage"]
    assert result["source_bucket_schemas"] == {"bkt_far": {}}
    assert result["source"]["inherited_bucket_ids"] == ["bkt_far"]
    assert {found.outcome for found in references if found.target == "bucket"} == {"kept"}
    assert CLONED.source_ids_left("collection", result) == []


def test_only_the_tier_that_names_another_namespace_is_left_alone() -> None:
    elsewhere = {"source_namespace_id": "ns_other", "bucket_ids": ["bkt_far", "bkt_2"]}
    document = {
        "source_lineage": [
            {"source_config": elsewhere},
            {"source_config": {"bucket_ids": ["bkt_1"], "source_namespace_id": None}},
        ],
        "source_bucket_schemas": {"bkt_1": {}, "bkt_x": {}},
    }
    result, references = CLONED.rewrite("collection", document)
    assert result == {
        "source_lineage": [
            {"source_config": elsewhere},
            {"source_config": {"bucket_ids": ["bkt_N1"], "source_namespace_id": None}},
        ],
        "source_bucket_schemas": {"bkt_N1": {}},
    }
    assert [found.outcome for found in references] == [
        *("kept", "kept", "kept", "rewritten", "rewritten", "cleared")
    ]


def test_what_is_left_of_the_source_is_found_inside_entries_of_the_clone() -> None:
    # The clone's taxonomy is unknown to the source: looking must not drop its entry first.
    application = {
        "taxonomy_id": "tax_N1",
        "target_collection_id": "col_1",
        "scroll_filters": {"field": "_internal._taxonomy_tax_1_id", "value": "col_2"},
    }
    document = {
        "collection_id": "col_1",
        "source": {"bucket_ids": ["bkt_N1", "bkt_2"], "source_namespace_id": "ns_src"},
        "taxonomy_applications": [application],
    }
    left = CLONED.source_ids_left("collection", document)
    assert left == [
        ("collection_id", "col_1"),
        ("source.bucket_ids[1]", "bkt_2"),
        ("source.source_namespace_id", "ns_src"),
        ("taxonomy_applications[0].target_collection_id", "col_1"),
        ("taxonomy_applications[0].scroll_filters.field", "tax_1"),
        ("taxonomy_applications[0].scroll_filters.value", "col_2"),
    ]


def test_a_source_that_names_its_own_namespace_follows_the_clone() -> None:
    source = {"source_namespace_id": "ns_src", "bucket_ids": ["bkt_1"]}
    result, _ = CLONED.rewrite("collection", {"source": source})
    assert result["source"] == {"source_namespace_id": "ns_new", "bucket_ids": ["bkt_N1"]}


def test_a_flat_taxonomy_without_its_retriever_is_told_and_not_changed() -> None:
    config = {
        "taxonomy_type": "flat",
        "retriever_id": "ret_1",
        "source_collection": {"collection_id": "col_1"},
    }
    rewriter = Rewriter(id_map(without=("retriever", "collection")))
    result, references = rewriter.rewrite("taxonomy", {"taxonomy_id": "tax_1", "config": config})
    assert result == {"taxonomy_id": "tax_N1", "config": config}
    assert [found.outcome for found in references] == ["unresolved", "unresolved"]


def test_the_tree_of_a_taxonomy_stays_a_tree() -> None:
    nodes = [
        {"collection_id": "col_1"},
        {"collection_id": "col_2", "parent_collection_id": "col_1"},
    ]
    document = {"config": {"taxonomy_type": "hierarchical", "hierarchical_nodes": nodes}}
    result, references = NO_COLLECTIONS.rewrite("taxonomy", document)
    assert result == document
    assert [found.outcome for found in references] == ["unresolved"] * 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("_taxonomy_tax_1_label", "_taxonomy_tax_N1_label"),
        ("_taxonomy_tax_1_b_label", "_taxonomy_tax_N2_label"),
        ("_internal._taxonomy_tax_1_b_score", "_internal._taxonomy_tax_N2_score"),
        ("_taxonomy_tax_1", "_taxonomy_tax_1"),
        ("_taxonomy_tax_12_label", "_taxonomy_tax_12_label"),
        ("_taxonomy_tax_x_label", "_taxonomy_tax_x_label"),
        ("my_taxonomy_tax_1_label", "my_taxonomy_tax_1_label"),
        ("taxonomy_tax_1_label", "taxonomy_tax_1_label"),
        ("metadata.note", "metadata.note"),
    ],
)
def test_the_longest_known_taxonomy_in_a_field_name_wins(old: str, new: str) -> None:
    assert CLONED.rewrite_field_name(old) == new
    config = {"vectors": {}, "payload_schema": {old: {"data_type": "keyword"}, "note": {}}}
    renamed = {new: {"data_type": "keyword"}, "note": {}}
    assert CLONED.rewrite_qdrant_config(config) == {"vectors": {}, "payload_schema": renamed}
    assert old in config["payload_schema"]


def test_a_field_name_that_is_rewritten_already_stays() -> None:
    # The new id begins with the old one and `_`, which only the longest match tells apart.
    ids = id_map()
    ids.ids["taxonomy"]["tax_1"] = "tax_1_new"  # type: ignore[index]
    rewriter = Rewriter(ids)
    assert rewriter.rewrite_field_name("_taxonomy_tax_1_id") == "_taxonomy_tax_1_new_id"
    assert rewriter.rewrite_field_name("_taxonomy_tax_1_new_id") == "_taxonomy_tax_1_new_id"


def test_the_namespace_gives_up_what_is_the_sources_alone() -> None:
    document = {
        "namespace_id": "ns_src",
        "source_namespace_id": "ns_src",
        "cluster_id": "iclstr_1",
        "infrastructure": {
            "qdrant_collection": "ns_src",
            "qdrant_url": "http://source",
            "qdrant_api_key": "sk_secret",
            "s3_plugin_prefix": "ns_src/",
            "max_workers": 3,
        },
    }
    result, references = CLONED.rewrite("namespace", document)
    assert result == {
        "namespace_id": "ns_new",
        "source_namespace_id": "ns_src",
        "cluster_id": None,
        "infrastructure": {
            "qdrant_collection": "ns_src",
            "qdrant_url": None,
            "qdrant_api_key": None,
            "s3_plugin_prefix": None,
            "max_workers": 3,
        },
    }
    assert "sk_secret" not in repr(references)
    assert CLONED.source_ids_left("namespace", result) == []


def test_secrets_asked_for_by_a_template_are_told_across_organizations() -> None:
    stages = [{"config": {"parameters": {"api_key": "{{ secrets.openai_key }}"}}}]
    _, here = CLONED.rewrite("retriever", {"stages": stages})
    _, abroad = Rewriter(id_map(organization=OTHER_ORGANIZATION)).rewrite(
        "retriever", {"stages": stages}
    )
    assert short(here) == [("stages[0].config.parameters.api_key", "openai_key", "kept")]
    assert short(abroad) == [("stages[0].config.parameters.api_key", "openai_key", "unresolved")]


def test_unusual_values_at_mapped_places_are_carried_over() -> None:
    odd: list[Any] = [None, 7, [], {}, "", [None, 3]]
    for value in odd:
        document = {
            "source": value,
            "taxonomy_applications": value,
            "source_bucket_schemas": value,
            "retriever_transform": {"stages": value},
            "trigger_id": None,
        }
        assert CLONED.rewrite("collection", document) == (document, [])
        assert CLONED.rewrite("retriever", {"collection_ids": value, "stages": value})[1] == []


def test_one_value_where_a_list_was_expected_is_still_seen() -> None:
    result, _ = CLONED.rewrite("retriever", {"collection_ids": "col_1"})
    assert result == {"collection_ids": "col_N1"}
    result, (found,) = CLONED.rewrite("retriever", {"collection_ids": "col_x"})
    assert (result, found.parked) == ({"collection_ids": None}, "col_x")
    result, _ = CLONED.rewrite(
        "collection", {"trigger_id": None, "source": {"collection_id": ["col_1"]}}
    )
    assert result["source"] == {"collection_id": ["col_N1"]}


def test_documents_written_directly_have_a_collection_in_every_namespace() -> None:
    document = {"collection_ids": ["_direct_upsert", "articles", "elsewhere"]}
    result, references = CLONED.rewrite("retriever", document)
    assert result == {"collection_ids": ["_direct_upsert", "articles"]}
    assert [found.outcome for found in references] == ["kept", "kept", "cleared"]
