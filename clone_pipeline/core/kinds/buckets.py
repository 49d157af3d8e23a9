"""Buckets. Their step copies their objects too (`records/objects.py`)."""

from __future__ import annotations

from .base import LIST, NUMBER, OBJECT, TEXT, TIME, TRUTH, IdForm, ResourceKind

BUCKET = ResourceKind(
    name="bucket",
    plural="buckets",
    id_form=IdForm("bkt_", 8),
    about="Clone buckets and object records; they refer to the same S3 files, or to copies.",
    after="namespace",
    fields={
        OBJECT: ("bucket_schema", "unique_key", "destination", "source_adapter"),
        NUMBER: ("failed_object_count",),
        TRUTH: ("is_locked",),
        TIME: ("last_upload_at", "stats_updated_at"),
    },
    inside={
        OBJECT: (
            "bucket_schema.properties",
            "bucket_schema.properties.*",
        ),
        LIST: ("unique_key.fields",),
        TEXT: (
            "destination.connection_id",
            "source_adapter.adapter_type",
        ),
    },
)
