"""Objects and points: records, whose references are data where their target is not cloned."""

from __future__ import annotations

from typing import Any

from .marks import REMOVED, Becomes, Ref, Sets, Spelled
from .world import NAMESPACE_ID, ORGANIZATION, World

Json = dict[Any, Any]

_UUID = "3f333df6-90a4-4fda-8dd3-9485d27cee3"
POINT_IDS: list[int | str] = [
    *(0, 7, *range(100, 105), 2**53 + 1, 2**64 - 1),
    *(f"{_UUID}{digit}" for digit in "0af"),
]
INDEXES: Json = {"_internal.collection_id": {"data_type": "keyword"}}
QDRANT_CONFIG: Json = {
    "vectors": {
        "text_dense": {"size": 3, "distance": "Cosine"},
        "image_dense": {"size": 2, "distance": "Dot"},
        "late": {
            "size": 2,
            "distance": "Dot",
            "multivector_config": {"comparator": "max_sim"},
        },
    },
    "sparse_vectors": {"words": {"modifier": "idf"}},
    "hnsw_config": {"m": 8},
    "metadata": {"made": "for a test"},
}


def _data(world: World, kind: str) -> Ref:
    return world.ref(kind, "data")


def object_record(world: World, number: int) -> Json:
    object_id = f"obj_{number}"
    optional = {
        "key_prefix": f"{ORGANIZATION}/{NAMESPACE_ID}/",
        "blobs": [_blob(world, number)],
        "source_details": world.pick.one(([], [_detail(world) for _ in range(3)])),
        "edges": [_edge(world)],
        "status": "COMPLETED",
        "metadata": world.user_data(),
        "collection_id": world.pick.one(world.ids["collection"]),
        "price": 1.0,
        "created_at": "2026-02-03T04:05:06Z",
    }
    return {
        "object_id": object_id,
        "bucket_id": Ref("bucket", world.pick.one(world.ids["bucket"]), "data"),
        **world.pick.keep(optional),
    }


def _blob(world: World, number: int) -> Json:
    url = f"s3://store/{ORGANIZATION}/{NAMESPACE_ID}/{world.pick.one(world.ids['bucket'])}/f.mp4"
    signed = Becomes(f"{url}?X-Amz-Signature=1", REMOVED, told=False)
    properties = world.pick.keep(world.user_data() | {"presigned_url": signed})
    optional = {
        "key_prefix": f"{NAMESPACE_ID}/f.mp4",
        "presigned_url": signed,
        "details": {"size_bytes": number},
    }
    return {
        "blob_id": f"blob_{number}",
        "property": "clip",
        "type": "video",
        "properties": properties | {"url": url},
        **world.pick.keep(optional),
    }


def _detail(world: World) -> Json:
    kind = world.pick.one(("bucket", "collection", "taxonomy", "cluster", "none"))
    if kind in ("cluster", "none"):
        return {"type": kind, "source_id": world.pick.one(world.ids["collection"])}
    return {"type": kind, "source_id": _data(world, kind)}


def _edge(world: World) -> Json:
    return {
        "type": "uses",
        "target_object_id": "obj_0",
        "target_collection_id": world.pick.one((_data(world, "collection"), None)),
        "attributes": {"collection_id": world.pick.one(world.ids["collection"])},
    }


def point(world: World, point_id: int | str) -> Json:
    layout = world.pick.one((_nested_payload, _flat_payload))
    return {"id": point_id, "vector": _vectors(world), "payload": layout(world)}


def _vectors(world: World) -> Json:
    n = world.pick.number(1, 100) / 7
    return world.pick.keep(
        {
            "text_dense": [n, -0.25, 1.0],
            "image_dense": [n, -0.0],
            "late": [[n, 1.5], [2.0, -n]],
            "words": {"indices": [2, 7], "values": [0.25, n]},
        }
    )


def _user_fields(world: World) -> Json:
    seen_in = world.pick.one(world.ids["collection"])
    return world.pick.keep(
        {
            "title": f"about {seen_in}",
            "seen_in": seen_in,
            seen_in: [seen_in, {"collection_id": seen_in}],
            "metadata": world.user_data(),
            "cluster_id": "cl_0",
            "_related_ids": ["doc_1", seen_in],
            "count": 1,
            "score": 1.0,
            "nothing": None,
            "big": 2**62,
        }
    )


