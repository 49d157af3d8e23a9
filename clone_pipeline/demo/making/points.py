"""The documents of every collection with their vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from . import ids
from .buckets import group_of, url
from .categories import CATEGORIES
from .corpus import ErrorEntry, Operation, Service
from .payloads import Place, internal, legacy, taxonomy_fields
from .space import Space

Point = dict[str, Any]

# Extraction has not run for these: documents without vectors are ordinary.
PENDING_EVERY = 97
_FIRST_LEGACY_ID = 1_000_001
_LEVELS = {
    ids.OVERVIEWS: "Service",
    ids.OPERATIONS: "Operation",
    ids.ERRORS: "Error",
}


def operation_text(service: Service, operation: Operation) -> str:
    return f"{service.title} {operation.name}: {operation.text}"


def error_text(service: Service, error: ErrorEntry) -> str:
    return f"{service.title} {error.name}: {error.text}"


def all_points(services: list[Service], space: Space) -> Iterator[Point]:
    yield from _categories(space)
    yield from _overviews(services, space)
    yield from _operations(services, space)
    yield from _highlights(services, space)
    yield from _errors(services, space)


def _point(document: str, vector: dict[str, Any], payload: dict[str, Any]) -> Point:
    return {"id": ids.point_uuid(document), "vector": vector, "payload": payload}


def _categories(space: Space) -> Iterator[Point]:
    for number, category in enumerate(CATEGORIES):
        document = ids.document_id("category", category.key)
        place = Place(
            ids.CATEGORIES, document, ids.GUIDES, ids.object_id("category", category.key), number
        )
        payload = {
            "document_id": document,
            "collection_id": ids.CATEGORIES,
            "label": category.label,
            "summary": category.summary,
            "keywords": list(category.keywords),
            "_internal": internal(place, blob=ids.blob_id("category", category.key)),
        }
        if category.label == "Storage":
            payload["metadata"] = {
                "promotion": {"cluster_id": ids.CLUSTER, "source_documents": [document]}
            }
        vector = {
            ids.DENSE: space.category(number),
            ids.MULTI: [space.vector(keyword) for keyword in category.keywords],
        }
        yield _point(document, vector, payload)


def _overviews(services: list[Service], space: Space) -> Iterator[Point]:
    groups = space.groups([f"{item.title}: {item.text}" for item in services])
    for number, (service, group) in enumerate(zip(services, groups, strict=True)):
        document = ids.document_id("guide", service.name)
        place = Place(
            ids.OVERVIEWS, document, ids.GUIDES, ids.object_id("guide", service.name), 60 + number
        )
        inside = internal(place, blob=ids.blob_id("guide", service.name))
        address = url(ids.GUIDES, "guide", service.name)
        inside["content_hash"] = "sha256:" + hashlib.sha256(service.text.encode()).hexdigest()
        inside["document_blobs"] = [
            {"field": "page", "role": "source", "type": "text", "url": address}
        ]
        payload = {
            "document_id": document,
            "collection_id": ids.OVERVIEWS,
            "title": service.title,
            "text": service.text,
            "service": service.name,
            "api_version": service.api_version,
            "protocol": service.protocol,
            "operation_count": len(service.operations),
            "cluster_id": f"cl_{group}",
            **_edges(service, number),
            "_internal": inside,
        }
        vector = {ids.DENSE: space.vector(f"{service.title}: {service.text}")}
        yield _point(document, vector, payload)


def _edges(service: Service, number: int) -> dict[str, Any]:
    if number % 10 or not service.operations:
        return {}
    group = group_of(service.operations[0])
    target = ids.object_id(group, service.name)
    edge = {"type": "offers", "target_object_id": target, "target_collection_id": ids.OPERATIONS}
    return {"edges": [edge]}


def _operations(services: list[Service], space: Space) -> Iterator[Point]:
    pairs = [(service, operation) for service in services for operation in service.operations]
    texts = [operation_text(*pair) for pair in pairs]
    documents = [ids.document_id("operation", item.service, item.name) for _, item in pairs]
    related = space.neighbours(texts, 3)
    for number, (service, operation) in enumerate(pairs):
        pending = number % PENDING_EVERY == PENDING_EVERY - 1
        payload = _operation_payload(number, service, operation, documents[number])
        if pending:
            payload["_internal"]["metadata"]["ingestion_status"] = "PENDING"
            yield _point(documents[number], {}, payload)
            continue
        category, score = space.nearest_category(texts[number])
        payload["service_category"] = CATEGORIES[category].label
        if number % 4 == 0:
            payload["_related_ids"] = [documents[other] for other in related[number]]
        inside = payload["_internal"]
        node = ids.document_id("category", CATEGORIES[category].key)
        label = CATEGORIES[category].label
        inside |= taxonomy_fields(ids.CATEGORY_TAXONOMY, node, label, score)
        inside["source_details"].append({"type": "taxonomy", "source_id": ids.CATEGORY_TAXONOMY})
        step = {"operation": "taxonomy_join", "taxonomy_ids_applied": [ids.CATEGORY_TAXONOMY]}
        inside["processing"]["history"] = [step]
        if number % 50 == 0:
            inside["processing"]["taxonomy_lineage"] = [ids.CATEGORY_TAXONOMY]
        yield _point(documents[number], {ids.DENSE: space.vector(texts[number])}, payload)


def _operation_payload(
    number: int, service: Service, operation: Operation, document: str
) -> dict[str, Any]:
    group = group_of(operation)
    place = Place(
        ids.OPERATIONS,
        document,
        ids.REFERENCE,
        ids.object_id(group, service.name),
        300 + number // 8,
    )
    inside = internal(place, blob=ids.blob_id(group, service.name))
    inside["processing"] = {"source_url": url(ids.REFERENCE, group, service.name)}
    return {
        "document_id": document,
        "collection_id": ids.OPERATIONS,
        "title": f"{service.title}: {operation.name}",
        "text": operation.text,
        "service": service.name,
        "operation": operation.name,
        "http_method": operation.method,
        "deprecated": operation.deprecated,
        **_look_alikes(number),
        "_internal": inside,
    }


def _look_alikes(number: int) -> dict[str, Any]:
    """User fields that look like references and are not: they must come through unchanged."""
    if number % 60 == 0:
        return {"notes": f"Imported with {ids.OVERVIEWS}; tell the owner of {ids.SEARCH} first."}
    if number % 60 == 20:
        place = f"namespace/{ids.NAMESPACE}/collection/{ids.OPERATIONS}"
        return {"resource_arn": f"arn:aws:docs:eu-west-1:000000000000:{place}"}
    if number % 60 == 40:
        return {
            "mirror_of": ids.OPERATIONS,
            "metadata": {"collection_id": f"{ids.OPERATIONS}2", "bucket_id": ids.REFERENCE},
        }
    return {}


def _highlights(services: list[Service], space: Space) -> Iterator[Point]:
    centres = {
        ids.OVERVIEWS: space.centre([f"{item.title}: {item.text}" for item in services]),
        ids.OPERATIONS: space.centre(
            [operation_text(item, operation) for item in services for operation in item.operations]
        ),
        ids.ERRORS: space.centre(
            [error_text(item, error) for item in services for error in item.errors]
        ),
    }
    found = [
        (service, operation, operation.highlight)
        for service in services
        for operation in service.operations
        if operation.highlight
    ]
    for number, (service, operation, highlight) in enumerate(found):
        document = ids.document_id("highlight", operation.service, operation.name)
        group = group_of(operation)
        place = Place(
            ids.HIGHLIGHTS,
            document,
            ids.REFERENCE,
            ids.object_id(group, service.name),
            600 + number // 8,
            parent=ids.document_id("operation", operation.service, operation.name),
            parent_collection=ids.OPERATIONS,
        )
        level, score = space.nearest(highlight, centres)
        chain = [ids.OVERVIEWS] if level == ids.OVERVIEWS else [ids.OVERVIEWS, level]
        inside = internal(place, blob=ids.blob_id(group, service.name))
        inside |= taxonomy_fields(ids.LEVEL_TAXONOMY, level, _LEVELS[level], score, chain)
        payload = {
            "document_id": document,
            "collection_id": ids.HIGHLIGHTS,
            "text": highlight,
            "service": service.name,
            "operation": operation.name,
            "position": number,
            "_internal": inside,
        }
        vector = {
            ids.DENSE_BY_MODEL: space.vector(highlight),
            ids.SPARSE: space.term_weights(highlight),
        }
        yield _point(document, vector, payload)


def _errors(services: list[Service], space: Space) -> Iterator[Point]:
    found = [(service, error) for service in services for error in service.errors]
    for number, (service, error) in enumerate(found):
        document = ids.document_id("error", error.service, error.name)
        place = Place(
            ids.ERRORS,
            document,
            ids.GUIDES,
            ids.object_id("guide", service.name),
            900 + number // 8,
            parent=ids.document_id("guide", service.name),
            parent_collection=ids.OVERVIEWS,
        )
        payload = {
            "document_id": document,
            "collection_id": ids.ERRORS,
            "title": error.name,
            "text": error.text,
            "service": service.name,
            "http_status": error.status,
            **legacy(place, blob=ids.blob_id("guide", service.name)),
        }
        text = error_text(service, error)
        if number % 10 == 0:
            _classify_legacy(payload, text, space)
        vector = {ids.DENSE: space.vector(text)}
        yield {"id": _FIRST_LEGACY_ID + number, "vector": vector, "payload": payload}


def _classify_legacy(payload: dict[str, Any], text: str, space: Space) -> None:
    """The category taxonomy as the older layout shows it: beside the user's fields."""
    number, score = space.nearest_category(text)
    category = CATEGORIES[number]
    node = ids.document_id("category", category.key)
    payload |= taxonomy_fields(ids.CATEGORY_TAXONOMY, node, category.label, score)
    payload["internal_metadata"]["processing_history"].append(
        {"operation": "taxonomy_join", "taxonomy_ids_applied": [ids.CATEGORY_TAXONOMY]}
    )
