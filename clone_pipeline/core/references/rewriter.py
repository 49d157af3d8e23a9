"""The public face: one Rewriter for one clone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any, TypeVar

from .. import secrets
from ..objects.location import hashes
from . import filters, shapes
from .engine import Handler, Node, Walk, tree
from .model import (
    COPIED,
    IN_TEXT,
    KINDS,
    LEFT_BEHIND,
    UNLISTED,
    UNLISTED_DATA,
    WAS_SET,
    IdMap,
    Reference,
    Row,
)
from .record_types import RecordObject
from .records import Found, RecordRewriter
from .resolver import Resolver
from .table import CONFIGURATION, RECORDS
from .unlisted import SourceIds, folded

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

_STEPS = re.compile(r"[.\[\]{}]+")
# What follows the path of a row in a path below it.
_BEHIND = ("", ".", "[", "{")

Payload = TypeVar("Payload", bound=dict[str, Any] | RecordObject)


class Rewriter:
    """Rewrites every reference of a namespace's documents by one id map.

    Inputs are never changed, but for a payload that is a RecordObject; what no row of the table
    names is carried over as it is, in its order. A result may share its unchanged parts with the
    input.
    """

    def __init__(self, ids: IdMap, *, notes_files: bool = False) -> None:
        """`notes_files`: keeps the locations of the files that it finds in records, until they are
        taken."""
        self.ids = ids
        self.files: dict[str, str | None] | None = {} if notes_files and ids.files else None
        self._resolver = Resolver(ids)

    # Most rewriters see records of one kind at most.
    @cached_property
    def _objects(self) -> RecordRewriter:
        return RecordRewriter(self._resolver, RECORDS["object"], self.files)

    @cached_property
    def _payloads(self) -> RecordRewriter:
        return RecordRewriter(self._resolver, payload_rows(self.ids), self.files)

    def rewrite(
        self, kind: str, document: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Reference]]:
        """The clone's document of a namespace or of a resource, and every reference found in the
        source's."""
        walk = self._walk(kind, document)
        document, left = self._without_secrets(document)
        result = walk.run(_tree_of(kind), document)
        result = shapes.templates(walk, result, "")
        copied = secrets.places(result) if self._resolver.shares_organization else []
        for path in left:
            walk.note(path, "secret", "", "cleared", LEFT_BEHIND, parked=WAS_SET, removed=path)
        for path in copied:
            walk.note(path, "secret", "", "kept", COPIED)
        return result, walk.references

    def _without_secrets(self, document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """What of a document may go to the clone's organization, and where something may not."""
        if self._resolver.shares_organization:
            return document, []
        return secrets.clear(document)

    def rewrite_object(self, document: dict[str, Any]) -> tuple[dict[str, Any], Found]:
        """The clone's object and what references were found."""
        result = self._objects.rewrite(document)
        if self.files:
            self.files |= (found for found in hashes(document) if found[0] in self.files)
        return result

    def rewrite_payload(self, payload: Payload) -> tuple[Payload, Found]:
        """The clone's payload and what references were found. A RecordObject is rewritten where it
        stands."""
        return self._payloads.rewrite(payload)

    def take_files(self) -> dict[str, str | None]:
        """The locations of the files that were found since they were taken last, each with its
        SHA-256 where the object says that."""
        if not self.files:
            return {}
        taken = dict(self.files)
        self.files.clear()
        return taken

    def rewrite_field_name(self, name: str) -> str:
        """A payload field name or dotted path, with the ids of cloned taxonomies in it swapped."""
        return self._payloads.field_name(name)

    def rewrite_qdrant_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """A Qdrant collection's configuration: the payload indexes' field names are rewritten."""
        if isinstance(config.get("metadata"), dict):
            config = {**config, "metadata": self._without_secrets(config["metadata"])[0]}
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
        walk.run(_tree_of(kind), document)
        left = [
            (found.path, found.old) for found in walk.references if found.outcome == "rewritten"
        ]
        return walk.own_ids + left

    @cached_property
    def source_ids(self) -> SourceIds:
        return SourceIds(self.ids)

    def unlisted(self, kind: str, document: dict[str, Any]) -> list[Reference]:
        """Every id of the source that stands as a whole in the *clone's* document of a namespace or
        of a resource, where the table has no row for it."""
        walk = self._walk(kind, document, probe=True)
        walk.run(_tree_of(kind), document)
        # Of an address in which an id is a segment, that it is mentioned is not enough.
        known = [found for found in walk.references if found.reason != IN_TEXT]
        told = {(found.path, found.old) for found in known} | set(walk.own_ids)
        return [
            Reference(*walk.resource, path, target, old, old, "unlisted", reason)
            for path, old in self.source_ids.in_configuration(document)
            if (path, old) not in told
            and (reason := _reason(kind, folded(path, old)))
            and (target := self.source_ids.known[old])
        ]

    def unlisted_places(self, kind: str, record: dict[str, Any]) -> Iterator[str]:
        """The same in the clone's object or payload: the folded paths."""
        for path, old in self.source_ids.in_record(record):
            place = folded(path, old)
            if _reason(kind, place):
                yield place

    def _walk(self, kind: str, document: dict[str, Any], *, probe: bool = False) -> Walk:
        resource = (kind, str(document.get(f"{kind}_id", "")))
        return Walk(self._resolver, _HANDLERS, _tree_of("stage"), resource, probe=probe)

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
        """The ids of the source in a value or key that rewriting would change, or the location."""
        ids = self.ids
        if ids.files is not None and ids.files.target(value) is not None:
            return [value]
        swapped = {
            old for kind in KINDS for old, new in ids.ids.get(kind, {}).items() if old != new
        }
        swapped |= {old for old, new in (ids.namespace, ids.organization) if old != new}
        named = [old for old, _ in self._resolver.field_name(value).taxonomies]
        return [part for part in (*value.split("/"), *named) if part in swapped]


def payload_rows(ids: IdMap) -> tuple[Row, ...]:
    """Where references stand in the payloads of this clone."""
    return () if ids.foreign_payloads else RECORDS["payload"]


@cache
def _tree_of(kind: str) -> Node:
    return tree(CONFIGURATION[kind])


@cache
def _verbatim(kind: str) -> tuple[Row, ...]:
    """What is carried over whatever stands there; a name is only a name, also where it looks like
    an id."""
    rows = {**CONFIGURATION, **RECORDS}[kind]
    name = Row(f"{kind}_name", "", "verbatim")
    return (*(row for row in rows if row.shape in ("verbatim", "location")), name)


def _reason(kind: str, place: str) -> str:
    """What is said of an id at a place; "" where the table says that it stands there rightly."""
    for row in _verbatim(kind):
        if place.startswith(row.path) and place[len(row.path) : len(row.path) + 1] in _BEHIND:
            return UNLISTED_DATA if row.target == "user data" else ""
    return UNLISTED_DATA if "metadata" in _STEPS.split(place) else UNLISTED


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
