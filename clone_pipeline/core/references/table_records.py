"""What refers to something inside a record: an object, or the payload of a point.

Records are data: a reference to what is not cloned is kept and counted, never cleared.
"""

from __future__ import annotations

from .model import Row, rows_of

_BY_TYPE = "by its `type`"

OBJECT = rows_of(
    "object",
    Row("object_id", "itself", "verbatim", note="scoped by its namespace"),
    Row("bucket_id", "bucket"),
    Row("source_details[].source_id", "any", "typed id", note=_BY_TYPE),
    Row("edges[].target_object_id", "object", "verbatim"),
    Row("edges[].target_collection_id", "collection"),
    Row("blobs[].presigned_url", "S3 file", "signed url", note="expires, and is a secret"),
    Row("blobs[].properties.presigned_url", "S3 file", "signed url"),
    Row("blobs[].properties.url", "S3 file", "verbatim"),
    Row("blobs[].key_prefix", "S3 file", "verbatim"),
    Row("key_prefix", "S3 file", "verbatim"),
    Row("metadata", "user data", "verbatim"),
)

# JSON keys whose presence means that an object may have to be rewritten.
OBJECT_KEYS = frozenset({"source_details", "edges", "presigned_url"})

PAYLOAD = rows_of(
    "payload",
    Row("collection_id", "collection"),
    Row("edges[].target_collection_id", "collection"),
    Row("{}", "taxonomy", "field name", note="`_taxonomy_<id>_...`"),
    Row("*", "collection", "node", note="of `_taxonomy_<id>_id` and `_assignments`"),
    Row("namespace_id", "namespace", note="older flat layout: where it is the source's"),
    Row("internal_id", "organization", note="older flat layout: where it is the source's"),
    Row("bucket_id", "bucket", note="older flat layout"),
    Row("root_bucket_id", "bucket", note="older flat layout"),
    Row("source_collection_id", "collection", note="older flat layout"),
    Row("lineage_path", "bucket or collection", "id path", note="older flat layout"),
    Row(
        "internal_metadata.processing_history[].taxonomy_ids_applied[]",
        "taxonomy",
        note="older flat layout",
    ),
    Row("_internal.namespace_id", "namespace", "set", note="set, whatever stood there"),
    Row("_internal.internal_id", "organization", "set", note="set, whatever stood there"),
    Row("_internal.collection_id", "collection"),
    Row("_internal{}", "taxonomy", "field name", note="`_taxonomy_<id>_...`"),
    Row("_internal.*", "collection", "node", note="of `_taxonomy_<id>_id` and `_assignments`"),
    Row("_internal.lineage.root_bucket_id", "bucket"),
    Row("_internal.lineage.source_collection_id", "collection"),
    Row("_internal.lineage.retriever_id", "retriever", note="of documents that a retriever wrote"),
    Row("_internal.lineage.path", "bucket or collection", "id path"),
    Row("_internal.lineage.chain[].collection_id", "collection"),
    Row("_internal.source_details[].source_id", "any", "typed id", note=_BY_TYPE),
    Row("_internal.processing.history[].taxonomy_ids_applied[]", "taxonomy"),
    Row("_internal.processing.taxonomy_lineage[]", "taxonomy", note="an entry may be the bare id"),
    Row("_internal.processing.taxonomy_lineage[].taxonomy_id", "taxonomy"),
    Row("_internal.processing.taxonomy_lineage[].collection_id", "collection"),
    Row("_internal.processing.taxonomy_lineage[].source_collection_id", "collection"),
    Row("_internal.processing.taxonomy_lineage[].retriever_id", "retriever"),
    Row("document_id", "itself", "verbatim", note="scoped by its namespace"),
    Row("_internal.document_id", "itself", "verbatim"),
    Row("_internal.lineage.root_object_id", "object", "verbatim"),
    Row("_internal.lineage.source_object_id", "object", "verbatim"),
    Row("_internal.lineage.source_document_id", "document", "verbatim"),
    Row("_internal.processing.source_url", "S3 file", "verbatim"),
    Row("_internal.processing.object_key_source", "S3 file", "verbatim"),
    Row("_internal.source_blobs", "blobs", "verbatim"),
    Row("_internal.document_blobs", "S3 files", "verbatim"),
    Row("_internal.metadata", "user data", "verbatim"),
    Row("cluster_id", "a group of a cluster run", "verbatim"),
    Row("metadata", "user data", "verbatim"),
)
