"""A small bundle with a bit of everything, and what is needed to read one."""

from __future__ import annotations

import json
from array import array
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline_tests.sources import Files, source

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
UUID = "3f333df6-90a4-4fda-8dd3-9485d27cee36"


def sample() -> Files:
    """Values that a format might spoil, at every kind of place."""
    return source(
        namespace={
            "organization_id": "org_acme",
            "namespace_id": "ns_prod000001",
            "namespace_name": "prod",
            "infrastructure": {"qdrant_collection": "ns_prod_store", "qdrant_url": "http://q:6333"},
            "document_count": 4,
            "bucket_count": 2,
            "object_count": 3,
            "unknown_field": {"kept": [1, 1.0, None, "\u0000", 2**80, -0.0]},
        },
        buckets=[
            {"bucket_id": "bkt_a", "bucket_name": "Videos \u2028 naïve 🎬", "description": None},
            {"bucket_id": "bkt_b", "bucket_name": "texts", "created_at": "2026-01-02T03:04:05Z"},
        ],
        objects=[
            {"object_id": "obj_1", "bucket_id": "bkt_a", "metadata": {"nul": "a\u0000b"}},
            {
                "object_id": "obj_2",
                "bucket_id": "bkt_a",
                "blobs": [{"properties": {"url": "s3://b/k"}}],
            },
            {"object_id": "obj_é", "bucket_id": "bkt_b", "price": 1.0, "count": 1, "big": 10**30},
        ],
        collections=[
            {
                "collection_id": "col_1",
                "collection_name": "scenes",
                "metadata": None,
                "x": "\ud800",
            },
        ],
        retrievers=[
            {"retriever_id": "ret_1", "retriever_name": "search", "stages": [{"a": 1e-300}]},
        ],
        taxonomies=[
            {"taxonomy_id": "tax_1", "version": 1, "taxonomy_name": "kinds", "config": {"v": 1}},
            {"taxonomy_id": "tax_1", "version": 2, "taxonomy_name": "kinds", "config": {"v": 2}},
            {"taxonomy_id": "tax_2", "version": 1, "taxonomy_name": "other", "config": {}},
        ],
        config={
            "vectors": {
                "text": {"size": 3, "distance": "Dot"},
                "late": {
                    "size": 2,
                    "distance": "Dot",
                    "multivector_config": {"comparator": "max_sim"},
                },
            },
            "sparse_vectors": {"words": {"modifier": "idf"}},
            "payload_schema": {"_internal.collection_id": {"data_type": "keyword", "points": 4}},
            "hnsw_config": {"m": 8},
            "metadata": {"made": "by hand"},
        },
        points=[
            {"id": 0, "vector": {"text": [0.1, -2.5e-7, 1]}, "payload": {"collection_id": "none"}},
            {"id": 7, "vector": {}, "payload": {}},
            {
                "id": 2**64 - 1,
                "vector": {"late": [[0.5, 1.5], [2.0, 3.0]]},
                "payload": {"nested": {"list": [1, 1.0, None, True, "ü\u0000"]}, "null": None},
            },
            {
                "id": UUID,
                "vector": {"words": {"indices": [2, 7], "values": [0.25, 3.0]}},
                "payload": {"big": 2**62},
            },
        ],
    )


def read_bundle(folder: Path) -> Files:
    files: Files = {}
    for path in sorted(folder.iterdir()):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            files[path.name] = [json.loads(line) for line in text.split("\n") if line]
        else:
            files[path.name] = json.loads(text)
    return files


def exact(value: Any) -> Any:
    """A form that tells 1, 1.0, true and -0.0 apart, and not the order of keys."""
    return json.dumps(value, sort_keys=True)


def single(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points with their vectors as 32-bit floats."""
    return [{**point, "vector": _single(point["vector"])} for point in points]


def _single(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key == "indices" else _single(item) for key, item in sorted(value.items())
        }
    if value and isinstance(value[0], list):
        return [_single(row) for row in value]
    return array("f", value).tolist()


def rows(catalog: Catalog) -> dict[str, int]:
    """How many rows each table has that has any."""
    with catalog.read() as connection:
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in schema.metadata.sorted_tables
        }
    return {name: count for name, count in counts.items() if count}


def namespace_key(catalog: Catalog) -> int:
    """Of the only namespace there is."""
    with catalog.read() as connection:
        return int(connection.execute(select(schema.namespaces.c.namespace_key)).scalar_one())
