"""Filters: conditions on payload fields, in the platform's shapes, nested at will.

A filter's value is never dropped, because that would widen the result. A field counts as holding
ids only where payloads hold ids under that name too (table_records.py): a user's own field that
happens to have such a value is not rewritten there either.
"""

from __future__ import annotations

import re
from typing import Any

from .engine import LOOSE, Walk
from .model import Outcome, Row
from .resolver import PRESERVED, Verdict
from .shapes import as_data, field_name, mention, text

_NESTING = {
    *("and", "or", "not", "all", "any", "none", "must", "should", "must_not"),
    *("filter", "filters", "condition", "conditions"),
}
_SYSTEM = {
    *("_internal", "internal_metadata", "lineage", "chain", "edges", "source_details"),
    *("processing", "history", "processing_history", "taxonomy_lineage"),
}
_INDEX = re.compile(r"\[\d*\]")

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
    "taxonomy_id": "taxonomy",
    "taxonomy_ids_applied": "taxonomy",
    "taxonomy_lineage": "taxonomy",
    "retriever_id": "retriever",
    "source_id": "any",
    "path": "path",
}


def values_of(field: str) -> str | None:
    """What ids a payload field holds; None for a user's field and for those without ids."""
    *above, last = [part for part in _INDEX.sub("", field).split(".") if not part.isdigit()]
    if any(part not in _SYSTEM for part in above):
        return None
    if last.startswith("_taxonomy_") and last.endswith(("_id", "_assignments")):
        return "collection"
    return (_SYSTEM_FIELDS if above else _FIELDS).get(last)


def filters(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """Conditions `{field, operator, value}`, AND/OR/NOT around them, or `{field: value}`."""
    if isinstance(value, list):
        return [filters(walk, row, inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if not isinstance(value, dict):
        return text(walk, row, value, path)
    if isinstance(value.get("field"), str):
        return _condition(walk, row, value, path)
    return dict(_entry(walk, row, name, inner, f"{path}.{name}") for name, inner in value.items())


def _condition(walk: Walk, row: Row, value: dict[str, Any], path: str) -> dict[str, Any]:
    kind = values_of(value["field"])
    result = {}
    for name, inner in value.items():
        place = f"{path}.{name}"
        if name == "field":
            result[name] = field_name(walk, row, inner, place)
        elif name in ("value", "values"):
            result[name] = _values(walk, kind, inner, place)
        else:
            result[name] = filters(walk, row, inner, place)
    return result


def _entry(walk: Walk, row: Row, name: str, inner: Any, path: str) -> tuple[str, Any]:
    if name.lower().lstrip("$") in _NESTING:
        return name, filters(walk, row, inner, path)
    new_name = field_name(walk, row, name, path)
    return new_name, _values(walk, values_of(name), inner, path)


def condition(walk: Walk, row: Row, value: Any, path: str) -> Any:
    """The value of a condition that stands among a stage's own parameters."""
    return _values(walk, values_of(walk.around["field"]), value, path)


def _values(walk: Walk, kind: str | None, value: Any, path: str) -> Any:
    """Values of a field of that kind: one, a list, or by operator."""
    if kind is None:
        return text(walk, LOOSE, value, path)
    if isinstance(value, list):
        return [_values(walk, kind, inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, dict):
        if value.get("type") == "dynamic":
            return value
        return {name: _values(walk, kind, inner, f"{path}.{name}") for name, inner in value.items()}
    return _one_value(walk, kind, value, path) if isinstance(value, str) else value


def _one_value(walk: Walk, kind: str, value: str, path: str) -> str:
    resolver = walk.resolver
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
        return mention(walk, value, path)
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
