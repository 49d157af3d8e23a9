"""Stages of a retriever, in each spelling, nested, with everything that they may refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .marks import Prose, Ref, Scope, Spelled, Whole
from .world import DIRECT, NAMESPACE_ID, World

Json = dict[Any, Any]

_NESTED = 2  # how deep stages stand within stages


def stages(world: World, depth: int = 0) -> list[Json]:
    return [stage(world, kind, depth) for kind in world.pick.few(list(_PARAMETERS), 3)]


def stage(world: World, kind: str, depth: int) -> Json:
    parameters = _PARAMETERS[kind](world, depth)
    if "field" not in parameters:
        parameters = world.pick.keep(parameters)
    filtered = world.pick.keep({"pre_filters": filters(world), "post_filters": filters(world)})
    spelling = world.pick.one(("canonical", "copied", "prose", "old"))
    if spelling == "prose":
        return {"stage_id": kind, "parameters": parameters, **filtered}
    if spelling == "old":
        config = {"stage_name": kind, "version": "v1", "parameters": parameters, **filtered}
        return {"name": f"my {kind}", "config": config}
    canonical: Json = {
        "stage_name": f"my {kind}",
        "stage_type": "filter",
        "config": {"stage_id": kind, "parameters": parameters, **filtered},
    }
    return canonical | ({"parameters": parameters} if spelling == "copied" else {})


def filters(world: World) -> Json:
    """Nested conditions; values only count below fields of which payloads hold ids, too."""
    chosen = world.pick.few(_CONDITIONS, 2)
    if world.pick.rarely():
        return _qdrants(world)
    return {world.pick.one(("AND", "OR")): [condition(world) for condition in chosen]}


def _qdrants(world: World) -> Json:
    """In Qdrant's own spelling."""
    chain = {"must": [{"key": "collection_id", "match": {"value": world.constant()}}]}
    listed = [world.constant(), "col_unknown"]
    return {
        "must": [
            {"key": "collection_id", "match": {"value": world.constant()}},
            {"key": world.field("score"), "range": {"gte": 0.5}},
            {
                "key": "metadata.seen_in",
                "match": {"value": world.pick.one(world.ids["collection"])},
            },
        ],
        "must_not": [{"key": "_internal.collection_id", "match": {"any": listed}}],
        "should": [{"nested": {"key": "_internal.lineage.chain", "filter": chain}}],
    }


def _condition(field: Any, value: Any, operator: str = "eq") -> Json:
    return {"field": field, "operator": operator, "value": value}


_CONDITIONS: list[Callable[[World], Json]] = [
    lambda world: _condition("collection_id", world.constant()),
    lambda world: _condition("_internal.collection_id", [world.constant(), "col_unknown"], "in"),
    lambda world: _condition("_internal.lineage.root_bucket_id", world.constant("bucket")),
    lambda world: _condition("_internal.lineage.source_collection_id", world.constant()),
    lambda world: _condition("_internal.namespace_id", Ref("namespace", NAMESPACE_ID, "data")),
    lambda world: _condition("_internal.lineage.path", _lineage(world)),
    lambda world: _condition(world.field("label"), "Sports"),
    lambda world: _condition(world.field("id"), world.constant()),
    lambda world: _condition("metadata.seen_in", world.pick.one(world.ids["collection"])),
    lambda world: _condition("title", f"all of {world.pick.one(world.ids['collection'])}b"),
    lambda world: {"NOT": [_condition("_internal.lineage.chain.collection_id", world.constant())]},
]


def _lineage(world: World) -> Spelled:
    bucket, collection = world.ref("bucket", "data"), world.ref("collection", "data")
    return Spelled((bucket, "/", collection))


def inputs(world: World) -> Json:
    """An input schema: documents that are referred to by default, and plain texts."""
    document = {"collection_id": world.constant(), "document_id": "doc_1"}
    return {
        "query": {"type": "text", "default": world.prose(), "description": "what to look for"},
        "like": {
            "type": "document_reference",
            "default": document,
            "examples": [document],
            "enum": [document],
        },
    }


# ---- parameters by kind of stage ---------------------------------------------------------------


def _feature_search(world: World, _depth: int) -> Json:
    document = {"collection_id": world.ref("collection", "null"), "document_id": "doc_1"}
    return {
        "searches": [
            {
                "feature_uri": world.uri(),
                "collection_identifiers": [*world.refs("collection", name=True), DIRECT],
                "query": {"input_mode": "document", "document_ref": document},
                "query_preprocessing": {"feature_uri": world.uri()},
                "filters": filters(world),
            }
        ],
        "collection_identifiers": Scope(world.refs("collection", name=True)),
        "feature_uris": [{"uri": world.uri(), "weight": 0.5}],
        "learning_config": _learning(world),
        "facets": [{"key": world.field("label"), "limit": 10}],
        "group_by": {"field": world.field("id"), "limit": 3},
        "limit": 25,
    }


