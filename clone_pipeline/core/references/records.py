"""Rewrites records, in millions: looks only at the places of the table, copies only what changes.

A reference counts by its row's path and what became of it. To what is not cloned, it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ..objects.location import is_elsewhere, is_s3
from .engine import Node, tree
from .model import Row
from .record_types import ARRAYS, OBJECTS, Json, RecordObject, pick_at, renamed, with_value, without
from .resolver import Resolver
from .table_records import SIGNED

Count = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Found:
    """How many references were found in a record, by (path, outcome). The same object for records
    in which the same was found."""

    counts: Counter[Count]


_NODE_VALUES = ("_id", "_assignments")
_NODE_KEYS = frozenset({"id", "node_id", "collection_id"})
# A memo that grows beyond this starts anew.
_MEMO = 4096
_ABSENT = object()
# Where text is content, unless it begins like an address.
_INLINE = "data"


class _Leaf(NamedTuple):
    """One key whose value is an id: what it becomes, and which of the counts goes up."""

    key: str
    ids: dict[str, str]
    rewritten: int
    kept: int


class _Verdict(NamedTuple):
    """What becomes of the ids that stand in one object itself: (key, new value), and counts."""

    changes: list[tuple[str, str]]
    found: list[int]


class _Renaming(NamedTuple):
    """What becomes of the keys that spell taxonomies: those that change, counts, those that hold
    nodes."""

    names: dict[str, str]
    found: list[int]
    nodes: frozenset[str]


@dataclass
class _Place:
    """One object of a record, or each object of a list: what is looked at in it."""

    ids: list[_Leaf] = field(default_factory=list)
    paths: list[_Leaf] = field(default_factory=list)
    settings: list[tuple[_Leaf, str]] = field(default_factory=list)
    by_type: _Leaf | None = None
    signed: list[_Leaf] = field(default_factory=list)
    locations: list[_Leaf] = field(default_factory=list)
    inner: list[_Inner] = field(default_factory=list)
    item: _Leaf | None = None  # of a list: what an item is that is no object
    fields: _Leaf | None = None  # keys that spell a taxonomy
    nodes: _Leaf | None = None  # their values
    keys: frozenset[str] = frozenset()  # all that is looked at by name
    decided_by: tuple[str, ...] = ()  # those of them that hold ids
    # Ids repeat from record to record, and so do field names.
    verdicts: dict[tuple[Any, ...], _Verdict] = field(default_factory=dict)
    renamings: dict[tuple[str, ...], _Renaming] = field(default_factory=dict)


class _Inner(NamedTuple):
    """An object or a list inside an object, and what is called for it."""

    key: str
    place: _Place
    rewrite: Callable[[_Place, Json, list[int]], Json]
    kinds: tuple[type, ...]


class RecordRewriter:
    """One kind of record under one id map."""

    def __init__(
        self, resolver: Resolver, rows: tuple[Row, ...], files: dict[str, str | None] | None = None
    ) -> None:
        """`files`: what gets the location of every file that is found in a record."""
        self._resolver = resolver
        self._files = files
        # Ids that stay are left out: what is not found is kept.
        self._ids = {
            kind: {old: new for old, new in mapping.items() if old != new}
            for kind, mapping in resolver.map.ids.items()
        }
        for kind in ("namespace", "organization"):
            old, new = getattr(resolver.map, kind)
            self._ids[kind] = {old: new} if old != new else {}
        self._counts: list[Count] = []
        self._totals: dict[tuple[int, ...], Found] = {}
        self._names: dict[str, str] = {}
        # Where files are shared, all there is to be done with their locations is to keep them.
        stays = ("verbatim",) if resolver.map.files else ("verbatim", "location")
        self._rows = tuple(row for row in rows if row.shape not in stays)

    @cached_property
    def _root(self) -> _Place:
        return self._place(tree(self._rows))

    @cached_property
    def _unsigned(self) -> _Place:
        """Of points few are signed, and to go through all that may be takes long."""
        unsigned = tuple(row for row in self._rows if row.shape != "signed url")
        return self._place(tree(unsigned))

    def rewrite(self, record: Json) -> tuple[Json, Found]:
        """The record for the clone and what was found in it. A dictionary that changes is a new
        one; a RecordObject is changed."""
        found: list[int] = []
        signed = not isinstance(record, RecordObject) or record.may_have(SIGNED)
        result = self._object(self._root if signed else self._unsigned, record, found)
        return result, self._total(tuple(found))

    def _total(self, found: tuple[int, ...]) -> Found:
        """What was found, counted. Records of a collection mostly have the same in them."""
        total = self._totals.get(found)
        if total is None:
            total = Found(Counter(self._counts[index] for index in found))
            _remember(self._totals, found, total)
        return total

    # From the table

    def _place(self, node: Node) -> _Place:
        place = _Place()
        for key, below in node.keys.items():
            if below.items is not None:
                place.inner.append(_Inner(key, self._place(below.items), self._array, ARRAYS))
            elif below.keys or below.row is None:
                place.inner.append(_Inner(key, self._place(below), self._object, OBJECTS))
            if below.row is not None:
                self._attach(place, key, below.row)
        if node.row is not None:
            place.item = self._leaf("", node.row)
        if node.key_row is not None:
            place.fields = self._leaf("", node.key_row)
        if node.values is not None and node.values.row is not None:
            place.nodes = self._leaf("", node.values.row)
        ids = [*place.ids, *place.paths, *(leaf for leaf, _ in place.settings)]
        typed = [place.by_type.key, "type"] if place.by_type else []
        place.decided_by = (*(leaf.key for leaf in ids), *typed)
        place.keys = frozenset(node.keys) | set(typed)
        return place

    def _attach(self, place: _Place, key: str, row: Row) -> None:
        leaf = self._leaf(key, row)
        if row.shape == "set":
            place.settings.append((leaf, getattr(self._resolver.map, row.target)[1]))
        elif row.shape == "signed url":
            self._counts[leaf.rewritten] = (row.path, "cleared")
            place.signed.append(leaf)
        elif row.shape == "location":
            self._counts += [(row.path, "elsewhere"), (row.path, "without bucket")]
            place.locations.append(leaf)
        elif row.shape == "id path":
            place.paths.append(leaf)
        elif row.shape == "typed id":
            place.by_type = leaf
        else:
            place.ids.append(leaf)

    def _leaf(self, key: str, row: Row) -> _Leaf:
        at = len(self._counts)
        self._counts += [(row.path, "rewritten"), (row.path, "kept")]
        return _Leaf(key, self._ids.get(row.target, {}), at, at + 1)

    # One record. A dictionary or list comes back as it is, or as a copy that differs.

    def _object(self, place: _Place, old: Json, found: list[int]) -> Json:
        new = old
        values = pick_at(old, place.keys)
        if place.decided_by:
            changes, counts = self._verdict(place, values)
            found += counts
            for key, value in changes:
                new = with_value(old, new, key, value)
        for key, below, inside, kinds in place.inner:
            if key in values and isinstance(value := values[key], kinds):
                inner = inside(below, value, found)
                if inner is not value:
                    new = with_value(old, new, key, inner)
        if place.locations or place.signed:
            new = self._of_files(place, values, old, new, found)
        return self._taxonomy_fields(place, old, new, found) if place.fields else new

    def _of_files(
        self, place: _Place, values: dict[str, Any], old: Json, new: Json, found: list[int]
    ) -> Json:
        """What becomes of locations, and of the URLs that are secrets."""
        for leaf in place.locations:
            if type(location := values.get(leaf.key)) is str and location:
                located = self._locate(leaf, location, found)
                if located is not location:
                    new = with_value(old, new, leaf.key, located)
        for leaf in place.signed:
            if values.get(leaf.key) is not None:
                new = without(old, new, leaf.key)
                found.append(leaf.rewritten)
        return new

    def _locate(self, leaf: _Leaf, location: str, found: list[int]) -> str:
        """Where the clone's own copy of a file is; http(s) addresses, keys whose bucket nobody
        tells, and inline content stay."""
        files = self._resolver.map.files
        target = None if files is None else files.target(location)
        if target is not None:
            found.append(leaf.rewritten)
            if self._files is not None:
                self._files.setdefault(location)
            return target
        if is_elsewhere(location):
            found.append(leaf.kept + 1)
        elif is_s3(location):
            found.append(leaf.kept)
        elif leaf.key != _INLINE:
            found.append(leaf.kept + 2)
        return location

    def _verdict(self, place: _Place, values: dict[str, Any]) -> _Verdict:
        by = tuple([values[key] if key in values else _ABSENT for key in place.decided_by])
        try:
            verdict = place.verdicts.get(by)
        except TypeError:  # an object or a list stands where an id should
            return self._decide(place, values)
        if verdict is None:
            verdict = self._decide(place, values)
            _remember(place.verdicts, by, verdict)
        return verdict

    def _decide(self, place: _Place, values: dict[str, Any]) -> _Verdict:
        verdict = _Verdict([], [])
        for leaf in place.ids:
            _note(verdict, leaf, values, leaf.ids.get)
        for leaf, setting in place.settings:
            if leaf.key in values:
                kept = values[leaf.key] == setting
                verdict.found.append(leaf.kept if kept else leaf.rewritten)
                verdict.changes.extend([] if kept else [(leaf.key, setting)])
        for leaf in place.paths:
            _note(verdict, leaf, values, lambda path: self._resolver.id_path(path)[0])
        if place.by_type is not None:
            kind = values.get("type")
            ids = self._ids.get(kind.lower(), {}) if type(kind) is str else {}
            _note(verdict, place.by_type, values, ids.get)
        return verdict

    def _array(self, place: _Place, old: Json, found: list[int]) -> Json:
        new = old
        for index, value in enumerate(old):
            swapped = value
            if isinstance(value, OBJECTS):
                swapped = self._object(place, value, found)
            elif type(value) is str and place.item is not None:
                swapped = place.item.ids.get(value, value)
                found.append(place.item.kept if swapped is value else place.item.rewritten)
            if swapped is not value:
                new = with_value(old, new, index, swapped)
        return new

    def _taxonomy_fields(self, place: _Place, old: Json, new: Json, found: list[int]) -> Json:
        """Keys that spell a taxonomy, and the nodes that some of them hold."""
        if "_taxonomy_" not in " ".join(old):
            return new
        spelling = tuple(sorted(key for key in old if key.startswith("_taxonomy_")))
        renaming = place.renamings.get(spelling)
        if renaming is None:
            renaming = self._renaming(place, spelling)
            _remember(place.renamings, spelling, renaming)
        found += renaming.found
        if place.nodes is not None and renaming.nodes:
            for key, value in pick_at(old, renaming.nodes).items():
                if key in renaming.nodes:
                    inner = self._node(place.nodes, value, found)
                    if inner is not value:
                        new = with_value(old, new, key, inner)
        return renamed(new, renaming.names) if renaming.names else new

    def _renaming(self, place: _Place, spelling: tuple[str, ...]) -> _Renaming:
        names = {key: self.field_name(key) for key in spelling}
        leaf = place.fields
        return _Renaming(
            {old: new for old, new in names.items() if old != new},
            [leaf.kept if names[key] == key else leaf.rewritten for key in spelling if leaf],
            frozenset(key for key in spelling if key.endswith(_NODE_VALUES)),
        )

    def field_name(self, name: str) -> str:
        known = self._names.get(name)
        if known is None:
            known = self._resolver.field_name(name).name
            _remember(self._names, name, known)
        return known

    def _node(self, leaf: _Leaf, value: Any, found: list[int]) -> Any:
        """A taxonomy's node: a document, or in a hierarchical one a collection."""
        if type(value) is str:
            swapped = leaf.ids.get(value, value)
            found.append(leaf.kept if swapped is value else leaf.rewritten)
            return swapped
        new = value
        if isinstance(value, ARRAYS):
            for index, item in enumerate(value):
                if (swapped := self._node(leaf, item, found)) is not item:
                    new = with_value(value, new, index, swapped)
        elif isinstance(value, OBJECTS):
            values = pick_at(value, _NODE_KEYS)
            for key in _NODE_KEYS & values.keys():
                inner = values[key]
                if type(inner) is str and (swapped := self._node(leaf, inner, found)) is not inner:
                    new = with_value(value, new, key, swapped)
        return new


def _note(
    verdict: _Verdict,
    leaf: _Leaf,
    values: dict[str, Any],
    swap: Callable[[str], str | None],
) -> None:
    """Adds what becomes of the text at a place: something else, or nothing."""
    value = values.get(leaf.key)
    if type(value) is not str:
        return
    new = swap(value)
    if new is None or new == value:
        verdict.found.append(leaf.kept)
    else:
        verdict.found.append(leaf.rewritten)
        verdict.changes.append((leaf.key, new))


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memo) >= _MEMO:
        memo.clear()
    memo[key] = value
