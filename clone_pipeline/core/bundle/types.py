"""Documents whose fields have a wrong type: refused before a client fails to read them.

Only what the platform's own models insist on is looked at, and what the table of references goes
into. Fields that are not known may hold anything, and every field may be null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..catalog.documents import Document, is_time
from ..kinds import KINDS
from ..kinds.base import LIST, NUMBER, OBJECT, TEXT, TIME, TRUTH, Fields
from ..references.engine import Node, tree
from ..references.model import steps
from ..references.table import CONFIGURATION, RECORDS
from .files import Wrong

_TYPES: dict[str, type] = {
    LIST: list,
    OBJECT: dict,
    TEXT: str,
    NUMBER: int,
    TRUTH: bool,
    TIME: str,
}
_ALL: Fields = {TIME: ("created_at", "updated_at"), TEXT: ("description",), OBJECT: ("metadata",)}
_FIELDS: dict[str, Fields] = {
    "namespace": {
        LIST: ("feature_extractors", "payload_indexes", "vector_configs", "trusted_issuers"),
        OBJECT: ("infrastructure", "vector_inference_map", "tiering", "pinned", "budget"),
        NUMBER: (
            *("document_count", "bucket_count", "collection_count", "object_count"),
            "payload_index_count",
        ),
        TRUTH: ("auto_create_indexes", "adaptive_indexing", "dynamic_vector_indexes"),
        TEXT: ("cluster_id", "mode"),
    },
    "object": {LIST: ("blobs", "source_details", "edges")},
    **{kind.name: kind.fields for kind in KINDS},
}
_INSIDE: dict[str, Fields] = {
    "namespace": {
        TEXT: (
            "feature_extractors[].feature_extractor_name",
            "feature_extractors[].version",
            "payload_indexes[].field_name",
            "trusted_issuers[].issuer",
            "vector_inference_map.*",
            "infrastructure.qdrant_collection",
        ),
        NUMBER: (
            "infrastructure.max_concurrent_jobs",
            "infrastructure.min_workers",
            "infrastructure.max_workers",
        ),
        TRUTH: ("infrastructure.autoscaling_enabled",),
    },
    "object": {
        TEXT: (
            "blobs[].blob_id",
            "blobs[].property",
        ),
    },
    **{kind.name: kind.inside for kind in KINDS},
}
_EXPECTED = {
    kind: [
        (steps(path), path, what)
        for expected in (_ALL, fields, _INSIDE[kind])
        for what, paths in expected.items()
        for path in paths
    ]
    for kind, fields in _FIELDS.items()
}
_TREES = {
    kind: tree(rows) for kind, rows in {**CONFIGURATION, **RECORDS}.items() if kind in _FIELDS
}


def check_types(kind: str, document: Document) -> None:
    """Raises Wrong, naming the place."""
    for way, path, what in _EXPECTED[kind]:
        for value in _at(document, way):
            if value is not None and not _is(what, value):
                raise Wrong(f"`{path}` is not {what}")
    _check_places(_TREES[kind], document, "")


def _at(value: Any, way: tuple[str, ...]) -> Iterator[Any]:
    """What stands at a path, as the table of references writes it; what is missing on the way is
    passed over."""
    if not way:
        yield value
    elif way[0] == "[]":
        for item in value if isinstance(value, list) else ():
            yield from _at(item, way[1:])
    elif isinstance(value, dict):
        below = value.values() if way[0] == "*" else [value.get(way[0])]
        for inner in below:
            yield from _at(inner, way[1:])


def _is(what: str, value: Any) -> bool:
    if isinstance(value, bool) != (what == TRUTH) or not isinstance(value, _TYPES[what]):
        return False
    return what != TIME or is_time(str(value))


def _check_places(node: Node, value: Any, path: str) -> None:
    """A number cannot stand where there are things to refer to within. A text can: one where a list
    is expected, or a template."""
    if node.row is None and isinstance(value, int | float):
        if node.items is not None or node.keys:
            raise Wrong(f"`{path}` is not {LIST if node.items is not None else OBJECT}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            below = node.keys.get(key) or node.values
            if below is not None:
                _check_places(below, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            _check_places(node.items, item, f"{path}[]")