def _learning(world: World) -> Json:
    return {
        "evaluation_dataset_id": world.never("evaluation dataset", "null"),
        "shipped_weight_set": {
            "weight_set_id": world.never("weight set", "around"),
            "evaluation_id": world.never("evaluation", "around"),
            "baseline_evaluation_id": world.never("evaluation", "around"),
            "weights": {world.uri(): 0.5},
        },
    }


def _query_expand(world: World, depth: int) -> Json:
    return {
        "prompt": world.prose(),
        "vector_index": "text_dense",
        "feature_search_config": _feature_search(world, depth),
    }


def _attribute_filter(world: World, _depth: int) -> Json:
    condition = world.pick.one(_CONDITIONS)(world)
    return {"conditions": filters(world), "filters": condition}


def _where(world: World, _depth: int) -> Json:
    """One condition among a stage's own parameters."""
    field = world.pick.one(("_internal.collection_id", "collection_id"))
    return {"when": _condition(field, world.constant()), **_condition(field, world.constant())}


def _secret(world: World) -> Spelled:
    """A template that asks for a secret of the organization."""
    return Spelled(("{{secrets.", world.shared("model_key", "stays"), "}}"))


def _llm_filter(world: World, _depth: int) -> Json:
    return {"prompt": world.prose(), "api_key": _secret(world), "feature_uri": world.uri()}


def _agent_search(world: World, _depth: int) -> Json:
    return {"stages": ["feature_search", "rerank"], "system_prompt": world.prose()}


def _mmr(world: World, _depth: int) -> Json:
    return {
        "diversity_feature_uri": world.uri(),
        "diversity_features": [{"feature_uri": world.uri()}],
    }


def _sort(world: World, _depth: int) -> Json:
    return {"feature_address": world.uri(), "sort_field": world.field("score"), "direction": "desc"}


def _rerank(world: World, _depth: int) -> Json:
    return {"feature_uri": world.uri(), "learning_config": _learning(world)}


def _taxonomy_enrich(world: World, _depth: int) -> Json:
    taxonomy = world.pick.one((world.ref("taxonomy", "null"), "{{TAXONOMY_ID}}"))
    return {
        "taxonomy_id": taxonomy,
        "input_mappings": {"text": "{{DOC.mixpeek://text_extractor@v1/embedding}}"},
    }


def _document_enrich(world: World, depth: int) -> Json:
    enrich: Json = {
        "target_collection_id": world.ref("collection", "null", dangles=False),
        "when": filters(world),
    }
    retriever = world.pick.one(("saved", "inline") if depth < _NESTED else ("saved",))
    if retriever == "inline":
        return enrich | {"retriever_config": _anonymous_retriever(world, depth + 1)}
    return enrich | {
        "retriever_id": world.ref("retriever", "null"),
        "retriever_inputs": {"scope": world.constant(), "q": "{{DOC.title}}"},
        "collection_id": world.ref("collection", "null"),
    }


def _anonymous_retriever(world: World, depth: int) -> Json:
    return {
        "collection_identifiers": Scope(world.refs("collection", name=True)),
        "input_schema": inputs(world),
        "stages": stages(world, depth),
    }


def _agentic_enrich(world: World, _depth: int) -> Json:
    return {
        "taxonomy_id": world.ref("taxonomy", "null"),
        "example_collection_ids": world.refs("collection"),
    }


def _cross_compare(world: World, _depth: int) -> Json:
    return {
        "reference_collection_id": world.pick.one(
            (world.ref("collection", "null"), "{{COLLECTION_ID}}")
        ),
        "text_vector_index": "text_dense",
    }


def _sql_lookup(world: World, _depth: int) -> Json:
    known = world.pick.one(world.ids["collection"])
    return {
        "connection_id": world.shared("conn_1", "stays"),
        "query": Prose(f"SELECT * FROM seen WHERE collection = '{known}'", (known,)),
    }


def _api_call(world: World, _depth: int) -> Json:
    known = world.pick.one(world.ids["retriever"])
    return {
        "url": Prose(f"https://api.example.org/{known}/run", (known,)),
        "body": {
            "collection_id": world.prose(),
            "collection_identifiers": [world.constant()],
            "retriever": world.constant("retriever"),
            "n": 1,
        },
        "headers": {"x-scope": Whole(world.prose(), key=False)},
        "auth": {"secret_ref": world.shared("model_key")},
        "template": world.template(),
    }


_PARAMETERS = {
    "feature_search": _feature_search,
    "document_enrich": _document_enrich,
    "query_expand": _query_expand,
    "attribute_filter": _attribute_filter,
    "where": _where,
    "taxonomy_enrich": _taxonomy_enrich,
    "agentic_enrich": _agentic_enrich,
    "cross_compare": _cross_compare,
    "llm_filter": _llm_filter,
    "agent_search": _agent_search,
    "mmr": _mmr,
    "sort_attribute": _sort,
    "rerank": _rerank,
    "sql_lookup": _sql_lookup,
    "api_call": _api_call,
}


def embedded_retriever(world: World) -> Json:
    """What a display keeps of its retriever."""
    return _anonymous_retriever(world, _NESTED - 1)
