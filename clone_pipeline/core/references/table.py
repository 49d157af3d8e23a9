"""Every place where a configuration resource refers to something, row by row.

The engine walks by this table; docs/references.md and the tests are generated from it.
"""

from __future__ import annotations

from dataclasses import replace

from .model import ITSELF, NOTHING, Row, rows_of
from .table_records import OBJECT, PAYLOAD
from .table_stages import STAGE

_ELSEWHERE = "kept where `source_namespace_id` names another namespace"
_OWNER = (
    Row("namespace_id", "namespace", "namespace"),
    Row("internal_id", "organization", "organization"),
)


def _under(prefix: str, *rows: Row) -> tuple[Row, ...]:
    """The rows below `prefix`; what is cleared with them likewise ("" is the prefix itself)."""
    moved = []
    for row in rows:
        fixed = row.clears in (ITSELF, NOTHING)
        clears = row.clears if fixed else (prefix + row.clears).rstrip(".")
        moved.append(replace(row, path=prefix + row.path, clears=clears))
    return tuple(moved)


def _input_mappings(*prefixes: str) -> tuple[Row, ...]:
    """`InputMapping` of a taxonomy: where the inputs of its retriever come from."""
    rows = (
        Row("input_mappings[].path", "taxonomy", "field name"),
        Row("input_mappings[].override", "any", "constant", note="a literal"),
        Row("input_mappings.*", "taxonomy", "field name", note="older spelling: an object"),
    )
    return tuple(row for prefix in prefixes for row in _under(prefix, *rows))


_CONSTANTS = (
    Row("input_mappings[].source.value", "any", "constant"),
    Row("input_mappings[].source.path", "taxonomy", "field name"),
)
_WRITE_BACK = (
    Row("write_back_fields[].source_field", "taxonomy", "field name"),
    Row("write_back_fields[].target_field", "taxonomy", "field name"),
)
_SCHEMAS = (
    Row("output_schema.properties{}", "taxonomy", "field name"),
    Row("feature_extractor.input_mappings.*", "taxonomy", "field name"),
    Row("feature_extractor.input_mappings.*[]", "taxonomy", "field name"),
    Row("feature_extractor.input_mappings[].path", "taxonomy", "field name"),
    Row("feature_extractor.input_mappings[].override", "any", "constant", note="a literal"),
    Row("feature_extractor.params", "text", "text", note="prompts among them"),
    Row("feature_extractor.parameters", "text", "text", note="prompts among them"),
    Row("feature_extractor.field_passthrough[].source_path", "taxonomy", "field name"),
    Row("feature_extractor.field_passthrough[].target_path", "taxonomy", "field name"),
    Row("feature_extractor.feature_extractor_id", "extractor", "verbatim", note="a derived name"),
)
_SOURCE = (
    Row("source_namespace_id", "namespace", "namespace", note="kept if it names another namespace"),
    Row("bucket_ids[]", "bucket", last_stays=True, note=_ELSEWHERE),
    Row("bucket_id", "bucket", clears=NOTHING, note=f"older spelling; {_ELSEWHERE}"),
    Row("inherited_bucket_ids[]", "bucket", note=_ELSEWHERE),
    Row("collection_id", "collection", clears=NOTHING, note="a collection needs its source"),
    Row("collection_ids[]", "collection", last_stays=True),
    Row("field_map{}", "bucket or collection", "key", note=_ELSEWHERE),
    Row("field_map.*[].source_path", "taxonomy", "field name"),
    Row("field_map.*[].target_path", "taxonomy", "field name"),
    Row("source_filters", "any", "filters"),
)

