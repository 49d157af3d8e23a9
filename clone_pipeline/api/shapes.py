"""A raw document as the platform's client wants it: the fields it insists on, and no secrets."""

from __future__ import annotations

from collections.abc import Mapping

from clone_pipeline.core.catalog.complete import complete
from clone_pipeline.core.catalog.documents import Document
from clone_pipeline.core.secrets.masked import masked


def shape(kind: str, document: Document, object_counts: Mapping[str, int]) -> Document:
    """The answer for a document. What it says itself stays as it is."""
    shown = complete(kind, masked(document))
    if kind == "bucket":
        # Live, whatever the document says: a clone has the same objects.
        shown["object_count"] = object_counts.get(shown["bucket_id"], 0)
        size = shown.get("total_size_bytes")
        shown["total_size_bytes"] = size if isinstance(size, int) else 0
    return shown
