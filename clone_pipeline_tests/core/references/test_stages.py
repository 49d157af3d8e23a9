"""Stages and filters: free-form parameters, nested at will."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clone_pipeline.core.references import Reference, Rewriter

from .examples import id_map, in_stage

CLONED = Rewriter(id_map())
NO_COLLECTIONS = Rewriter(id_map(without=("collection",)))


def parameters(value: Any, rewriter: Rewriter = CLONED) -> tuple[Any, list[Reference]]:
    """Stage parameters rewritten, with the references found in them."""
    document = in_stage(value)
    before = copy.deepcopy(document)
    result, references = rewriter.rewrite("retriever", document)
    assert document == before
    assert rewriter.source_ids_left("retriever", result) == []
    return result["stages"][0]["config"]["parameters"], references


def outcomes(references: list[Reference]) -> list[str]:
    return [found.outcome for found in references]


@pytest.mark.parametrize(
    "stage",
    [
        {"stage_name": "s", "config": {"stage_id": "x", "parameters": {"taxonomy_id": "tax_1"}}},
        {"stage_name": "s", "config": {"stage_id": "x"}, "parameters": {"taxonomy_id": "tax_1"}},
        {"stage_id": "x", "parameters": {"taxonomy_id": "tax_1"}},
        {
            "name": "n",
            "config": {"stage_name": "x", "version": "v1", "parameters": {"taxonomy_id": "tax_1"}},
        },
    ],
)
def test_every_spelling_of_a_stage_is_read(stage: dict[str, Any]) -> None:
    result, (found,) = CLONED.rewrite("retriever", {"stages": [stage]})
    assert repr(result) == repr({"stages": [stage]}).replace("tax_1", "tax_N1")
    assert found.path.endswith("parameters.taxonomy_id")


def test_stages_inside_stages_are_read_at_any_depth() -> None:
    inner: dict[str, Any] = {
        "searches": [
            {
                "feature_uri": "mixpeek://text@v1/e",
                "collection_identifiers": ["col_1", "articles"],
                "query": {"document_ref": {"collection_id": "col_2", "document_id": "doc_1"}},
            }
        ]
    }
    for depth in range(4):
        nested = {"retriever_config": {"stages": [{"config": {"parameters": inner}}]}}
        inner = nested if depth % 2 else {"feature_search_config": inner}
    new, references = parameters(inner)
    expected = repr(inner).replace("col_1", "col_N1").replace("col_2", "col_N2")
    assert repr(new) == expected
    assert outcomes(references) == ["rewritten", "kept", "rewritten"]
    assert references[0].path.startswith("stages[0].config.parameters.retriever_config.stages[0]")


def test_the_stages_of_a_published_page_are_read_like_the_retrievers() -> None:
    config = {"stages": [{"parameters": {"retriever_id": "ret_1"}}], "collection_ids": ["col_1"]}
    document = {"display_config": {"title": "col_1", "retriever_config": config}}
    result, _ = CLONED.rewrite("retriever", document)
    assert result["display_config"] == {
        "title": "col_1",
        "retriever_config": {
            "stages": [{"parameters": {"retriever_id": "ret_N1"}}],
            "collection_ids": ["col_N1"],
        },
    }


def test_a_search_without_collections_would_read_more_so_its_last_one_stays() -> None:
    value = {"searches": [{"collection_identifiers": ["gone"]}]}
    new, references = parameters(value)
    assert (new, outcomes(references)) == (value, ["unresolved"])
    new, references = parameters({"collection_identifiers": ["gone", "col_1"]})
    assert new == {"collection_identifiers": ["col_N1"]}
    assert outcomes(references) == ["cleared", "rewritten"]
    # Without any collection in the clone there is nothing to read, and nothing may dangle.
    new, references = parameters({"collection_identifiers": ["col_1", "articles"]}, NO_COLLECTIONS)
    assert (new, outcomes(references)) == ({"collection_identifiers": []}, ["cleared", "cleared"])


def test_payload_paths_follow_the_taxonomy_wherever_a_stage_spells_them() -> None:
    old = "_internal._taxonomy_tax_1_label"
    value = {
        "sort_by": [{"field": old, "direction": "desc"}],
        "facets": [{"key": old}],
        "group_by": {"field": old},
        "field_map": {old: "label"},
        "fields": ["title", f"-{old}"],
        "prompt": f"Explain {old} in one sentence",
        "template": f"{{{{ DOC.{old} }}}}",
    }
    new, references = parameters(value)
    renamed = "_internal._taxonomy_tax_N1_label"
    assert new == {
        "sort_by": [{"field": renamed, "direction": "desc"}],
        "facets": [{"key": renamed}],
        "group_by": {"field": renamed},
        "field_map": {renamed: "label"},
        "fields": ["title", f"-{renamed}"],
        "prompt": value["prompt"],
        "template": f"{{{{ DOC.{renamed} }}}}",
    }
    assert outcomes(references) == [*["rewritten"] * 5, "mentioned", "rewritten"]


LABEL = "_taxonomy_tax_1_label"
TEMPLATES = [
    (f"{{{{DOC._internal.{LABEL}}}}}: {{{{DOC.title}}}}", True),
    (f'{{"a": {{{{ DOC._internal.{LABEL} | tojson }}}} }}', True),
    (f"{{{{ DOC._internal['{LABEL}'] }}}}", True),
    (f"{{{{\n DOC.{LABEL} ~ DOC._internal.{LABEL} }}}}", True),
    (f"Say {LABEL} of {{{{ DOC.title }}}}", False),
    ("{{ DOC._taxonomy_tax_x_label }}", False),
    (f"{{{{ DOC.my{LABEL} }}}}", False),
    (f"{{ DOC.{LABEL} }}", False),
    ("{{ INPUT.col_1 }}", False),
]


@pytest.mark.parametrize(("old", "follows"), TEMPLATES)
@pytest.mark.parametrize("key", ["prompt", "template", "body", "url", "retriever_inputs", "code"])
def test_a_template_follows_what_the_clone_renames_and_its_text_does_not(
    key: str, old: str, follows: bool
) -> None:
    new = old.replace(LABEL, "_taxonomy_tax_N1_label") if follows else old
    result, references = parameters({key: old, "headers": {"x": [old]}})
    assert result == {key: new, "headers": {"x": [new]}}
    assert ("rewritten" in outcomes(references)) == follows


def test_a_template_where_an_id_may_stand_follows_too() -> None:
    new, references = parameters({"collection_id": "{{DOC._taxonomy_tax_1_id}}"})
    assert new == {"collection_id": "{{DOC._taxonomy_tax_N1_id}}"}
    assert outcomes(references) == ["kept", "rewritten"]


def test_the_templates_of_a_display_and_of_a_taxonomy_follow_too() -> None:
    old, new = "Of {{DOC._taxonomy_tax_1_label}}", "Of {{DOC._taxonomy_tax_N1_label}}"
    result, _ = CLONED.rewrite("retriever", {"display_config": {"markdowns": [{"text": old}]}})
    assert result == {"display_config": {"markdowns": [{"text": new}]}}
    result, _ = CLONED.rewrite("taxonomy", {"config": {"llm_prompt_template": old}})
    assert result == {"config": {"llm_prompt_template": new}}
    extractor = {"feature_extractor": {"parameters": {"prompt": old}, "params": {"prompt": old}}}
    result, _ = CLONED.rewrite("collection", extractor)
    assert result == {
        "feature_extractor": {"parameters": {"prompt": new}, "params": {"prompt": new}}
    }


def test_the_template_of_a_taxonomy_that_stays_behind_stays_and_is_told() -> None:
    value = {"template": "{{DOC._taxonomy_tax_1_label}}"}
    rewriter = Rewriter(id_map(without=("taxonomy",)))
    new, references = parameters(value, rewriter)
    assert (new, outcomes(references)) == (value, ["mentioned"])


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("namespace://col_1/embedding", "namespace://col_N1/embedding", ["rewritten"]),
        ("ns_src://col_1/embedding", "ns_new://col_N1/embedding", ["rewritten", "rewritten"]),
        ("namespace://articles/embedding", "namespace://articles/embedding", ["kept"]),
        ("namespace://col_x/embedding", "namespace://col_x/embedding", ["unresolved"]),
        ("mixpeek://text_extractor@v1/col_x", "mixpeek://text_extractor@v1/col_x", []),
        ("https://host/col_1?x=col_1", "https://host/col_1?x=col_1", ["mentioned"]),
    ],
)
def test_a_feature_uri_names_a_namespace_and_a_collection(
    old: str, new: str, outcome: list[str]
) -> None:
    for value in ({"feature_uri": old}, {"feature_uris": [{"uri": old}]}, {"feature_address": old}):
        result, references = parameters(value)
        assert repr(result) == repr(value).replace(old, new)
        assert outcomes(references) == outcome


def test_text_that_contains_ids_is_told_and_left_alone() -> None:
    value = {
        "query": "SELECT * FROM t WHERE c = 'col_1' OR c = 'col_1x'",
        "url": "https://host/ns_src/search",
        "headers": {"x-scope": "of ret_1"},
        "prompt": "about col_2, not xcol_2 nor col-2",
        "unmapped": "tax_1",
    }
    new, references = parameters(value)
    assert new == value
    # What stands in headers is besides a secret, which is copied.
    told = [found for found in references if found.target != "secret"]
    assert {found.outcome for found in told} == {"mentioned"}
    # A text that is nothing but an id is a value: `unlisted` tells of it.
    assert [found.old for found in told] == ["col_1", "ns_src", "ret_1", "col_2"]


def test_the_body_of_a_call_is_rewritten_where_a_value_is_an_id() -> None:
    value = {
        "body": {
            "collection_id": "col_1",
            "collection_identifiers": ["col_2", "articles"],
            "deep": [{"retriever": "ret_1", "namespace_id": "ns_src", "n": 1}],
            "text": "all of col_1",
        }
    }
    new, references = parameters(value)
    assert new == {
        "body": {
            "collection_id": "col_N1",
            "collection_identifiers": ["col_N2", "articles"],
            "deep": [{"retriever": "ret_N1", "namespace_id": "ns_new", "n": 1}],
            "text": "all of col_1",
        }
    }
    assert outcomes(references) == [*["rewritten"] * 4, "mentioned"]


def test_constants_for_a_nested_retriever_are_rewritten_as_a_whole() -> None:
    value = {"retriever_id": "ret_1", "retriever_inputs": {"in": "col_1", "q": "like col_1"}}
    new, references = parameters(value)
    assert new == {
        "retriever_id": "ret_N1",
        "retriever_inputs": {"in": "col_N1", "q": "like col_1"},
    }
    assert outcomes(references) == ["rewritten", "rewritten", "mentioned"]


@pytest.mark.parametrize("key", ["pre_filters", "post_filters"])
def test_filters_beside_the_parameters_are_read(key: str) -> None:
    filters = {"AND": [{"field": "collection_id", "operator": "in", "value": ["col_1", "col_x"]}]}
    stage = {"stage_name": "s", "config": {"stage_id": "x", "parameters": {}, key: filters}}
    result, references = CLONED.rewrite("retriever", {"stages": [stage]})
    assert result["stages"][0]["config"][key]["AND"][0]["value"] == ["col_N1", "col_x"]
    assert outcomes(references) == ["rewritten"]


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("collection_id", "col_1", "col_N1"),
        ("_internal.collection_id", "col_1", "col_N1"),
        ("_internal.lineage.root_bucket_id", "bkt_1", "bkt_N1"),
        ("lineage.root_bucket_id", "bkt_1", "bkt_N1"),
        ("source_collection_id", "col_1", "col_N1"),
        ("_internal.lineage.chain[].collection_id", "col_1", "col_N1"),
        ("_internal.lineage.chain.0.collection_id", "col_1", "col_N1"),
        ("_internal.lineage.path", "bkt_1/col_1", "bkt_N1/col_N1"),
        ("lineage_path", "bkt_1/col_1/col_x", "bkt_N1/col_N1/col_x"),
        ("_internal.namespace_id", "ns_src", "ns_new"),
        ("namespace_id", "ns_other", "ns_other"),
        ("_internal.processing.history.taxonomy_ids_applied", "tax_1", "tax_N1"),
        ("_internal.source_details.source_id", "tax_1", "tax_N1"),
        ("edges.target_collection_id", "col_1", "col_N1"),
        ("_internal._taxonomy_tax_x_id", "col_1", "col_N1"),
        ("_internal._taxonomy_tax_x_label", "col_1", "col_1"),
        ("metadata.collection_id", "col_1", "col_1"),
        ("collection_id", "bkt_1", "bkt_1"),
        ("collection_id", "col_11", "col_11"),
        ("collection_id", "{{INPUT.collection}}", "{{INPUT.collection}}"),
        ("taxonomy_id", "tax_1", "tax_1"),
        ("my.retriever_id", "ret_1", "ret_1"),
    ],
)
def test_filter_values_are_ids_only_where_payloads_hold_ids(field: str, old: str, new: str) -> None:
    for value, expected in ((old, new), ([old], [new]), ({"$in": [old]}, {"$in": [new]})):
        condition = {"field": field, "operator": "eq", "value": value}
        rewritten = {**condition, "value": expected}
        for wrap in (
            lambda inner: inner,
            lambda inner: {"conditions": {"OR": [{"NOT": [inner]}]}},
            lambda inner: {"conditions": [inner]},
            lambda inner: {"when": {"AND": [inner], "case_sensitive": True}},
        ):
            assert parameters(wrap(condition))[0] == wrap(rewritten)
        assert parameters({"filters": {field: value}})[0] == {"filters": {field: expected}}


def test_a_filter_on_what_is_left_out_stays_because_dropping_it_would_widen_the_result() -> None:
    value = {"filters": {"AND": [{"field": "collection_id", "operator": "in", "value": ["col_1"]}]}}
    new, references = parameters(value, NO_COLLECTIONS)
    assert (new, outcomes(references)) == (value, ["unresolved"])
    unknown = {"filters": {"AND": [{"field": "collection_id", "value": "col_of_a_connector"}]}}
    assert parameters(unknown) == (unknown, [])


def test_the_field_of_a_filter_follows_the_taxonomy() -> None:
    field, new_field = "_internal._taxonomy_tax_1_id", "_internal._taxonomy_tax_N1_id"
    new, _ = parameters({"filters": {"AND": [{"field": field, "value": "col_1"}], field: "doc_1"}})
    assert new == {
        "filters": {"AND": [{"field": new_field, "value": "col_N1"}], new_field: "doc_1"}
    }


def test_trained_weights_go_whole_because_their_schema_requires_all_of_them() -> None:
    weights = {"mixpeek://text@v1/e": 0.7}
    shipped = {"weight_set_id": "ws_1", "evaluation_id": "ev_1", "weights": weights}
    for outside in ("learning_config", "rerank"):
        new, references = parameters({outside: {"shipped_weight_set": shipped, "floor": 0.1}})
        assert new == {outside: {"shipped_weight_set": None, "floor": 0.1}}
        assert [found.parked for found in references] == [shipped, shipped]


QDRANT_FILTERS: list[tuple[str, Any, Any]] = [
    ("collection_id", {"value": "col_1"}, {"value": "col_N1"}),
    ("collection_id", {"any": ["col_1", "x"]}, {"any": ["col_N1", "x"]}),
    ("collection_id", {"except": ["col_2"]}, {"except": ["col_N2"]}),
    ("collection_id", {"operator": "eq", "value": "col_1"}, {"operator": "eq", "value": "col_N1"}),
    ("_internal.collection_id", {"value": "col_1"}, {"value": "col_N1"}),
    ("_internal.lineage.root_bucket_id", {"value": "bkt_1"}, {"value": "bkt_N1"}),
    ("_internal.lineage.chain[].collection_id", {"value": "col_1"}, {"value": "col_N1"}),
    ("lineage_chain[].collection_id", {"value": "col_1"}, {"value": "col_N1"}),
    ("_internal.namespace_id", {"value": "ns_src"}, {"value": "ns_new"}),
    ("metadata.collection_id", {"value": "col_1"}, {"value": "col_1"}),
    ("title", {"text": "col_1"}, {"text": "col_1"}),
]


@pytest.mark.parametrize("clause", ["must", "should", "must_not"])
@pytest.mark.parametrize(("field", "old", "new"), QDRANT_FILTERS)
def test_filters_in_qdrants_spelling_follow_their_field(
    clause: str, field: str, old: Any, new: Any
) -> None:
    def built(match: Any) -> list[Any]:
        one = {"key": field, "match": match}
        nested = {"filter": {clause: [{clause: one}]}}
        least = {"filter": {"min_should": {"conditions": [one], "min_count": 1}}}
        return [{"pre_filters": {clause: [one]}}, nested, least, {clause: [one]}, {"my": one}]

    for value, wanted in zip(built(old), built(new), strict=True):
        assert parameters(value)[0] == wanted


def test_what_qdrant_asks_of_a_field_follows_the_taxonomy_and_what_it_nests_the_field() -> None:
    old, new = "_internal._taxonomy_tax_1_score", "_internal._taxonomy_tax_N1_score"

    def built(field: str, id: str) -> dict[str, Any]:
        chain = {"must": [{"key": "collection_id", "match": {"value": id}}]}
        users = {"must": [{"key": "collection_id", "match": {"value": "col_1"}}]}
        return {
            "filters": {
                "must": [
                    {"key": field, "range": {"gte": 0.5}},
                    {"is_empty": {"key": field}},
                    {"nested": {"key": "_internal.lineage.chain", "filter": chain}},
                    {"nested": {"key": "metadata.seen", "filter": users}},
                    {"has_id": [1]},
                ]
            }
        }

    assert parameters(built(old, "col_1"))[0] == built(new, "col_N1")


def test_a_default_that_stands_for_nothing_is_no_reference() -> None:
    value = {"retriever_id": "null", "target_collection_id": "{{COLLECTION_ID}}"}
    new, references = parameters(value)
    assert (new, outcomes(references)) == (value, ["kept"])
