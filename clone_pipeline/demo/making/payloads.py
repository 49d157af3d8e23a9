"""What the platform itself writes into a document: today's layout, and the older flat one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import ids

EXTRACTORS = {
    ids.OVERVIEWS: "text_extractor_v1",
    ids.OPERATIONS: "text_extractor_v1",
    ids.CATEGORIES: "text_extractor_v1",
    ids.ERRORS: "text_extractor_v1",
    ids.HIGHLIGHTS: "passage_extractor_v1",
}


@dataclass(frozen=True)
class Place:
    """Where a document stands, and what it was made from."""

    collection: str
    document: str
    bucket: str
    object: str
    minute: int
    parent: str | None = None
    parent_collection: str | None = None

    @property
    def path(self) -> str:
        steps = (self.bucket, self.parent_collection, self.collection)
        return "/".join(step for step in steps if step)

    @property
    def blob_property(self) -> str:
        return "page" if self.bucket == ids.GUIDES else "reference"


def internal(place: Place, blob: str) -> dict[str, Any]:
    """The `_internal` part of a payload."""
    if place.parent_collection:
        origin = {"type": "collection", "source_id": place.parent_collection}
    else:
        origin = {"type": "bucket", "source_id": place.bucket}
    return {
        "internal_id": ids.ORGANIZATION,
        "namespace_id": ids.NAMESPACE,
        "document_id": place.document,
        "collection_id": place.collection,
        "created_at": ids.moment(place.minute),
        "updated_at": ids.moment(place.minute + 1),
        "modality": "text",
        "lineage": _lineage(place),
        "source_blobs": [
            {"blob_id": blob, "blob_property": place.blob_property, "blob_type": "text"}
        ],
        "source_details": [origin],
        "metadata": {"ingestion_status": "COMPLETED"},
    }


def _lineage(place: Place) -> dict[str, Any]:
    chain = [_chain_step(place.collection, place.document, place.minute)]
    source: dict[str, Any] = {"source_type": "bucket", "source_object_id": place.object}
    if place.parent and place.parent_collection:
        chain.insert(0, _chain_step(place.parent_collection, place.parent, place.minute - 1))
        source = {
            "source_type": "collection",
            "source_document_id": place.parent,
            "source_collection_id": place.parent_collection,
        }
    return {
        "root_object_id": place.object,
        "root_bucket_id": place.bucket,
        **source,
        "path": place.path,
        "chain": chain,
    }


def _chain_step(collection: str, document: str, minute: int) -> dict[str, Any]:
    return {
        "collection_id": collection,
        "feature_extractor_id": EXTRACTORS[collection],
        "document_id": document,
        "timestamp": ids.moment(minute),
    }


def taxonomy_fields(
    taxonomy: str, node: str, label: str, score: float, assignments: list[str] | None = None
) -> dict[str, Any]:
    """What applying a taxonomy leaves in a document: field names that contain its id."""
    fields = {
        f"_taxonomy_{taxonomy}_id": node,
        f"_taxonomy_{taxonomy}_label": label,
        f"_taxonomy_{taxonomy}_score": score,
    }
    if assignments is not None:
        fields[f"_taxonomy_{taxonomy}_assignments"] = assignments
    return fields


def legacy(place: Place, blob: str) -> dict[str, Any]:
    """The same facts as older versions of the platform wrote them: flat, at the root."""
    return {
        "internal_id": ids.ORGANIZATION,
        "namespace_id": ids.NAMESPACE,
        "root_object_id": place.object,
        "root_bucket_id": place.bucket,
        "source_type": "collection",
        "source_collection_id": place.parent_collection,
        "source_document_id": place.parent,
        "parent_document_id": place.parent,
        "lineage_path": place.path,
        "processing_tier": 2,
        "feature_refs": [ids.TEXT_URI],
        "source_blobs": [
            {"blob_id": blob, "blob_property": place.blob_property, "blob_type": "text"}
        ],
        "document_blobs": [],
        "internal_metadata": {
            "processing_history": [
                {"operation": "text_extraction", "timestamp": ids.moment(place.minute)}
            ]
        },
        "created_at": ids.moment(place.minute),
        "updated_at": ids.moment(place.minute + 1),
        "__fully_enriched": True,
        "__missing_features": [],
        "__pipeline_version": 3,
    }
