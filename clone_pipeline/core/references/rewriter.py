"""The public face: one Rewriter for one clone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from . import filters, shapes
from .engine import Handler, Node, Walk, tree
from .model import KINDS, IdMap, Reference
from .records import Found, RecordObject, RecordRewriter
from .resolver import Resolver
from .table import CONFIGURATION, RECORDS

_HANDLERS: dict[str, Handler] = {
    "own id": shapes.own_id,
    "id": shapes.one_id,
    "key": shapes.key,
    "namespace": shapes.namespace,
    "organization": shapes.organization,
    "field name": shapes.field_name,
    "field names": shapes.field_names,
    "constant": shapes.constant,
    "filters": filters.filters,
    "condition": filters.condition,
    "stages": shapes.stages,
    "inputs": shapes.inputs,
    "text": shapes.text,
    "acts": shapes.acts,
    "ends with own id": shapes.ends_with_own_id,
    "verbatim": shapes.verbatim,
}
_TREES: dict[str, Node] = {kind: tree(rows) for kind, rows in CONFIGURATION.items()}

Payload = TypeVar("Payload", bound=dict[str, Any] | RecordObject)


class Rewriter:
    """Rewrites every reference of a namespace's documents by one id map.

    Inputs are never changed, but for a payload that is a RecordObject; what no row of the table
    names is carried over as it is, in its order. A result may share its unchanged parts with the
    input.
    """

    def __init__(self, ids: IdMap) -> None:
        self.ids = ids
        self._resolver = Resolver(ids)
        self._objects = RecordRewriter(self._resolver, RECORDS["object"])
        self._payloads = RecordRewriter(self._resolver, RECORDS["payload"])

    def rewrite(
        self, kind: str, document: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Reference]]:
        """The clone's document of a namespace, bucket, collection, retriever or taxonomy, and every
        reference found in the source's."""
        walk = self._walk(kind, document)
        result = walk.run(_TREES[kind], document)
        return result, walk.references

    def rewrite_object(self, document: dict[str, Any]) -> tuple[dict[str, Any], Found]:
        """The clone's object and what references were found."""
        return self._objects.rewrite(document)

    def rewrite_payload(self, payload: Payload) -> tuple[Payload, Found]:
        """The clone's payload and what references were found. A RecordObject is rewritten where it
        stands."""
        return self._payloads.rewrite(payload)

    def rewrite_field_name(self, name: str) -> str:
        """A payload field name or dotted path, with the ids of cloned taxonomies in it swapped."""
        return self._payloads.field_name(name)

    def rewrite_qdrant_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """A Qdrant collection's configuration: the payload indexes' field names are rewritten."""
        fields = config.get("payload_schema")
        if not isinstance(fields, dict):
            return config
        renamed = {self.rewrite_field_name(name): schema for name, schema in fields.items()}
        return {**config, "payload_schema": renamed}

    def source_ids_left(self, kind: str, document: dict[str, Any]) -> list[tuple[str, str]]:
        """(path, id) of every id of the source that stands at a mapped place of a *target's*
        document, object or payload, although the clone has its own. Nothing is the good answer."""
        if kind in RECORDS:
            return self._left_in_record(kind, document)
        walk = self._walk(kind, document, probe=True)
        walk.run(_TREES[kind], document)
        left = [
            (found.path, found.old) for found in walk.references if found.outcome == "rewritten"
        ]
        return walk.own_ids + left

    def _walk(self, kind: str, document: dict[str, Any], *, probe: bool = False) -> Walk:
        resource = (kind, str(document.get(f"{kind}_id", "")))
        return Walk(self._resolver, _HANDLERS, _TREES["stage"], resource, probe=probe)

    def _left_in_record(self, kind: str, record: dict[str, Any]) -> list[tuple[str, str]]:
        """What rewriting would still change in a record of the target."""
        records = self._objects if kind == "object" else self._payloads
        rewritten, found = records.rewrite(record)
        if not any(outcome == "rewritten" for _, outcome in found.counts):
            return []
        return [
            (path, old)
            for path, value in _differences(record, rewritten, "")
            for old in self._source_ids(value)
        ]

    def _source_ids(self, value: str) -> list[str]:
        """The ids of the source in a value or key that rewriting would change."""
        ids = self.ids
        swapped = {
            old for kind in KINDS for old, new in ids.ids.get(kind, {}).items() if old != new
        }
        swapped |= {old for old, new in (ids.namespace, ids.organization) if old != new}
        named = [old for old, _ in self._resolver.field_name(value).taxonomies]
        return [part for part in (*value.split("/"), *named) if part in swapped]


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, old text) of every key and string that differs; both have the same order."""
    if isinstance(old, dict) and isinstance(new, dict):
        if len(old) != len(new):
            old = {key: value for key, value in old.items() if key in new}
        for (key, inner), (new_key, new_inner) in zip(old.items(), new.items(), strict=True):
            place = f"{path}.{key}" if path else key
            if key != new_key:
                yield place, key
            yield from _differences(inner, new_inner, place)
    elif isinstance(old, list) and isinstance(new, list):
        for index, (inner, new_inner) in enumerate(zip(old, new, strict=True)):
            yield from _differences(inner, new_inner, f"{path}[{index}]")
    elif isinstance(old, str) and old != new:
        yield path, old
