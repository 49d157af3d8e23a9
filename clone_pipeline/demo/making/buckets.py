"""The two buckets, and their objects: one a category or service guide, one an operation group."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from . import ids
from .categories import CATEGORIES
from .corpus import Operation, Service

Document = dict[str, Any]

_READING = {"Get", "List", "Describe", "Search", "Query", "Scan", "Select", "Head", "Lookup"}
BUCKET_SCHEMA: dict[str, Document] = {
    ids.GUIDES: {
        "properties": {
            "page": {"type": "text", "required": True, "description": "The guide's first page"},
            "service": {"type": "string"},
            "kind": {"type": "string", "enum": ["guide", "category"]},
        }
    },
    ids.REFERENCE: {
        "properties": {
            "reference": {"type": "text", "required": True},
            "service": {"type": "string"},
            "group": {"type": "string", "enum": ["read", "change"]},
            "operations": {"type": "array", "items": {"type": "string"}},
        }
    },
}


def group_of(operation: Operation) -> str:
    """`read` or `change`: operations of a service are stored in two files."""
    verb = re.match(r"(?:Batch)?([A-Z][a-z]+)", operation.name)
    return "read" if verb and verb.group(1) in _READING else "change"


def buckets(objects: list[Document]) -> list[Document]:
    guides = _bucket(ids.GUIDES, "service_guides", "Guides and categories of services", objects)
    guides["unique_key"] = {"fields": ["service"], "default_policy": "upsert"}
    guides["source_adapter"] = {
        "adapter_type": "webhook",
        "connection_id": ids.CONNECTION,
        "webhook_url": f"https://ingest.example.com/v1/hooks/{ids.GUIDES}",
        "webhook_secret": "not-a-secret-demo-value",
    }
    guides["destination"] = {"connection_id": ids.CONNECTION, "prefix": "service_guides/"}
    reference = _bucket(ids.REFERENCE, "api_reference", "Reference pages of operations", objects)
    reference["unique_key"] = {"fields": ["service", "group"], "default_policy": "upsert"}
    reference["ingest_filter"] = {
        "retriever_id": ids.SIMILAR,
        "retriever_version": 1,
        "action": "drop",
        "on_error": "keep",
        "timeout_seconds": 20,
    }
    reference["source_adapter"] = {
        "adapter_type": "collection",
        "source_collection_id": ids.OVERVIEWS,
        "source_bucket_ids": [ids.GUIDES],
        "source_filters": {
            "AND": [{"field": "collection_id", "operator": "eq", "value": ids.OVERVIEWS}]
        },
    }
    return [guides, reference]


def _bucket(bucket: str, name: str, description: str, objects: list[Document]) -> Document:
    blobs = [item["blobs"][0] for item in objects if item["bucket_id"] == bucket]
    return {
        "bucket_id": bucket,
        "bucket_name": name,
        "description": description,
        "bucket_schema": BUCKET_SCHEMA[bucket],
        "unique_key": None,
        # Looks like a reference, is the user's own data.
        "metadata": {"team": "docs", "replaces": f"{bucket}_old", "copied_from": ids.NAMESPACE},
        "object_count": len(blobs),
        "total_size_bytes": sum(blob["details"]["size_bytes"] for blob in blobs),
        "status": "ACTIVE",
        "is_locked": False,
        "storage_class": "standard",
        "created_at": ids.moment(1),
        "updated_at": ids.moment(30),
        "last_upload_at": ids.moment(600),
        "stats_updated_at": ids.moment(605),
    }


def objects(services: list[Service]) -> Iterator[Document]:
    for number, category in enumerate(CATEGORIES):
        text = f"{category.label}: {category.summary}"
        document = _object(ids.GUIDES, "category", category.key, text, 5 + number)
        yield {**document, "kind": "category", "service": f"category:{category.key}"}
    for number, service in enumerate(services):
        yield _guide(service, 30 + number)
    for number, service in enumerate(services):
        yield from _groups(service, 300 + number)


def _guide(service: Service, minute: int) -> Document:
    document = _object(ids.GUIDES, "guide", service.name, service.text, minute)
    document |= {"kind": "guide", "service": service.name, "title": service.title}
    if service.name == "s3":
        document["source_details"] = [
            {"type": "cluster", "source_id": ids.CLUSTER},
            {"type": "taxonomy", "source_id": ids.CATEGORY_TAXONOMY},
        ]
    return document


def _groups(service: Service, minute: int) -> Iterator[Document]:
    for group in ("read", "change"):
        operations = [item for item in service.operations if group_of(item) == group]
        if not operations:
            continue
        text = "\n".join(f"{item.name}: {item.text}" for item in operations)
        document = _object(ids.REFERENCE, group, service.name, text, minute)
        document |= {"service": service.name, "group": group}
        document["operations"] = [item.name for item in operations]
        document["source_details"] = [
            {"type": "bucket", "source_id": ids.GUIDES},
            {"type": "collection", "source_id": ids.OVERVIEWS},
        ]
        document["edges"] = [
            {
                "type": "described_by",
                "target_object_id": ids.object_id("guide", service.name),
                "target_collection_id": ids.OVERVIEWS,
                "direction": "outgoing",
                "attributes": {},
            }
        ]
        if service.name == "ec2":
            # Ids in the user's own fields are data, whatever they look like.
            document["metadata"] = {"collection_id": ids.OPERATIONS, "note": f"see {ids.SEARCH}"}
        yield document


def _object(bucket: str, kind: str, name: str, text: str, minute: int) -> Document:
    place = "service_guides" if bucket == ids.GUIDES else "api_reference"
    blob_property = "page" if bucket == ids.GUIDES else "reference"
    data = text.encode()
    return {
        "object_id": ids.object_id(kind, name),
        "bucket_id": bucket,
        "key_prefix": f"/{place}/{kind}",
        "blobs": [
            {
                "blob_id": ids.blob_id(kind, name),
                "property": blob_property,
                "type": "text",
                "key_prefix": f"{ids.ORGANIZATION}/{ids.NAMESPACE}/{place}/{kind}/{name}.txt",
                "properties": {"url": url(bucket, kind, name)},
                "details": {
                    "filename": f"{name}.txt",
                    "size_bytes": len(data),
                    "mime_type": "text/plain",
                    "hash": "sha256:" + hashlib.sha256(data).hexdigest(),
                },
            }
        ],
        "source_details": [],
        "status": "COMPLETED",
        "error": None,
        "created_at": ids.moment(minute),
        "updated_at": ids.moment(minute + 2),
    }


def url(bucket: str, kind: str, name: str) -> str:
    """Where the file stands; the namespace's id is part of the location."""
    place = "service_guides" if bucket == ids.GUIDES else "api_reference"
    return f"{ids.STORAGE}/{place}/{kind}/{name}.txt"
