"""Everything that can be wrong with a bundle, found before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ..catalog.documents import RECORDS, Document, RecordTable
from ..catalog.schema import loads, namespaces, organizations
from ..errors import BundleError
from ..ledger.meter import Meter
from ..text import fault
from ..vectors.point import CollectionConfig
from ..vectors.slices import in_key
from .config import EMPTY, VectorShapes, check_config, named_vectors
from .files import CONFIG, NAMESPACE, POINTS, RECORD_FILES, Files, Line, Wrong, identified
from .points import parse_point
from .rewritten import Rewrite
from .seen import Seen, open_seen
from .types import check_types

# Names that the catalog keeps as text of any length are unique, and an index entry of PostgreSQL
# holds a third of a page: some 2,700 bytes (its documentation, "B-Tree Indexes").
_LONGEST_NAME = 512
_MAX_VERSION = 2**31 - 1
# What may not be in the name of a Qdrant collection, which is a folder's name too.
_NOT_IN_COLLECTION = set('<>:"/\\|?*\0\x1f')


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked. `namespace` is as it will be stored: with the Qdrant collection,
    without the organization. `points` is how many it has. `rewrite` is what `files` does to records
    and points, where they become those of another namespace."""

    files: Files
    organization_id: str
    namespace: Document
    qdrant_collection: str
    config: CollectionConfig
    shapes: VectorShapes
    points: int
    rewrite: Rewrite | None = None


def check(files: Files, meter: Meter) -> Bundle:
    """Reads the whole bundle once; the meter counts its points. Raises BundleError on the first
    mistake."""
    namespace = files.document(NAMESPACE)
    if namespace is None:
        raise BundleError("is missing", NAMESPACE)
    try:
        organization_id, namespace, collection = _check_namespace(namespace)
    except Wrong as wrong:
        raise BundleError(str(wrong), NAMESPACE) from None
    given = files.document(CONFIG)
    config = named_vectors(EMPTY if given is None else given)
    try:
        shapes = check_config(config)
    except Wrong as wrong:
        raise BundleError(str(wrong), CONFIG) from None
    with open_seen() as seen:
        for kind, file in RECORD_FILES.items():
            for line in files.lines(file):
                _check_record(RECORDS[kind], line, seen)
        meter.begin("Checked", *files.measure(POINTS))
        for line in files.lines(POINTS):
            if given is None:
                reason = f"is missing, and says what vectors the points in {POINTS} have"
                raise BundleError(reason, CONFIG)
            _check_point(line, shapes, seen)
            meter.add(1)
    return Bundle(files, organization_id, namespace, collection, config, shapes, meter.done)


def _check_namespace(document: Document) -> tuple[str, Document, str]:
    organization_id = _text(document, "organization_id", _length(organizations, "organization_id"))
    for field in ("namespace_id", "namespace_name"):
        _text(document, field, _length(namespaces, field))
    check_types("namespace", document)
    infrastructure = document.get("infrastructure") or {}
    collection = infrastructure.get("qdrant_collection")
    if collection is None:
        collection = document["namespace_id"]
        infrastructure = {**infrastructure, "qdrant_collection": collection}
    _check_collection_name(infrastructure)
    stored = {key: value for key, value in document.items() if key != "organization_id"}
    return organization_id, {**stored, "infrastructure": infrastructure}, collection


def _check_collection_name(infrastructure: Document) -> None:
    name = _text(infrastructure, "qdrant_collection", _length(loads, "qdrant_collection"))
    if name in (".", "..") or _NOT_IN_COLLECTION & set(name) or len(name.encode()) > 255:
        raise Wrong(f"`qdrant_collection` {name!r} cannot be the name of a Qdrant collection")


def _check_record(record: RecordTable, line: Line, seen: Seen) -> None:
    try:
        document = identified(record, line.document)
        for column in record.columns:
            if column == "version":
                _check_version(document[column])
            else:
                _text(document, column, _length(record.table, column))
        check_types(record.kind, document)
        if record.kind == "object" and seen.line("bucket_id", document["bucket_id"]) is None:
            bucket = document["bucket_id"]
            raise Wrong(f"`bucket_id` {bucket!r}: {RECORD_FILES['bucket']} has no such bucket")
        _check_new(record, record.id_field, document, line, seen)
        if record.name_field is not None:
            _check_new(record, record.name_field, document, line, seen)
    except Wrong as wrong:
        raise line.error(wrong) from None


def _check_new(record: RecordTable, field: str, document: Document, line: Line, seen: Seen) -> None:
    key = document[field]
    what = f"`{field}` {key!r}"
    if record.versioned:
        what += f" in version {document['version']}"
        key = f"{document['version']} {key}"
    first = seen.add(field, key, line.number)
    if first is not None:
        raise Wrong(f"{what} stands on line {first} already")


def _check_version(value: Any) -> None:
    if type(value) is not int or not 1 <= value <= _MAX_VERSION:
        raise Wrong("`version` is not a whole number of at least 1")


def _check_point(line: Line, shapes: VectorShapes, seen: Seen) -> None:
    try:
        point = parse_point(line.document, shapes)
        name = f"{point.id}{in_key(line.document.get('shard_key'))}"
        first = seen.add("point", name, line.number)
        if first is not None:
            raise Wrong(f"`id` {name} stands on line {first} already")
    except Wrong as wrong:
        raise line.error(wrong) from None


def _text(document: Document, field: str, limit: int) -> str:
    """A field that becomes a column: a string that both databases can keep and index."""
    if field not in document:
        raise Wrong(f"`{field}` is missing")
    value = document[field]
    if not isinstance(value, str):
        raise Wrong(f"`{field}` is not a string")
    if not value:
        raise Wrong(f"`{field}` is empty")
    if len(value) > limit:
        raise Wrong(f"`{field}` has {len(value)} characters, at most {limit} are allowed")
    if (wrong := fault(value)) is not None:
        raise Wrong(f"`{field}` {wrong}")
    return value


@cache
def _length(table: Any, column: str) -> int:
    return getattr(table.c[column].type, "length", None) or _LONGEST_NAME
