"""A raw document as the platform's client wants it: the fields it insists on, and no secrets."""

from __future__ import annotations

from collections.abc import Mapping

from clone_pipeline.core.catalog.documents import Document
from clone_pipeline.core.catalog.namespaces import without_secrets


def shape(kind: str, document: Document, object_counts: Mapping[str, int]) -> Document:
    """The answer for a document. What it says itself stays as it is."""
    shown: Document = without_secrets(document)
    if kind == "bucket":
        # Live, whatever the document says: a clone has the same objects.
        shown["object_count"] = object_counts.get(shown["bucket_id"], 0)
        size = shown.get("total_size_bytes")
        shown["total_size_bytes"] = size if isinstance(size, int) else 0
        shown.setdefault("bucket_schema", {"properties": {}})
    elif kind == "collection":
        _name_extractor(shown)
    elif kind == "retriever":
        ids = shown.get("collection_ids")
        shown["collection_identifiers"] = ids if isinstance(ids, list) else []
        stages = shown.get("stages")
        shown["stages"] = [_stage(one) for one in stages] if isinstance(stages, list) else []
    return shown


def _name_extractor(shown: Document) -> None:
    """`feature_extractor_id` is derived: name, `_`, version, dots as underscores."""
    extractor = shown.get("feature_extractor")
    if not isinstance(extractor, dict) or "feature_extractor_id" in extractor:
        return
    name, version = extractor.get("feature_extractor_name"), extractor.get("version")
    derived = f"{name}_{version}".replace(".", "_")
    shown["feature_extractor"] = {**extractor, "feature_extractor_id": derived}


def _stage(stage: object) -> object:
    """The platform mirrors `config.parameters` at the top of a stage."""
    if not isinstance(stage, dict) or "parameters" in stage:
        return stage
    config = stage.get("config")
    parameters = config.get("parameters") if isinstance(config, dict) else None
    return {**stage, "parameters": parameters if isinstance(parameters, dict) else {}}
