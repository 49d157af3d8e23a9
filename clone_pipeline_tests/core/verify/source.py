"""A small source, of which a clone is damaged and proven."""

from __future__ import annotations

from typing import Any

from ... import sources

UUID = "3f333df6-90a4-4fda-8dd3-9485d27cee36"


def source(qdrant_collection: str) -> sources.Files:
    return sources.source(
        {"description": "the original"},
        store=qdrant_collection,
        buckets=[{"bucket_id": f"bkt_{letter}", "description": "files"} for letter in "abcd"],
        objects=[
            {
                "object_id": "obj_1",
                "bucket_id": "bkt_a",
                "source_details": [{"type": "collection", "source_id": "col_1"}],
            },
            {"object_id": "obj_2", "bucket_id": "bkt_a", "title": "two", "count": 1},
            {"object_id": "obj_3", "bucket_id": "bkt_a", "title": "three"},
            {"object_id": "obj_4", "bucket_id": "bkt_b", "title": "four"},
        ],
        collections=[
            {
                "collection_id": f"col_{number}",
                "collection_name": f"scenes {number}",
                "source": {"type": "bucket", "bucket_ids": ["bkt_a"]},
                "document_count": 1,
            }
            for number in range(1, 4)
        ],
        retrievers=[
            {
                "retriever_id": f"ret_{number}",
                "retriever_name": f"search {number}",
                "collection_ids": ["col_1"],
                "stages": [{"stage_id": "limit", "parameters": {"limit": 10}}],
            }
            for number in range(1, 3)
        ],
        taxonomies=[
            {
                "taxonomy_id": "tax_1",
                "version": version,
                "taxonomy_name": "kinds",
                "config": {"taxonomy_type": "flat", "retriever_id": "ret_1", "top_k": version},
            }
            for version in (1, 2)
        ],
        config=QDRANT_CONFIG,
        points=[_point(number, number) for number in range(1, 10)] + [_point(UUID, 10)],
    )


QDRANT_CONFIG: dict[str, Any] = {
    "vectors": {
        "text": {"size": 3, "distance": "Cosine"},
        "image": {"size": 2, "distance": "Dot", "on_disk": True},
        "late": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    },
    "sparse_vectors": {"words": {"modifier": "idf"}},
    "hnsw_config": {"m": 8, "ef_construct": 64},
    "quantization_config": {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}},
    "payload_schema": {
        "_internal.collection_id": {
            "data_type": "keyword",
            "params": {"type": "keyword", "is_tenant": True},
        },
        "count": {
            "data_type": "integer",
            "params": {"type": "integer", "lookup": False, "range": True},
        },
        "title": {
            "data_type": "text",
            "params": {"type": "text", "tokenizer": "prefix", "min_token_len": 3},
        },
        "_internal._taxonomy_tax_1_label": {"data_type": "keyword", "params": {"type": "keyword"}},
    },
}


def _point(point_id: int | str, number: int) -> dict[str, Any]:
    return {
        "id": point_id,
        "vector": {
            "text": [number / 7, -0.25, 1.0],
            "image": [number / 3, 0.5],
            "late": [[0.5, number / 9], [2.0, 3.0]],
            "words": {"indices": [2, 7], "values": [0.25, number / 11]},
        },
        "payload": {
            "collection_id": f"col_{1 + number % 2}",
            "title": f"scene {number}",
            "count": number,
            "_internal": {"namespace_id": "ns_prod000001", "_taxonomy_tax_1_label": "a"},
        },
    }
