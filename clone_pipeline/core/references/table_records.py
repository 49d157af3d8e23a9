"""What refers to something inside a record: an object, or the payload of a point.

Records are data: a reference to what is not cloned is kept and counted, never cleared.
"""

from __future__ import annotations

from .model import Row, rows_of

_BY_TYPE = "by its `type`"
SIGNED = "presigned_url"
_FLAT = "older flat layout"
# What one step of a document's history names beside its own taxonomies.
_STEP = (
    ("taxonomy_id", "taxonomy"),
    ("retriever_id", "retriever"),
    ("collection_id", "collection"),
    ("source_collection_id", "collection"),
    ("target_collection_id", "collection"),
    ("parent_collection_id", "collection"),
    ("bucket_id", "bucket"),
    ("root_bucket_id", "bucket"),
)
# A blob, and what is told of it: the platform mirrors its presigned URL there.
_BLOBS = ("blobs[].", "document_blobs[].", "source_blobs[].")
# Where a blob in a payload says the location of its file: a document's, or its object's own.
_URLS = tuple(
    f"{blobs}[].{place}"
    for blobs in ("document_blobs", "source_blobs")
    for place in ("url", "properties.url", "key_prefix")
)


def _signed(*places: str) -> tuple[Row, ...]:
    """Presigned URLs: they expire, and are secrets."""
    return tuple(Row(f"{place}{SIGNED}", "S3 file", "signed url") for place in places)


def _files(*places: str, note: str = "") -> tuple[Row, ...]:
    """Locations of S3 files, which change only where the clone has copies of its own."""
    return tuple(Row(place, "S3 file", "location", note=note) for place in places)


def _steps(place: str, note: str = "") -> tuple[Row, ...]:
    return tuple(Row(f"{place}.{key}", target, note=note) for key, target in _STEP)


OBJECT = rows_of(
    "object",
    Row("object_id", "itself", "verbatim", note="scoped by its namespace"),
    Row("bucket_id", "bucket"),
    Row("source_details[].source_id", "any", "typed id", note=_BY_TYPE),
    Row("edges[].target_object_id", "object", "verbatim"),
    Row("edges[].target_collection_id", "collection"),
    *_signed(
        "", *(f"blobs[].{at}" for at in ("", "properties.", "details.", "data.", "metadata."))
    ),
    *_files("blobs[].properties.url"),
    *_files("blobs[].data", "blobs[].data.url", note="older records; inline content stays"),
    *_files("blobs[].key_prefix", "key_prefix", note="a key without its bucket stays"),
    Row("metadata", "user data", "verbatim"),
)

# JSON keys whose presence means that an object may have to be rewritten.
OBJECT_KEYS = frozenset({"source_details", "edges", SIGNED})

PAYLOAD = rows_of(
    "payload",
    Row("collection_id", "collection"),
    Row("edges[].target_collection_id", "collection"),
    Row("{}", "taxonomy", "field name", note="`_taxonomy_<id>_...`"),
    Row("*", "collection", "node", note="of `_taxonomy_<id>_id` and `_assignments`"),
    Row("namespace_id", "namespace", note="older flat layout: where it is the source's"),
    Row("internal_id", "organization", note="older flat layout: where it is the source's"),
    Row("bucket_id", "bucket", note=_FLAT),
    Row("root_bucket_id", "bucket", note=_FLAT),
    Row("source_collection_id", "collection", note=_FLAT),
    Row("lineage_path", "bucket or collection", "id path", note=_FLAT),
    *_steps("lineage_chain[]", _FLAT),
    Row("source_details[].source_id", "any", "typed id", note=f"{_FLAT}; {_BY_TYPE}"),
    Row(
        "internal_metadata.processing_history[].taxonomy_ids_applied[]",
        "taxonomy",
        note=_FLAT,
    ),
    *_steps("internal_metadata.processing_history[]", _FLAT),
    Row("internal_metadata.taxonomy_lineage[]", "taxonomy", note=_FLAT),
    *_steps("internal_metadata.taxonomy_lineage[]", _FLAT),
    Row("internal_metadata.taxonomy_lineage[].node_id", "collection", note=_FLAT),
    Row("internal_metadata.taxonomy_lineage[].path[]", "collection", note=_FLAT),
    *_signed("", *_BLOBS, *(f"{blob}properties." for blob in _BLOBS)),
    Row("_internal.namespace_id", "namespace", "set", note="set, whatever stood there"),
    Row("_internal.internal_id", "organization", "set", note="set, whatever stood there"),
    Row("_internal.collection_id", "collection"),
    Row("_internal{}", "taxonomy", "field name", note="`_taxonomy_<id>_...`"),
    Row("_internal.*", "collection", "node", note="of `_taxonomy_<id>_id` and `_assignments`"),
    Row("_internal.lineage.root_bucket_id", "bucket"),
    Row("_internal.lineage.source_collection_id", "collection"),
    Row("_internal.lineage.collection_id", "collection"),
    Row("_internal.lineage.bucket_id", "bucket"),
    Row("_internal.bucket_id", "bucket"),
    Row("_internal.root_bucket_id", "bucket"),
    Row("_internal.source_collection_id", "collection"),
    Row("_internal.lineage.retriever_id", "retriever", note="of documents that a retriever wrote"),
    Row("_internal.lineage.path", "bucket or collection", "id path"),
    *_steps("_internal.lineage.chain[]"),
    Row("_internal.source_details[].source_id", "any", "typed id", note=_BY_TYPE),
    Row("_internal.processing.history[].taxonomy_ids_applied[]", "taxonomy"),
    *_steps("_internal.processing.history[]"),
    Row("_internal.processing.taxonomy_lineage[]", "taxonomy", note="an entry may be the bare id"),
    *_steps("_internal.processing.taxonomy_lineage[]"),
    Row("_internal.processing.taxonomy_lineage[].node_id", "collection"),
    Row("_internal.processing.taxonomy_lineage[].path[]", "collection"),
    *_signed("_internal.", "_internal.processing."),
    *_signed(*(f"_internal.{blob}{at}" for blob in _BLOBS for at in ("", "properties."))),
    Row("document_id", "itself", "verbatim", note="scoped by its namespace"),
    Row("_internal.document_id", "itself", "verbatim"),
    Row("_internal.lineage.root_object_id", "object", "verbatim"),
    Row("_internal.lineage.source_object_id", "object", "verbatim"),
    Row("_internal.lineage.source_document_id", "document", "verbatim"),
    *_files("_internal.processing.source_url", "_internal.processing.object_key_source"),
    *_files(*_URLS, note=_FLAT),
    *_files(*(f"_internal.{place}" for place in _URLS)),
    Row("_internal.source_blobs", "blobs", "verbatim"),
    Row("_internal.document_blobs", "blobs", "verbatim"),
    Row("_internal.metadata", "user data", "verbatim"),
    Row("cluster_id", "a group of a cluster run", "verbatim"),
    Row("metadata", "user data", "verbatim"),
)
