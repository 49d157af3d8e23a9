"""The namespace's own document, and the configuration of its Qdrant collection."""

from __future__ import annotations

from typing import Any

from . import ids

Document = dict[str, Any]

_TENANT = {"type": "keyword", "is_tenant": True}
_KEYWORD = {"type": "keyword"}
_PROTECTED = (
    ("namespace_id", "keyword"),
    ("collection_id", "keyword"),
    ("document_id", "keyword"),
    ("bucket_id", "keyword"),
    ("object_id", "keyword"),
    ("root_object_id", "keyword"),
    ("root_bucket_id", "keyword"),
    ("source_object_id", "keyword"),
    ("created_at", "datetime"),
    ("updated_at", "datetime"),
)


def _index(field: str, schema: Document, protected: bool = False) -> Document:
    return {
        "field_name": field,
        "type": schema["type"],
        "field_schema": schema,
        "is_protected": protected,
    }


def payload_indexes() -> list[Document]:
    label = f"_internal._taxonomy_{ids.CATEGORY_TAXONOMY}_label"
    score = f"_internal._taxonomy_{ids.CATEGORY_TAXONOMY}_score"
    text = {
        "type": "text",
        "tokenizer": "word",
        "min_token_len": 2,
        "max_token_len": 20,
        "lowercase": True,
    }
    return [
        _index("internal_id", _TENANT, protected=True),
        *(_index(field, {"type": kind}, protected=True) for field, kind in _PROTECTED),
        _index("_internal.internal_id", _TENANT, protected=True),
        _index("_internal.collection_id", _KEYWORD, protected=True),
        _index("_internal.lineage.root_bucket_id", _KEYWORD),
        _index("service", _KEYWORD),
        _index("service_category", _KEYWORD),
        _index("text", text),
        _index("position", {"type": "integer", "lookup": False, "range": True}),
        _index("deprecated", {"type": "bool"}),
        _index(label, _KEYWORD),
        _index(score, {"type": "float"}),
    ]


def namespace(object_count: int, point_count: int, collection_count: int) -> Document:
    return {
        "namespace_id": ids.NAMESPACE,
        "namespace_name": ids.NAMESPACE_NAME,
        "organization_id": ids.ORGANIZATION,
        "object": "namespace",
        "namespace_type": "standard",
        "scope": "org",
        "mode": "managed",
        "description": "Operations of cloud services: guides, API reference and errors, searchable",
        "infrastructure": _infrastructure(),
        "cluster_id": None,
        "feature_extractors": [
            _extractor("text_extractor", {"model": "all-MiniLM-L6-v2", "dimensions": 384}),
            _extractor("passage_extractor", {"model": "all-MiniLM-L6-v2", "terms": "bm25"}),
        ],
        "payload_indexes": payload_indexes(),
        "auto_create_indexes": False,
        "vector_inference_map": {
            ids.DENSE: "sentence_transformers__all_minilm_l6_v2",
            ids.DENSE_BY_MODEL: "sentence_transformers__all_minilm_l6_v2",
            ids.MULTI: "sentence_transformers__all_minilm_l6_v2",
            ids.SPARSE: "lexical_terms",
        },
        "trusted_issuers": [
            {
                "issuer": "https://login.example.com/",
                "retrievers": [ids.SEARCH, "operations_by_service"],
                "collections": ["service_overviews", ids.OPERATIONS],
                "owner_writable_collections": [ids.QUESTIONS],
                "claim_filters": [{"claim": "services", "field": "service"}],
            }
        ],
        "document_count": point_count,
        "bucket_count": 2,
        "collection_count": collection_count,
        "object_count": object_count,
        "namespace_ready": True,
        "document_count_complete": True,
        "created_at": ids.moment(0),
        "updated_at": ids.moment(1200),
    }


def _infrastructure() -> Document:
    return {
        "qdrant_collection": "ns_cloud_api_docs",
        "compute_tier": "shared",
        "ray_cluster_id": "ray_demo_shared",
        "max_concurrent_jobs": 10,
        "autoscaling_enabled": True,
        "min_workers": 1,
        "max_workers": 4,
        "gpu_type": None,
        "gpus_per_worker": 0,
        "s3_plugin_bucket": "mixpeek-plugins",
        "s3_plugin_prefix": f"{ids.NAMESPACE}/",
        "max_custom_plugins": 1,
        "max_custom_models": 0,
        "compute_profiles": {"text_extractor_v1": {"cpus": 2}},
    }


def _extractor(name: str, params: Document) -> Document:
    return {
        "feature_extractor_name": name,
        "version": "v1",
        "params": params,
        "feature_extractor_id": f"{name}_v1",
    }


def qdrant() -> Document:
    dense = {"size": ids.DIMENSIONS, "distance": "Cosine"}
    return {
        "vectors": {
            ids.DENSE: dense,
            ids.DENSE_BY_MODEL: {**dense, "on_disk": True},
            ids.MULTI: {
                **dense,
                "hnsw_config": {"m": 0},
                "multivector_config": {"comparator": "max_sim"},
            },
        },
        "sparse_vectors": {ids.SPARSE: {"index": {"on_disk": False}, "modifier": "idf"}},
        "payload_schema": {
            index["field_name"]: {"data_type": index["type"], "params": index["field_schema"]}
            for index in payload_indexes()
        },
        "hnsw_config": {"m": 16, "ef_construct": 128, "full_scan_threshold": 10000},
        "quantization_config": {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}},
        "optimizers_config": {"indexing_threshold": 10000},
        "on_disk_payload": True,
        "metadata": {"purpose": "demo"},
    }