NAMESPACE = rows_of(
    "namespace",
    Row("namespace_id", "namespace", "own id"),
    Row("internal_id", "organization", "organization"),
    Row("source_namespace_id", "namespace", "verbatim", note="what it was cloned from"),
    Row(
        "scope",
        "every organization",
        "acts",
        resets="org",
        note="`system` shows it to every organization",
    ),
    Row(
        "namespace_type",
        "marketplace",
        "acts",
        resets="standard",
        note="`marketplace` makes it a product that others subscribe to",
    ),
    Row(
        "cluster_id",
        "infrastructure cluster",
        "acts",
        note="would run on the source's dedicated compute and vector cluster",
    ),
    Row("pinned", "encoders", "acts", note="keeps encoders running, billed by the hour"),
    Row("spend_budget", "budget", "acts", note="its own part of the organization's budget"),
    Row("cost_cap_override", "budget", "acts", note="the older spelling of `spend_budget`"),
    Row("tiering.exempt", "tiers", "acts", note="would never be demoted, for the source's reason"),
    Row(
        "storage",
        "connection",
        "acts",
        placed=True,
        note="would write vectors into the source's own bucket and prefix",
    ),
    Row("vector_inference_map", "vector names", "verbatim", note="never contain ids"),
    Row("feature_extractors", "extractors", "verbatim", note="derived names"),
    Row("payload_indexes[].field_name", "taxonomy", "field name"),
    Row(
        "trusted_issuers[]",
        "identity provider",
        note="their users may call it; goes whole or stays whole",
    ),
    Row("trusted_issuers[].retrievers[]", "retriever", note="empty admits none"),
    Row("trusted_issuers[].collections[]", "collection", note="empty admits none"),
    Row("trusted_issuers[].owner_writable_collections[]", "collection", note="empty admits none"),
    Row("trusted_issuers[].claim_filters[].field", "taxonomy", "field name"),
    *_under(
        "infrastructure.",
        Row("qdrant_collection", "Qdrant collection", "verbatim", note="set by the plan"),
        Row(
            "qdrant_url",
            "Qdrant",
            "acts",
            placed=True,
            note="a clone is in the deployment's own Qdrant",
        ),
        Row("qdrant_api_key", "Qdrant", "acts", placed=True, note="goes with its server"),
        Row("s3_plugin_prefix", "plugin", "acts", placed=True, note="contains the namespace id"),
        Row("s3_vector_bucket", "vector bucket", note="its indexes are named by the clone's ids"),
        Row(
            "compute_tier",
            "infrastructure cluster",
            "acts",
            resets="shared",
            note="a dedicated tier has no server without the addresses below",
        ),
        Row(
            "ray_cluster_id",
            "infrastructure cluster",
            "acts",
            note="would run jobs on the source's cluster",
        ),
        Row(
            "ray_head_node_url",
            "infrastructure cluster",
            "acts",
            note="would run jobs on the source's cluster",
        ),
        Row("ray_dashboard_url", "infrastructure cluster", "acts", note="goes with its cluster"),
        Row("compute_profiles", "extractors", "verbatim", note="keyed by derived names"),
        Row("authorization", "authorization service", note="goes whole or stays whole"),
    ),
)

BUCKET = rows_of(
    "bucket",
    Row("bucket_id", "bucket", "own id"),
    *_OWNER,
    Row(
        "ingest_filter.retriever_id",
        "retriever",
        clears="ingest_filter",
        note="required in its object",
    ),
    Row("destination", "connection", "acts", note="would write into the source's output"),
    *_under(
        "source_adapter.",
        Row("source_collection_id", "collection"),
        Row("source_bucket_ids[]", "bucket"),
        Row("source_filters", "any", "filters"),
        Row("connection_id", "connection"),
        Row("connection", "connection", note="the older spelling, with its credentials"),
        Row(
            "webhook_url",
            "webhook",
            "acts",
            note="the inbound endpoint of the source's bucket; without it `enabled` does nothing",
        ),
        Row("webhook_secret", "webhook", "acts", note="goes with its endpoint"),
    ),
    Row("metadata", "user data", "verbatim"),
)

COLLECTION = rows_of(
    "collection",
    Row("collection_id", "collection", "own id"),
    *_OWNER,
    *_under("source.", *_SOURCE),
    Row("source_bucket_schemas{}", "bucket", "key", note=_ELSEWHERE),
    *_under("source_lineage[].source_config.", *_SOURCE),
    *_under("source_lineage[].", *_SCHEMAS),
    *_SCHEMAS,
    Row("input_schema.properties{}", "taxonomy", "field name"),
    Row("document_schema.properties{}", "taxonomy", "field name"),
    Row("payload_indexes[].field_name", "taxonomy", "field name"),
    *_under(
        "taxonomy_applications[].",
        Row("taxonomy_id", "taxonomy", clears=""),
        Row(
            "target_collection_id",
            "collection",
            clears="",
            note="null would write into this collection instead",
        ),
        Row("scroll_filters", "any", "filters"),
    ),
    *_under(
        "retriever_enrichments[].",
        Row("retriever_id", "retriever", clears=""),
        *_CONSTANTS,
        *_WRITE_BACK,
        Row("scroll_filters", "any", "filters"),
    ),
    Row("cluster_applications[].cluster_id", "cluster", clears="cluster_applications[]"),
    Row("alert_applications[].alert_id", "alert", clears="alert_applications[]"),
    *_under("alert_applications[].", *_CONSTANTS),
    *_under(
        "retriever_transform.",
        Row(
            "retriever_id",
            "retriever",
            clears="",
            note="needs a retriever: documents come over, a re-run does not",
        ),
        *_CONSTANTS,
        *_WRITE_BACK,
        Row("stages", "stages", "stages"),
    ),
    Row("trigger_id", "trigger"),
    Row("schedule", "schedule", "acts", note="would process the source's data a second time"),
    Row("tiering.exempt", "tiers", "acts", note="would never be demoted, for the source's reason"),
    Row(
        "s3_vector_index",
        "collection",
        "ends with own id",
        note="recomputed; cleared where it does not end with the collection's id",
    ),
    Row("vector_indexes[].feature_uri", "collection", "field name"),
    Row("index_map{}", "collection", "field name"),
    Row("index_map.*", "collection", "field name"),
    Row("disabled_reason", "a deleted collection", "verbatim", note="what happened to the source"),
    Row("metadata", "user data", "verbatim"),
)

