"""The retrievers; the first one is the namespace's primary retriever and runs as it stands."""

from __future__ import annotations

from typing import Any

from . import ids
from .categories import CATEGORIES

Document = dict[str, Any]

_QUERY = {"query": {"type": "string", "required": True, "description": "What to look for"}}
_LABEL = f"_internal._taxonomy_{ids.CATEGORY_TAXONOMY}_label"
_SCORE = f"_internal._taxonomy_{ids.CATEGORY_TAXONOMY}_score"


def retrievers() -> list[Document]:
    return [
        _documentation_search(),
        _operations_by_service(),
        _category_lookup(),
        _highlight_answers(),
        _error_troubleshooting(),
        _similar_operations(),
    ]


def _retriever(
    identifier: str,
    name: str,
    description: str,
    collections: list[str],
    stages: list[Document],
    minute: int,
) -> Document:
    return {
        "retriever_id": identifier,
        "retriever_name": name,
        "description": description,
        "collection_ids": collections,
        "collection_identifiers": collections,
        "stages": stages,
        "input_schema": _QUERY,
        "budget_limits": {"max_credits": 10.0, "max_time_ms": 5000},
        "tags": ["docs"],
        "feature_dependencies": [
            {
                "scheme": "mixpeek",
                "extractor": "text_extractor",
                "version": "v1",
                "output": "embedding",
            }
        ],
        "display_config": None,
        "metadata": None,
        "version": 1,
        "created_at": ids.moment(minute),
        "created_by": ids.USER,
        "updated_at": ids.moment(minute + 5),
        "updated_by": ids.USER,
    }


def _stage(stage: str, kind: str, parameters: Document, **config: Any) -> Document:
    return {
        "stage_name": stage,
        "stage_type": kind,
        "config": {"stage_id": stage, "parameters": parameters, **config},
    }


def _feature_search(uri: str, limit: int, **extra: Any) -> Document:
    search = {"feature_uri": uri, "query": {"input_mode": "text", "text": "{{INPUT.query}}"}}
    return {"searches": [{**search, "top_k": limit}], "final_top_k": limit, **extra}


def _condition(field: str, value: object, operator: str = "eq") -> Document:
    return {"field": field, "operator": operator, "value": value}


def _limit(number: int) -> Document:
    return _stage("limit", "reduce", {"limit": number})


def _documentation_search() -> Document:
    search = _stage("feature_search", "filter", _feature_search(ids.TEXT_URI, 50))
    return _retriever(
        ids.SEARCH,
        "documentation_search",
        "Services and operations by meaning",
        [ids.OVERVIEWS, ids.OPERATIONS],
        [search, _limit(10)],
        20,
    )


def _operations_by_service() -> Document:
    allowed = {"AND": [_condition("_internal.collection_id", ids.OPERATIONS)]}
    stages = [
        _stage(
            "attribute_filter",
            "filter",
            {
                "conditions": {
                    "AND": [
                        _condition("service", "{{INPUT.query}}"),
                        {
                            "OR": [
                                _condition("_internal.lineage.root_bucket_id", ids.REFERENCE),
                                _condition("_internal.lineage.root_bucket_id", [ids.GUIDES], "in"),
                            ]
                        },
                        _condition(_SCORE, 0.1, "gte"),
                    ]
                }
            },
            pre_filters=allowed,
            post_filters={"NOT": [_condition("collection_id", ids.ERRORS)]},
        ),
        _stage("taxonomy_enrich", "enrich", {"taxonomy_id": ids.CATEGORY_TAXONOMY, "top_k": 1}),
        _stage("sort_attribute", "sort", {"field": _SCORE, "order": "desc"}),
        _limit(25),
    ]
    # The live API shows the parameters of a stage a second time.
    stages[1]["parameters"] = dict(stages[1]["config"]["parameters"])
    document = _retriever(
        ids.BY_SERVICE,
        "operations_by_service",
        "All operations of one service, surest category first",
        [ids.OPERATIONS],
        stages,
        22,
    )
    document["display_config"] = {
        "title": "Operations",
        "exposed_fields": ["title", "text", _LABEL],
        "field_config": {_LABEL: {"label": "Category"}, "title": {"label": "Operation"}},
        "retriever_config": {"collection_ids": [ids.OPERATIONS], "stages": stages[:1]},
    }
    return document


