"""A flat taxonomy in two versions, and a hierarchical one whose nodes are collections."""

from __future__ import annotations

from typing import Any

from . import ids

Document = dict[str, Any]


def taxonomies() -> list[Document]:
    return [_category(1, 10), _category(2, 1100), _level()]


def _mapping(path: str) -> Document:
    return {"input_key": "query", "source_type": "payload", "path": path, "override": None}


def _category(version: int, minute: int) -> Document:
    fields = [{"field_path": "label", "target_field": "service_category", "merge_mode": "replace"}]
    if version == 2:
        fields.append(
            {"field_path": "keywords", "target_field": "category_keywords", "merge_mode": "append"}
        )
    return {
        "taxonomy_id": ids.CATEGORY_TAXONOMY,
        "version": version,
        "taxonomy_name": "service_category",
        "description": "Which category of service a document is about",
        "retriever_id": ids.CATEGORY_LOOKUP,
        "input_mappings": [_mapping("text")],
        "config": {
            "taxonomy_type": "flat",
            "retriever_id": ids.CATEGORY_LOOKUP,
            "input_mappings": [_mapping("text")],
            "source_collection": {
                "collection_id": ids.CATEGORIES,
                "enrichment_fields": fields,
            },
            "top_k": 1,
            "step_analytics": None,
        },
        "ready": True,
        "created_at": ids.moment(minute),
        "metadata": {"reviewed_in": ids.CATEGORIES},
    }


def _level() -> Document:
    return {
        "taxonomy_id": ids.LEVEL_TAXONOMY,
        "version": 1,
        "taxonomy_name": "documentation_level",
        "description": "Whether a sentence speaks about a service, an operation or an error",
        "retriever_id": None,
        "input_mappings": [],
        "config": {
            "taxonomy_type": "hierarchical",
            "retriever_id": ids.SEARCH,
            "input_mappings": [_mapping("text")],
            "hierarchical_nodes": [
                _node(ids.OVERVIEWS, None, ids.SEARCH, "Service"),
                _node(ids.OPERATIONS, ids.OVERVIEWS, ids.SIMILAR, "Operation"),
                _node(ids.ERRORS, ids.OVERVIEWS, ids.TROUBLESHOOT, "Error"),
            ],
            "inference_strategy": "schema",
            "inference_collections": [ids.OVERVIEWS, ids.OPERATIONS, ids.ERRORS],
            "cluster_ids": [ids.CLUSTER],
            "llm_provider": "openai",
            "llm_model": "gpt-4o-mini",
            "llm_prompt_template": "Describe {collection_name} ({collection_id}) in one line.",
            "llm_sample_size": 0,
            "cluster_overlap_threshold": 0.7,
            "step_analytics": None,
        },
        "ready": True,
        "created_at": ids.moment(12),
        "metadata": None,
    }


def _node(collection: str, parent: str | None, retriever: str, label: str) -> Document:
    return {
        "collection_id": collection,
        "parent_collection_id": parent,
        "retriever_id": retriever,
        "label": label,
        "summary": f"Sentences about one {label.lower()}",
        "keywords": [label.lower()],
        "enrichment_fields": [
            {"field_path": "title", "target_field": "level_title", "merge_mode": "replace"}
        ],
        "input_mappings": [_mapping("text")],
    }
