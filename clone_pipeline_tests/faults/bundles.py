"""A small namespace with every kind of thing that a crash could tear, as a bundle.

Its ids stand nowhere but at mapped places, so that the clone must equal the source with each id
replaced as text: a reading of "rewritten" that knows nothing of the product's own tables.
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

from clone_pipeline_tests.sources import Files, source, write_bundle

NAMESPACE, NAME, QDRANT = "ns_srcAAAAAA1", "source", "source_points"
BUCKETS = ("bkt_srcAAAA1", "bkt_srcAAAA2")
COLLECTIONS = ("col_srcAAAAA1", "col_srcAAAAA2", "col_srcAAAAA3")
RETRIEVERS = ("ret_srcAAAAAAAAA1", "ret_srcAAAAAAAAA2")
TAXONOMIES = ("tax_srcAAAAAAA1", "tax_srcAAAAAAA2")
# Versions of one taxonomy are rows of their own.
ROWS = {"buckets": 2, "collections": 3, "retrievers": 2, "taxonomies": 3}

_TIMES = {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:06Z"}


def write_namespace(folder: Path, **more: Any) -> Path:
    """A bundle folder, for the command line."""
    return write_bundle(folder, small_namespace(**more))


def small_namespace(*, points: int = 120, objects: int = 40, marker: str = "first") -> Files:
    """`marker` stands in every document and every point."""
    return source(
        namespace={
            "namespace_id": NAMESPACE,
            "namespace_name": NAME,
            "payload_indexes": [{"field_name": "lang", "type": "keyword"}],
            "marker": marker,
            **_TIMES,
        },
        store=QDRANT,
        buckets=[
            {"bucket_id": id, "bucket_name": f"bucket {index}", "marker": marker, **_TIMES}
            for index, id in enumerate(BUCKETS)
        ],
        objects=[_object(index, marker) for index in range(objects)],
        collections=_collections(marker),
        retrievers=_retrievers(marker),
        taxonomies=_taxonomies(marker),
        config={
            "vectors": {
                "text": {"size": 6, "distance": "Cosine"},
                "image": {"size": 4, "distance": "Dot"},
                "late": {
                    "size": 2,
                    "distance": "Dot",
                    "multivector_config": {"comparator": "max_sim"},
                },
            },
            "sparse_vectors": {"words": {}},
            "payload_schema": {
                "lang": {"data_type": "keyword"},
                f"_taxonomy_{TAXONOMIES[0]}_label": {"data_type": "keyword"},
            },
        },
        points=[_point(index, marker) for index in range(points)],
    )


def _object(index: int, marker: str) -> dict[str, Any]:
    """Two of three are copied inside the database, the third has ids and travels through us."""
    document: dict[str, Any] = {
        "object_id": f"obj_{index:05}",
        "bucket_id": BUCKETS[index % 2],
        "blobs": [{"properties": {"url": f"s3://files/{index}.txt"}}],
        "marker": marker,
        **_TIMES,
    }
    if index % 3 == 0:
        document["source_details"] = [{"type": "bucket", "source_id": BUCKETS[1]}]
        document["edges"] = [
            {"target_object_id": "obj_00000", "target_collection_id": COLLECTIONS[0]}
        ]
    return document


def _collections(marker: str) -> list[dict[str, Any]]:
    first, second, third = COLLECTIONS
    common = {"marker": marker, **_TIMES}
    return [
        {
            "collection_id": first,
            "collection_name": "scenes",
            "source": {"type": "bucket", "bucket_ids": list(BUCKETS)},
            "taxonomy_applications": [
                {"taxonomy_id": TAXONOMIES[0], "target_collection_id": second}
            ],
            **common,
        },
        {
            "collection_id": second,
            "collection_name": "faces",
            "source": {"type": "collection", "collection_id": first},
            "retriever_enrichments": [{"retriever_id": RETRIEVERS[0]}],
            **common,
        },
        {
            "collection_id": third,
            "collection_name": "labels",
            "source": {"type": "bucket", "bucket_ids": [BUCKETS[1]]},
            **common,
        },
    ]


def _retrievers(marker: str) -> list[dict[str, Any]]:
    enrich = {"stage_id": "taxonomy_enrich", "parameters": {"taxonomy_id": TAXONOMIES[0]}}
    nested = {"retriever_id": RETRIEVERS[0], "collection_ids": [COLLECTIONS[1]]}
    return [
        {
            "retriever_id": RETRIEVERS[0],
            "retriever_name": "search",
            "collection_ids": [COLLECTIONS[0], COLLECTIONS[2]],
            "stages": [{"stage_name": "enrich", "config": enrich}],
            "marker": marker,
            **_TIMES,
        },
        {
            "retriever_id": RETRIEVERS[1],
            "retriever_name": "search twice",
            "collection_ids": [COLLECTIONS[1]],
            "stages": [{"stage_name": "inner", "config": {"parameters": nested}}],
            "marker": marker,
            **_TIMES,
        },
    ]


def _taxonomies(marker: str) -> list[dict[str, Any]]:
    flat: dict[str, Any] = {
        "taxonomy_id": TAXONOMIES[0],
        "taxonomy_name": "kinds",
        "config": {
            "taxonomy_type": "flat",
            "retriever_id": RETRIEVERS[0],
            "source_collection": {"collection_id": COLLECTIONS[2]},
        },
        "marker": marker,
        **_TIMES,
    }
    nodes = [
        {"collection_id": COLLECTIONS[0], "parent_collection_id": None},
        {"collection_id": COLLECTIONS[1], "parent_collection_id": COLLECTIONS[0]},
    ]
    tree: dict[str, Any] = {
        "taxonomy_id": TAXONOMIES[1],
        "version": 1,
        "taxonomy_name": "tree",
        "config": {"taxonomy_type": "hierarchical", "hierarchical_nodes": nodes},
        "marker": marker,
        **_TIMES,
    }
    return [flat | {"version": 1}, flat | {"version": 2}, tree]


def _point(index: int, marker: str) -> dict[str, Any]:
    chance = random.Random(f"{index} {marker}")
    return {
        "id": index if index % 2 else str(uuid.UUID(int=chance.getrandbits(128))),
        "vector": _vectors(index, chance),
        "payload": {
            "marker": marker,
            "lang": "en",
            f"_taxonomy_{TAXONOMIES[0]}_label": "dog",
            "_internal": {
                "namespace_id": NAMESPACE,
                "internal_id": "org_acme",
                "collection_id": COLLECTIONS[index % 3],
                "lineage": {
                    "root_bucket_id": BUCKETS[index % 2],
                    "path": f"{BUCKETS[index % 2]}/{COLLECTIONS[0]}",
                },
            },
        },
    }


def _vectors(index: int, chance: random.Random) -> dict[str, Any]:
    """Each kind of vector, and now and then none at all."""
    if index % 10 == 9:
        return {}
    vectors: dict[str, Any] = {"text": [chance.gauss(0, 1) for _ in range(6)]}
    if index % 3 == 0:
        vectors["image"] = [chance.gauss(0, 1) for _ in range(4)]
    if index % 4 == 0:
        vectors["words"] = {"indices": [1, 5 + index], "values": [0.5, chance.random()]}
    if index % 5 == 0:
        vectors["late"] = [[chance.random(), 1.0], [2.0, chance.random()]]
    return vectors
