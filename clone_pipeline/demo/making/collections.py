"""The collections: three fed from buckets, two made from other collections, one still empty."""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import ids
from .buckets import BUCKET_SCHEMA

Document = dict[str, Any]

_TEXT_FIELDS = {
    "title": {"type": "string"},
    "text": {"type": "text"},
    "service": {"type": "string"},
}


def collections(counts: Counter[str]) -> list[Document]:
    documents = [
        _overviews(),
        _operations(),
        _highlights(),
        _errors(),
        _categories(),
        _questions(),
    ]
    for document in documents:
        document["document_count"] = counts[document["collection_id"]]
    return documents


def _collection(identifier: str, name: str, description: str, minute: int) -> Document:
    return {
        "collection_id": identifier,
        "collection_name": name,
        "description": description,
        "metadata": {"owner": "docs"},
        "source": {},
        "feature_extractor": {},
        "input_schema": {"properties": {"text": {"type": "text"}}},
        "output_schema": {"properties": _TEXT_FIELDS},
        "source_bucket_schemas": None,
        "source_lineage": [],
        "vector_indexes": [],
        "payload_indexes": [],
        "taxonomy_applications": None,
        "retriever_enrichments": None,
        "cluster_applications": None,
        "alert_applications": None,
        "enabled": True,
        "schedule": None,
        "trigger_id": None,
        "schema_version": 1,
        "schema_sync_enabled": True,
        "lifecycle_state": "active",
        "s3_vector_index": f"col_{identifier}",
        "created_at": ids.moment(minute),
        "updated_at": ids.moment(minute + 1000),
    }


def _extractor(name: str, source_field: str) -> Document:
    return {
        "feature_extractor_name": name,
        "version": "v1",
        "params": None,
        "parameters": {"model": "all-MiniLM-L6-v2", "normalize": True},
        "input_mappings": {"text": source_field},
        "field_passthrough": [{"source_path": "service", "required": True}],
        "include_all_source_fields": False,
        "feature_extractor_id": f"{name}_v1",
    }


def _vector(name: str, uri: str, storage: str, kind: str = "dense") -> Document:
    return {
        "name": name,
        "feature_uri": uri,
        "index": {
            "name": storage,
            "type": kind,
            "dimensions": None if kind == "sparse" else ids.DIMENSIONS,
            "distance": "cosine",
            "datatype": "float32",
        },
    }


def _text_vector() -> Document:
    return _vector("embedding", ids.TEXT_URI, ids.DENSE)


def _overviews() -> Document:
    document = _collection(ids.OVERVIEWS, "service_overviews", "A service in short", 2)
    document |= {
        "source": {
            "type": "bucket",
            "bucket_ids": [ids.GUIDES],
            "source_filters": {"AND": [{"field": "kind", "operator": "eq", "value": "guide"}]},
            "field_map": {ids.GUIDES: [{"source_path": "service", "target_path": "service"}]},
        },
        "feature_extractor": _extractor("text_extractor", "page"),
        "source_bucket_schemas": {ids.GUIDES: BUCKET_SCHEMA[ids.GUIDES]},
        "vector_indexes": [_text_vector()],
        "cluster_applications": [
            {
                "cluster_id": ids.CLUSTER,
                "auto_execute_on_batch": True,
                "min_document_threshold": 50,
                "cooldown_seconds": 3600,
                "execution_phase": 2,
                "priority": 0,
            }
        ],
        "schedule": {"trigger_type": "cron", "schedule_config": {"cron_expression": "0 3 * * *"}},
        "trigger_id": ids.TRIGGER,
    }
    return document


def _operations() -> Document:
    document = _collection(ids.OPERATIONS, "api_operations", "Every operation of a service", 3)
    document |= {
        "source": {"type": "bucket", "bucket_ids": [ids.REFERENCE]},
        "feature_extractor": _extractor("text_extractor", "reference"),
        "source_bucket_schemas": {ids.REFERENCE: BUCKET_SCHEMA[ids.REFERENCE]},
        "vector_indexes": [_text_vector()],
        "payload_indexes": [
            {"field_name": "service", "type": "keyword", "field_schema": None},
            {
                "field_name": f"_internal._taxonomy_{ids.CATEGORY_TAXONOMY}_label",
                "type": "keyword",
                "field_schema": None,
            },
        ],
        "taxonomy_applications": [
            {
                "taxonomy_id": ids.CATEGORY_TAXONOMY,
                "target_collection_id": None,
                "execution_mode": "materialize",
                "scroll_filters": {
                    "AND": [
                        {
                            "field": "_internal.collection_id",
                            "operator": "eq",
                            "value": ids.OPERATIONS,
                        }
                    ]
                },
                "execution_phase": 1,
                "priority": 10,
            }
        ],
        "retriever_enrichments": [_related_operations()],
        "alert_applications": [
            {
                "alert_id": ids.ALERT,
                "execution_mode": "on_ingest",
                "input_mappings": [
                    {
                        "input_key": "watched",
                        "source": {"source_type": "constant", "value": ids.OPERATIONS},
                    }
                ],
                "execution_phase": 3,
                "priority": 0,
            }
        ],
    }
    return document


