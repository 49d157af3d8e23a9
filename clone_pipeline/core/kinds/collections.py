"""Collections. Their points are copied by a step of their own."""

from __future__ import annotations

from .base import LIST, NUMBER, OBJECT, TEXT, TIME, TRUTH, IdForm, ResourceKind

COLLECTION = ResourceKind(
    name="collection",
    plural="collections",
    id_form=IdForm("col_", 10),
    about="Clone the collections' configuration.",
    after="buckets",
    switch="collections",
    fields={
        LIST: (
            *("source_lineage", "vector_indexes", "payload_indexes", "tiering_rules"),
            *("taxonomy_applications", "cluster_applications", "alert_applications"),
            "retriever_enrichments",
        ),
        OBJECT: (
            *("input_schema", "output_schema", "feature_extractor", "source", "index_map"),
            *("source_bucket_schemas", "schedule", "tiering", "document_schema"),
            "retriever_transform",
        ),
        TEXT: ("embedding_task", "trigger_id", "lifecycle_state", "s3_vector_index"),
        NUMBER: ("document_count", "schema_version", "vector_count"),
        TRUTH: ("enabled", "schema_sync_enabled"),
        TIME: ("last_lifecycle_transition", "last_schema_sync"),
    },
    inside={
        OBJECT: (
            "input_schema.properties",
            "input_schema.properties.*",
            "output_schema.properties",
            "output_schema.properties.*",
        ),
        TEXT: (
            "feature_extractor.feature_extractor_name",
            "feature_extractor.version",
            "source.type",
            "vector_indexes[].name",
            "payload_indexes[].field_name",
        ),
    },
)