RETRIEVER = rows_of(
    "retriever",
    Row("retriever_id", "retriever", "own id"),
    *_OWNER,
    Row("collection_ids[]", "collection", note="empty searches no collection"),
    Row("collection_identifiers[]", "collection", note="empty searches no collection"),
    Row("collections[].collection_id", "collection", clears="collections[]"),
    Row("stages", "stages", "stages"),
    Row("input_schema.*", "any", "inputs", note="defaults, examples and enums of references"),
    Row("feature_dependencies", "collection", "field names"),
    *_under(
        "display_config.",
        Row("retriever_config", "stages", "stages"),
        Row("inputs[].field_schema", "any", "inputs"),
        Row("exposed_fields[]", "taxonomy", "field name"),
        Row("field_config{}", "taxonomy", "field name"),
        Row("field_mappings.*", "taxonomy", "field name"),
        Row("components", "taxonomy", "field names"),
        Row("layout", "taxonomy", "field names"),
        Row("markdowns", "text", "text"),
        Row("external_links", "text", "text"),
        Row("custom_cta", "text", "text"),
    ),
    Row("marketplace_listing_id", "marketplace listing", "acts", note="the source's product"),
    Row("is_published", "marketplace listing", "acts", note="would be public"),
    Row(
        "visibility",
        "everybody",
        "acts",
        resets="private",
        note="`public` opens it to any key, `marketplace` to subscribers",
    ),
    Row("requires_subscription", "marketplace listing", "acts", note="the source's product"),
    Row(
        "display_config.seo.canonical_url",
        "public page",
        "acts",
        note="would pass its page off as the source's",
    ),
    Row("version", "itself", "verbatim", note="pinned by ingest filters and transforms"),
    Row("metadata", "user data", "verbatim"),
)

TAXONOMY = rows_of(
    "taxonomy",
    Row("taxonomy_id", "taxonomy", "own id"),
    *_OWNER,
    Row("retriever_id", "retriever"),
    Row(
        "config.retriever_id",
        "retriever",
        required_unless=("taxonomy_type", "hierarchical"),
        note="a flat taxonomy requires it, a hierarchical one has it as a default",
    ),
    Row(
        "config.source_collection.collection_id",
        "collection",
        clears=NOTHING,
        note="a flat taxonomy requires it",
    ),
    Row("config.source_collection.enrichment_fields[].field_path", "taxonomy", "field name"),
    Row("config.source_collection.enrichment_fields[].target_field", "taxonomy", "field name"),
    *_under(
        "config.hierarchical_nodes[].",
        Row("collection_id", "collection", clears=NOTHING, note="a node requires it"),
        Row(
            "parent_collection_id",
            "collection",
            clears=NOTHING,
            note="names a node beside it, which stays: null would flatten the tree",
        ),
        Row("retriever_id", "retriever"),
        Row("enrichment_fields[].field_path", "taxonomy", "field name"),
        Row("enrichment_fields[].target_field", "taxonomy", "field name"),
    ),
    Row("config.inference_collections[]", "collection"),
    Row("config.cluster_ids[]", "cluster"),
    *_input_mappings("", "config.", "config.hierarchical_nodes[]."),
    Row("config.path_field", "taxonomy", "field name"),
    Row("config.step_analytics", "taxonomy", "field names"),
    Row("config.llm_prompt_template", "text", "text"),
    Row("nodes", "itself", "verbatim", note="derived from paths, not from ids"),
    Row("metadata", "user data", "verbatim"),
)

CONFIGURATION: dict[str, tuple[Row, ...]] = {
    "namespace": NAMESPACE,
    "bucket": BUCKET,
    "collection": COLLECTION,
    "retriever": RETRIEVER,
    "taxonomy": TAXONOMY,
    "stage": STAGE,
}
RECORDS: dict[str, tuple[Row, ...]] = {"object": OBJECT, "payload": PAYLOAD}
TABLE: tuple[Row, ...] = tuple(
    row for rows in (*CONFIGURATION.values(), *RECORDS.values()) for row in rows
)
# Where a namespace's own things are: what is restored has its own.
PLACED = frozenset(row.path for row in TABLE if row.placed)
