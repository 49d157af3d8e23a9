"""Filters: conditions on payload fields, in the platform's shapes and Qdrant's, nested at will.

A filter's value is never dropped, because that would widen the result. A field counts as holding
ids only where payloads hold ids under that name too (table_records.py): a user's own field that
happens to have such a value is not rewritten there either.
"""

from __future__ import annotations

import re
from typing import Any

from .engine import COMPARED, Walk
from .model import Outcome, Row
from .resolver import PRESERVED, Verdict, separated
from .shapes import DATA, as_data, mention, spelled, text

_NESTING = {
    *("and", "or", "not", "nor", "all", "any", "none", "must", "should", "must_not", "min_should"),
    *("filter", "filters", "condition", "conditions", "bool", "match", "term"),
    *("terms", "case", "if", "then", "else"),
}
# What Qdrant asks of the field under `key`, which tells a condition from a field of that name.
_ASKS = frozenset(
    {"match", "range", "values_count", "filter", "is_empty", "is_null"}
    | {"geo_bounding_box", "geo_radius", "geo_polygon"}
)
# Under which other keys a condition may name its field: one that holds ids, because only then it is
# clear that it is a condition.
_NAMES = ("key", "field_name", "name", "path", "attribute", "property", "column", "var")
_SYSTEM = {
    *("_internal", "internal_metadata", "lineage", "chain", "edges", "source_details"),
    *("processing", "history", "processing_history", "taxonomy_lineage", "lineage_chain"),
}
_INDEX = re.compile(r"\[\d*\]")
# A stage may say of its document's field that it is one: `DOC.collection_id`, in braces or not.
_OF_DOCUMENT = re.compile(r"\{\{\s*(?:doc|document|payload)\.([\w.\[\]]+)\s*\}\}", re.IGNORECASE)
_DOCUMENT = re.compile(r"(?:doc|document|payload)\.", re.IGNORECASE)

# The last segment of the field, alone or below system fields -> what its values are.
_FIELDS = {
    "collection_id": "collection",
    "source_collection_id": "collection",
    "root_bucket_id": "bucket",
    "bucket_id": "bucket",
    "namespace_id": "namespace",
    "internal_id": "organization",
    "lineage_path": "path",
}
# The same, only below system fields: alone they are user fields.
_SYSTEM_FIELDS = {
    **_FIELDS,
    "target_collection_id": "collection",
    "parent_collection_id": "collection",
    "node_id": "collection",
    "taxonomy_id": "taxonomy",
    "taxonomy_ids_applied": "taxonomy",
    "taxonomy_lineage": "taxonomy",
    "retriever_id": "retriever",
    "source_id": "any",
    "path": "path",
}


def values_of(field: str) -> str | None:
    """What ids a payload field holds; None for a user's field and for those without ids."""
    if (of_document := _OF_DOCUMENT.fullmatch(field)) is not None:
        field = of_document[1]
    field = _INDEX.sub("", _DOCUMENT.sub("", field, count=1))
    *above, last = [part for part in field.split(".") if not part.isdigit()] or [""]
    if any(part not in _SYSTEM for part in above):
        return None
    if last.startswith("_taxonomy_") and last.endswith(("_id", "_assignments")):
        return "collection"
    return (_SYSTEM_FIELDS if above else _FIELDS).get(last)