def _related_operations() -> Document:
    return {
        "retriever_id": ids.SIMILAR,
        "input_mappings": [
            {"input_key": "text", "source": {"source_type": "document_field", "path": "text"}},
            {
                "input_key": "collection",
                "source": {"source_type": "constant", "value": ids.OPERATIONS},
            },
        ],
        "write_back_fields": [
            {"source_field": "document_id", "target_field": "_related_ids", "mode": "all_as_array"}
        ],
        "execution_phase": 4,
        "priority": 0,
        "enabled": True,
    }


def _highlights() -> Document:
    document = _collection(
        ids.HIGHLIGHTS, "operation_highlights", "The most telling sentence of an operation", 4
    )
    upstream: Document = {"type": "bucket", "bucket_ids": [ids.REFERENCE]}
    own: Document = {
        "type": "collection",
        "collection_id": ids.OPERATIONS,
        "inherited_bucket_ids": [ids.REFERENCE],
    }
    extractor = _extractor("passage_extractor", "text")
    document |= {
        "source": {
            **own,
            "source_filters": {
                "AND": [
                    {
                        "field": "_internal.lineage.root_bucket_id",
                        "operator": "in",
                        "value": [ids.REFERENCE],
                    }
                ]
            },
            "field_map": {ids.OPERATIONS: [{"source_path": "operation"}]},
        },
        "feature_extractor": extractor,
        "source_lineage": [
            _tier(upstream, _extractor("text_extractor", "reference")),
            _tier(own, extractor),
        ],
        "vector_indexes": [
            _vector("embedding", ids.PASSAGE_URI, ids.DENSE_BY_MODEL),
            _vector("terms", ids.TERMS_URI, ids.SPARSE, "sparse"),
        ],
        "taxonomy_applications": [
            {
                "taxonomy_id": ids.LEVEL_TAXONOMY,
                "target_collection_id": ids.HIGHLIGHTS,
                "execution_mode": "materialize",
                "scroll_filters": None,
                "execution_phase": 1,
                "priority": 0,
                "hierarchical_enrichment_style": "full_chain",
            }
        ],
    }
    return document


def _tier(source: Document, extractor: Document) -> Document:
    return {
        "source_config": source,
        "feature_extractor": extractor,
        "output_schema": {"properties": _TEXT_FIELDS},
    }


def _errors() -> Document:
    document = _collection(
        ids.ERRORS, "error_reference", "Errors of a service; written by an older pipeline", 5
    )
    document |= {
        "source": {
            "type": "collection",
            "collection_ids": [ids.OVERVIEWS],
            "inherited_bucket_ids": [ids.GUIDES],
        },
        "feature_extractor": _extractor("text_extractor", "text"),
        "source_lineage": [
            _tier(
                # The singular is how older records name their bucket.
                {"type": "bucket", "bucket_id": ids.GUIDES, "source_namespace_id": ids.NAMESPACE},
                _extractor("text_extractor", "page"),
            )
        ],
        "vector_indexes": [_text_vector()],
        "schema_version": 1,
    }
    return document


def _categories() -> Document:
    document = _collection(
        ids.CATEGORIES, "service_categories", "The nodes of the category taxonomy", 6
    )
    document |= {
        "source": {
            "type": "bucket",
            "bucket_ids": [ids.GUIDES],
            "source_filters": {"AND": [{"field": "kind", "operator": "eq", "value": "category"}]},
        },
        "feature_extractor": _extractor("text_extractor", "page"),
        "source_bucket_schemas": {ids.GUIDES: BUCKET_SCHEMA[ids.GUIDES]},
        "vector_indexes": [
            _text_vector(),
            _vector("keywords", ids.KEYWORDS_URI, ids.MULTI, "multi_dense"),
        ],
    }
    return document


def _questions() -> Document:
    document = _collection(ids.QUESTIONS, "common_questions", "Not filled yet", 7)
    document |= {
        "source": {"type": "bucket", "bucket_ids": [ids.GUIDES, ids.REFERENCE]},
        "feature_extractor": _extractor("text_extractor", "text"),
        "source_bucket_schemas": BUCKET_SCHEMA,
        "vector_indexes": [_text_vector()],
        "index_map": {ids.TEXT_URI: ids.TEXT_URI},
        "retriever_transform": {
            "retriever_id": ids.ANSWERS,
            "retriever_version": 2,
            "input_mappings": [
                {"input_key": "query", "source": {"source_type": "document_field", "path": "title"}}
            ],
            "write_back_fields": [
                {"source_field": "text", "target_field": "answer", "mode": "first"}
            ],
            "unique_id_field": "title",
        },
        "enabled": False,
        "disabled_reason": {
            "code": "source_collection_deleted",
            "message": "The collection of logged searches was deleted",
            "source_collection_id": ids.DELETED_COLLECTION,
            "source_collection_name": "search_logs",
            "disabled_at": ids.moment(1100),
        },
    }
    return document