def _nested_payload(world: World) -> Json:
    lineage = {
        "root_object_id": "obj_0",
        "root_bucket_id": _data(world, "bucket"),
        "source_type": "collection",
        "source_collection_id": _data(world, "collection"),
        "source_document_id": "doc_0",
        "path": _path(world),
        "chain": [
            {
                "collection_id": _data(world, "collection"),
                "feature_extractor_id": "text_extractor_v1",
                "document_id": "doc_0",
            }
        ],
        "retriever_id": _data(world, "retriever"),
    }
    url = f"s3://store/{ORGANIZATION}/{NAMESPACE_ID}/f.mp4"
    processing = {
        "source_url": url,
        "object_key_source": f"{NAMESPACE_ID}/{world.pick.one(world.ids['bucket'])}",
        "taxonomy_lineage": [_data(world, "taxonomy"), _taxonomy_step(world)],
        "history": [_join(world)],
    }
    internal = {
        "internal_id": Sets("organization", world.pick.one((ORGANIZATION, "int_stale", None))),
        "namespace_id": Sets("namespace", world.pick.one((NAMESPACE_ID, "ns_stale", None))),
        "document_id": "doc_1",
        "lineage": world.pick.keep(lineage),
        "processing": world.pick.keep(processing),
        "source_blobs": [{"blob_id": "blob_1", "blob_property": "content"}],
        "document_blobs": [_document_blob(world, url)],
        "source_details": [_detail(world) for _ in range(2)],
        "metadata": {"ingestion_status": "COMPLETED", "seen": world.ids["collection"][0]},
        "_acl": {"owner": world.ids["collection"][0], "read": []},
    }
    root = {"document_id": "doc_1", "edges": [_edge(world)], **_user_fields(world)}
    collection = _data(world, "collection")
    return {
        "collection_id": collection,
        **world.pick.keep(root),
        "_internal": {
            "collection_id": collection,
            **world.pick.keep(internal),
            **_taxonomy_fields(world, ""),
        },
    }


def _flat_payload(world: World) -> Json:
    optional = {
        "namespace_id": Sets("namespace", world.pick.one((NAMESPACE_ID, "ns_stale"))),
        "internal_id": Ref("organization", ORGANIZATION, "data"),
        "bucket_id": _data(world, "bucket"),
        "root_object_id": "obj_0",
        "root_bucket_id": _data(world, "bucket"),
        "source_type": "bucket",
        "source_object_id": "obj_0",
        "source_collection_id": _data(world, "collection"),
        "source_document_id": "doc_0",
        "parent_document_id": "doc_0",
        "lineage_path": _path(world),
        "lineage_chain": [{"collection_id": _data(world, "collection"), "document_id": "doc_0"}],
        "source_details": [_detail(world)],
        "document_blobs": [_document_blob(world, f"s3://store/{NAMESPACE_ID}/f")],
        "processing_tier": 1,
        "source_blobs": [{"blob_id": "blob_1", "url": f"s3://store/{NAMESPACE_ID}/f"}],
        "internal_metadata": {"processing_history": [_join(world)]},
        "__fully_enriched": True,
        **_user_fields(world),
    }
    return {
        "document_id": "doc_2",
        "collection_id": _data(world, "collection"),
        **world.pick.keep(optional),
        **_taxonomy_fields(world, ""),
    }


def _path(world: World) -> Spelled:
    first, second = _data(world, "collection"), _data(world, "collection")
    return Spelled((_data(world, "bucket"), "/", first, "/", second))


def _join(world: World) -> Json:
    taxonomies = world.refs("taxonomy", "data")
    by = {"retriever_id": _data(world, "retriever"), "collection_id": _data(world, "collection")}
    return {"operation": "taxonomy_join", "taxonomy_ids_applied": taxonomies, **world.pick.keep(by)}


def _taxonomy_step(world: World) -> Json:
    return {
        "taxonomy_id": _data(world, "taxonomy"),
        "collection_id": _data(world, "collection"),
        "retriever_id": _data(world, "retriever"),
        "node_id": world.pick.one((_data(world, "collection"), "doc_9")),
        "path": [_data(world, "collection"), _data(world, "collection")],
        "target_collection_id": _data(world, "collection"),
    }


def _document_blob(world: World, url: str) -> Json:
    signed = Becomes(f"{url}?X-Amz-Signature=1", REMOVED, told=False)
    return {"field": "thumbnail", "url": url, **world.pick.keep({"presigned_url": signed})}


def _taxonomy_fields(world: World, prefix: str) -> Json:
    """`_taxonomy_<id>_...`: the node is a document, or in a hierarchical one a collection."""
    node = world.pick.one((_data(world, "collection"), "doc_9"))
    values = {
        "id": node,
        "label": world.pick.one(world.ids["collection"]),
        "score": 0.5,
        "assignments": [_data(world, "collection"), "doc_8"],
    }
    fields = world.fields("id", "label", "score", "assignments", prefix=prefix)
    return {name: values[what] for name, what in fields.items()}
