"""A stored document with everything that the platform's client insists on.

The platform derives some fields when it answers, and its older documents lack others or spell them
otherwise; its client refuses an answer without them. What a document says itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .documents import Document

Completion = Callable[[Document], Document]

# What every `NamespaceModel` has, and its value where the document has none. A clone has its state,
# too: whether that is there tells a clone from what is none.
NAMESPACE_DEFAULTS: Document = {
    "object": "namespace",
    "namespace_type": "standard",
    "scope": "org",
    "infrastructure": None,
    "cluster_id": None,
    "description": None,
    "feature_extractors": [],
    "payload_indexes": None,
    "document_count": None,
    "auto_create_indexes": False,
    "adaptive_indexing": False,
    "dynamic_vector_indexes": None,
    "vector_inference_map": None,
    "trusted_issuers": None,
    "mode": None,
    "vector_configs": None,
}


def complete(kind: str, document: Document) -> Document:
    """The document with what is derived and what is absent filled in; the given one stays."""
    shown: Document = document
    for path, completion in _COMPLETIONS.get(kind, ()):
        shown = _at(shown, path.split(".") if path else [], completion)
    return shown


def extractor_id(name: object, version: object) -> str:
    """`feature_extractor_id`: name, `_`, version, dots as underscores."""
    return f"{name}_{version}".replace(".", "_")


def _at(value: Any, path: list[str], completion: Completion) -> Any:
    """The value with each object at the path completed. `*` in a path is every item of a list, and
    every value of an object."""
    if not path:
        return completion(value) if isinstance(value, dict) else value
    first, rest = path[0], path[1:]
    if first == "*":
        if isinstance(value, list):
            return [_at(one, rest, completion) for one in value]
        if isinstance(value, dict):
            return {key: _at(one, rest, completion) for key, one in value.items()}
        return value
    if not isinstance(value, dict) or first not in value:
        return value
    return {**value, first: _at(value[first], rest, completion)}


def _with(**defaults: Any) -> Completion:
    return lambda found: {**defaults, **found}


# ---- what stands in several kinds ------------------------------------------------------------


def _extractor(found: Document) -> Document:
    named = {"feature_extractor_name": "", "version": "", **found}
    derived = extractor_id(named["feature_extractor_name"], named["version"])
    return {"feature_extractor_id": derived, **named}


def _schema(found: Document) -> Document:
    return dict(_at({"properties": {}, **found}, ["properties", "*"], _schema_field))


def _schema_field(found: Document) -> Document:
    kind = "object" if "properties" in found else "array" if "items" in found else "string"
    completed = _at({"type": kind, **found}, ["properties", "*"], _schema_field)
    completed = _at(completed, ["items"], _schema_field)
    return dict(completed)


def _stage(position: int, found: Document) -> Document:
    """Older spellings have the stage's id, name and parameters in other places; the platform
    mirrors `config.parameters` at the top."""
    config = found.get("config")
    if not isinstance(config, dict):
        config = {key: found[key] for key in ("stage_id", "parameters") if key in found}
    name = found.get("stage_name") or found.get("name") or config.get("stage_name")
    name = name or config.get("stage_id") or f"stage_{position + 1}"
    parameters = config.get("parameters")
    if not isinstance(parameters, dict):
        parameters = {}
    return {"parameters": parameters, **found, "stage_name": name, "config": config}


def _stages(found: Document) -> Document:
    """The client knows no retriever without a stage: one that has none shows an empty one."""
    stages = found.get("stages")
    shown = [
        _stage(position, stage) if isinstance(stage, dict) else stage
        for position, stage in enumerate(stages if isinstance(stages, list) else [])
    ]
    return {**found, "stages": shown or [_stage(0, {"stage_name": "none"})]}


def _mappings(found: Document) -> Document:
    """Older ones are an object of inputs and where they come from."""
    mappings = found.get("input_mappings")
    if not isinstance(mappings, dict):
        return found
    newer = [{"input_key": key, "path": path} for key, path in mappings.items()]
    return {**found, "input_mappings": newer}


# ---- namespaces ------------------------------------------------------------------------------


def _payload_index(found: Document) -> Document:
    schema = found.get("field_schema")
    kind = schema.get("type") if isinstance(schema, dict) else schema
    return {"type": kind or "keyword", **found}


# ---- collections -----------------------------------------------------------------------------


def _source(found: Document) -> Document:
    """An older one has a single `bucket_id`; an empty list is none."""
    above = any(found.get(key) for key in ("collection_id", "collection_ids"))
    shown = {"type": "collection" if above else "bucket", **found}
    if found.get("bucket_id") and not found.get("bucket_ids"):
        shown["bucket_ids"] = [found["bucket_id"]]
    for key in ("bucket_ids", "collection_ids"):
        if shown.get(key) == []:
            shown[key] = None
    return shown


_TIER = _with(source_config={}, feature_extractor={}, output_schema={})
_COLLECTION = _with(source={}, feature_extractor={})


def _transform(found: Document) -> Document:
    """With a saved retriever it has no stages of its own."""
    return _stages(found) if found.get("stages") else found


# ---- retrievers ------------------------------------------------------------------------------


def _retriever(found: Document) -> Document:
    ids = found.get("collection_ids")
    mirrored = ids if isinstance(ids, list) else []
    shown = _stages({**found, "collection_identifiers": mirrored})
    return {"fusion": _fusion(shown["stages"]), **shown}


def _fusion(stages: list[Any]) -> str | None:
    """Derived: that of the stage `feature_search`."""
    for stage in stages:
        if isinstance(stage, dict) and stage["config"].get("stage_id") == "feature_search":
            fusion = stage["parameters"].get("fusion")
            return fusion if isinstance(fusion, str) else None
    return None


# ---- taxonomies ------------------------------------------------------------------------------


def _taxonomy_config(found: Document) -> Document:
    """What is no flat one is a hierarchy: the client tells them apart by what they have."""
    if found.get("taxonomy_type", "flat" if "source_collection" in found else "") == "flat":
        flat = {"taxonomy_type": "flat", "retriever_id": "", "input_mappings": []}
        shown = _mappings({**flat, "source_collection": {}, **found})
        return dict(_at(shown, ["source_collection"], _with(collection_id="")))
    return _mappings({"taxonomy_type": "hierarchical", **found})


def _node(found: Document) -> Document:
    """All of it is derived from its path."""
    path = found.get("path")
    path = path if isinstance(path, list) else str(found.get("node_id", "")).split("/")
    label = str(path[-1]) if path else ""
    derived = {"node_id": "/".join(map(str, path)), "label": label, "level": len(path[1:])}
    return {**derived, "path": path, **found}


# Where what is completed, by kind. An outer object comes before what is in it.
_COMPLETIONS: dict[str, tuple[tuple[str, Completion], ...]] = {
    "namespace": (
        ("", _with(**NAMESPACE_DEFAULTS)),
        ("feature_extractors.*", _extractor),
        ("payload_indexes.*", _payload_index),
    ),
    "bucket": (
        ("", _with(bucket_schema={})),
        ("bucket_schema", _schema),
    ),
    "collection": (
        ("", _COLLECTION),
        ("source", _source),
        ("feature_extractor", _extractor),
        ("input_schema", _schema),
        ("output_schema", _schema),
        ("source_bucket_schemas.*", _schema),
        ("source_lineage.*", _TIER),
        ("source_lineage.*.source_config", _source),
        ("source_lineage.*.feature_extractor", _extractor),
        ("source_lineage.*.output_schema", _schema),
        ("disabled_reason", _with(message="")),
        ("retriever_transform", _transform),
    ),
    "retriever": (
        ("", _retriever),
        ("input_schema.*", _with(type="text")),
        ("feature_dependencies.*", _with(extractor="", version="")),
    ),
    "taxonomy": (
        ("", lambda found: _mappings({"config": {}, **found})),
        ("config", _taxonomy_config),
        ("config.hierarchical_nodes.*", _mappings),
        ("nodes.*", _node),
    ),
}