def _category_lookup() -> Document:
    examples = {
        "collection_ids": [ids.OPERATIONS],
        "stages": [
            _stage(
                "feature_search",
                "filter",
                _feature_search(ids.TEXT_URI, 3, collection_identifiers=[ids.OPERATIONS]),
                pre_filters={"AND": [_condition(_LABEL, "{{DOC.label}}")]},
            ),
            _limit(3),
        ],
    }
    stages = [
        _stage(
            "feature_search",
            "filter",
            _feature_search(ids.TEXT_URI, 5, collection_identifiers=["service_categories"]),
        ),
        _stage(
            "document_enrich",
            "enrich",
            {
                "target_collection_id": ids.OPERATIONS,
                "retriever_config": examples,
                "retriever_inputs": {"query": "{{DOC.summary}}"},
                "when": {"field": "label", "operator": "exists"},
            },
        ),
    ]
    document = _retriever(
        ids.CATEGORY_LOOKUP,
        "category_lookup",
        "The category of a text; the category taxonomy uses it",
        [ids.CATEGORIES],
        stages,
        24,
    )
    document["collection_identifiers"] = ["service_categories"]
    return document


def _highlight_answers() -> Document:
    nested = _feature_search(
        ids.PASSAGE_URI, 40, collection_identifiers=["operation_highlights", ids.OPERATIONS]
    )
    nested["searches"][0]["collection_identifiers"] = [ids.HIGHLIGHTS]
    nested["searches"].append(
        {
            "feature_uri": ids.TERMS_URI,
            "query": {"input_mode": "text", "text": "{{INPUT.query}}"},
            "top_k": 40,
        }
    )
    stages = [
        _stage("query_expand", "filter", {"variants": 3, "feature_search_config": nested}),
        _stage(
            "llm_filter",
            "filter",
            {
                "prompt": f"Keep it if it answers {{{{INPUT.query}}}}. Ignore what {ids.ERRORS}"
                " would answer better.",
                "api_key": "{{secrets.openai_key}}",
            },
        ),
        _stage(
            "rerank",
            "sort",
            {
                "feature_uri": ids.PASSAGE_URI,
                "learning_config": {
                    "enabled": True,
                    "evaluation_dataset_id": ids.EVALUATION_DATASET,
                    "shipped_weight_set": {
                        "weight_set_id": ids.WEIGHT_SET,
                        "evaluation_id": ids.EVALUATION,
                        "weights": {ids.PASSAGE_URI: 0.7, ids.TERMS_URI: 0.3},
                    },
                },
            },
        ),
        _limit(8),
    ]
    document = _retriever(
        ids.ANSWERS,
        "highlight_answers",
        "The sentences that answer a question",
        [ids.HIGHLIGHTS, ids.OPERATIONS],
        stages,
        26,
    )
    document["version"] = 2
    return document


def _error_troubleshooting() -> Document:
    stages = [
        _stage("feature_search", "filter", _feature_search(ids.TEXT_URI, 20)),
        _stage(
            "document_enrich",
            "enrich",
            {
                "target_collection_id": ids.OVERVIEWS,
                "retriever_id": ids.BY_SERVICE,
                "retriever_inputs": {"query": "{{DOC.service}}"},
            },
        ),
        _stage(
            "agentic_enrich",
            "enrich",
            {
                "taxonomy_id": ids.LEVEL_TAXONOMY,
                "example_collection_ids": [ids.ERRORS, ids.OPERATIONS],
            },
        ),
        _stage(
            "cross_compare",
            "apply",
            {"reference_collection_id": ids.OPERATIONS, "text_vector_index": ids.DENSE},
        ),
        _stage(
            "sql_lookup",
            "apply",
            {
                "connection_id": ids.CONNECTION,
                "query": "SELECT runbook FROM runbooks WHERE error = '{{DOC.title}}'",
            },
        ),
        _limit(10),
    ]
    return _retriever(
        ids.TROUBLESHOOT,
        "error_troubleshooting",
        "What an error means, and which operations of its service help",
        [ids.ERRORS],
        stages,
        28,
    )


def _similar_operations() -> Document:
    example = {
        "collection_id": ids.CATEGORIES,
        "document_id": ids.document_id("category", CATEGORIES[0].key),
    }
    search = _feature_search(ids.TEXT_URI, 30)
    search["searches"].append(
        {
            "feature_uri": ids.TEXT_URI,
            "query": {"input_mode": "document", "document_ref": example},
            "top_k": 30,
            "weight": 0.2,
        }
    )
    stages = [
        _stage(
            "feature_search",
            "filter",
            {**search, "group_by": {"field": _LABEL}, "facets": [{"key": _LABEL}]},
        ),
        _stage("mmr", "sort", {"lambda": 0.7, "diversity_feature_uri": ids.TEXT_URI}),
        _limit(5),
    ]
    document = _retriever(
        ids.SIMILAR,
        "similar_operations",
        "Operations like a text or like another document",
        [ids.OPERATIONS, ids.HIGHLIGHTS],
        stages,
        30,
    )
    document["input_schema"] = {
        "query": {"type": "string", "required": False},
        "like": {
            "type": "document_reference",
            "default": example,
            "examples": [example],
        },
    }
    return document