def filters(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Conditions `{field, operator, value}` or `{key, match}`, AND/OR/NOT or must/should/must_not
    around them, or `{field: value}`."""
    return _filters(walk, row, value, path, "")


def _filters(walk: Walk, row: Row, value: Any, path: str, within: str) -> Any:
    """`within` is the field whose objects the conditions are on, with its dot."""
    if isinstance(value, list):
        if (kind := _first(value)) is not None:
            return _values(walk, kind, value, path)
        return [_filters(walk, row, inner, f"{path}[{i}]", within) for i, inner in enumerate(value)]
    if not isinstance(value, dict):
        return text(walk, row, value, path)
    if (named := field_of(value)) is not None:
        return _condition(walk, row, value, path, within, named)
    return dict(
        _entry(walk, row, name, inner, f"{path}.{name}", within) for name, inner in value.items()
    )


def field_of(value: dict[str, Any]) -> str | None:
    """The key under which a condition names its field; None where it is no condition."""
    if isinstance(value.get("field"), str):
        return "field"
    if isinstance(value.get("key"), str) and _ASKS & value.keys():
        return "key"
    named = ((name, value.get(name)) for name in _NAMES)
    return next((name for name, field in named if _holds_ids(field)), None)


def _holds_ids(field: Any) -> bool:
    return isinstance(field, str) and values_of(field) is not None


def _first(value: list[Any]) -> str | None:
    """What the values are of a condition that is written as a list: `["collection_id", "=", ...]`,
    or `[{"var": "collection_id"}, ...]`."""
    first = value[0] if len(value) > 1 else None
    if isinstance(first, dict) and len(first) == 1:
        first = first.get("var")
    return values_of(first) if isinstance(first, str) else None


def _condition(
    walk: Walk, row: Row, value: dict[str, Any], path: str, within: str, named: str
) -> dict[str, Any]:
    field = within + value[named]
    kind = values_of(field)
    result = {}
    for name, inner in value.items():
        place = f"{path}.{name}"
        if name == named:
            result[name] = spelled(walk, row, inner, place)
        elif name not in COMPARED and _nests(name) and _has_objects(inner):
            below = f"{field}." if name == "filter" else ""
            result[name] = _filters(walk, row, inner, place, below)
        elif kind is None and "{{" in field:
            result[name] = text(walk, row, inner, place)  # which field, only a run of it knows
        else:
            result[name] = _values(walk, kind, inner, place)
    return result


def _nests(name: str) -> bool:
    return name.lower().lstrip("$") in _NESTING


def _has_objects(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_has_objects, value)))


def _entry(walk: Walk, row: Row, name: str, inner: Any, path: str, within: str) -> tuple[str, Any]:
    if _nests(name):
        return name, _filters(walk, row, inner, path, within)
    if isinstance(inner, dict) and isinstance(inner.get("key"), str):
        # Qdrant's `nested`, `is_empty` and `is_null` name their field one level deeper.
        return name, _condition(walk, row, inner, path, within, "key")
    new_name = spelled(walk, row, name, path)
    return new_name, _values(walk, values_of(within + name), inner, path)


def condition(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """What a condition among a stage's own parameters compares its field with."""
    field = field_of(walk.around)
    kind = None if field is None else values_of(walk.around[field])
    return _values(walk, kind, value, path)


def _values(walk: Walk, kind: str | None, value: Any, path: str) -> Any:
    """Values of a field of that kind: one, a list, or by operator."""
    if kind is None:
        kind = _first(value) if isinstance(value, list) else None
    if kind is None:
        return text(walk, DATA, value, path)
    if isinstance(value, list):
        return [_values(walk, kind, inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, dict):
        if value.get("type") == "dynamic":
            return value
        return {name: _values(walk, kind, inner, f"{path}.{name}") for name, inner in value.items()}
    return _one_value(walk, kind, value, path) if isinstance(value, str) else value


def _one_value(walk: Walk, kind: str, value: str, path: str) -> str:
    resolver = walk.resolver
    if (parts := separated(value)) is not None:
        return "".join(_one_value(walk, kind, part, path) for part in parts)
    if kind == "path":
        return _id_path(walk, value, path)
    if kind == "organization":
        old, new = resolver.map.organization
        if value != old or new == old:
            return value
        walk.note(path, kind, old, "rewritten", new=new)
        return new
    if kind == "namespace":
        if value not in resolver.map.own_namespaces:
            return value
        return as_data(walk, value, path, resolver.decide_namespace(value))
    verdict = resolver.decide_any(value) if kind == "any" else resolver.decide(kind, value)
    if verdict is None or verdict.state in ("unknown", "outside") or _is_name(verdict):
        return mention(walk, value, path, is_data=True)
    return as_data(walk, value, path, verdict)


def _is_name(verdict: Verdict) -> bool:
    return verdict.state == "kept" and verdict.reason != PRESERVED


def _id_path(walk: Walk, value: str, path: str) -> str:
    new, found = walk.resolver.id_path(value)
    for old in found:
        swapped, _ = walk.resolver.id_path(old)
        outcome: Outcome = "kept" if swapped == old else "rewritten"
        walk.note(path, "bucket or collection", old, outcome, new=swapped)
    return new
