"""Rewrites records, in millions: looks only at the places of the table, copies only what changes.

A reference counts by its row's path and what became of it. To what is not cloned, it is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .engine import Node, tree
from .model import Row
from .resolver import Resolver

Json = dict[str, Any]
Count = tuple[str, str]

_NODE_VALUES = ("_id", "_assignments")
_NODE_KEYS = ("id", "node_id", "collection_id")
# Field names and lineages repeat from point to point; a memo that grows beyond this starts anew.
_MEMO = 4096


class _Leaf(NamedTuple):
    """One key whose value is an id: what it becomes, and which of the counts goes up."""

    key: str
    ids: dict[str, str]
    rewritten: int
    kept: int


class _Renaming(NamedTuple):
    """What becomes of the keys of one object: all of them anew, counts, those that hold nodes."""

    keys: tuple[str, ...]
    found: list[int]
    nodes: list[str]


@dataclass
class _Place:
    """One object of a record, or each object of a list: what is looked at in it."""

    ids: list[_Leaf] = field(default_factory=list)
    paths: list[_Leaf] = field(default_factory=list)
    settings: list[tuple[_Leaf, str]] = field(default_factory=list)
    signed: list[_Leaf] = field(default_factory=list)
    by_type: _Leaf | None = None
    inner: list[tuple[str, type, _Place]] = field(default_factory=list)  # objects and lists
    item: _Leaf | None = None  # of a list: what an item is that is no object
    fields: _Leaf | None = None  # keys that spell a taxonomy
    nodes: _Leaf | None = None  # their values
    renamings: dict[tuple[str, ...], _Renaming] = field(default_factory=dict)
    special: bool = False  # is there more than plain ids and what is nested?


class RecordRewriter:
    """One kind of record under one id map."""

    def __init__(self, resolver: Resolver, rows: tuple[Row, ...]) -> None:
        self._resolver = resolver
        # Ids that stay are left out: what is not found is kept.
        self._ids = {
            kind: {old: new for old, new in mapping.items() if old != new}
            for kind, mapping in resolver.map.ids.items()
        }
        for kind in ("namespace", "organization"):
            old, new = getattr(resolver.map, kind)
            self._ids[kind] = {old: new} if old != new else {}
        self._counts: list[Count] = []
        self._totals: dict[tuple[int, ...], Counter[Count]] = {}
        self._paths: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._root = self._place(tree(tuple(row for row in rows if row.shape != "verbatim")))

    def rewrite(self, record: Json) -> tuple[Json, Counter[Count]]:
        """The record for the clone (itself where nothing changes) and what was found in it."""
        found: list[int] = []
        result = self._object(self._root, record, found)
        return result, self._total(tuple(found))

    def _total(self, found: tuple[int, ...]) -> Counter[Count]:
        """What was found, counted. Records of a collection mostly have the same in them."""
        total = self._totals.get(found)
        if total is None:
            total = Counter(self._counts[index] for index in found)
            _remember(self._totals, found, total)
        # What Counter.copy does, in a third of its time.
        copy: Counter[Count] = Counter()
        dict.update(copy, total)
        return copy

    # From the table

    def _place(self, node: Node) -> _Place:
        place = _Place()
        for key, below in node.keys.items():
            if below.items is not None:
                place.inner.append((key, list, self._place(below.items)))
            elif below.row is None:
                place.inner.append((key, dict, self._place(below)))
            else:
                self._attach(place, key, below.row)
        if node.row is not None:
            place.item = self._leaf("", node.row)
        if node.key_row is not None:
            place.fields = self._leaf("", node.key_row)
        if node.values is not None and node.values.row is not None:
            place.nodes = self._leaf("", node.values.row)
        special = (place.paths, place.settings, place.signed, place.by_type, place.fields)
        place.special = any(special)
        return place

    def _attach(self, place: _Place, key: str, row: Row) -> None:
        leaf = self._leaf(key, row)
        if row.shape == "set":
            place.settings.append((leaf, getattr(self._resolver.map, row.target)[1]))
        elif row.shape == "signed url":
            self._counts[leaf.rewritten] = (row.path, "cleared")
            place.signed.append(leaf)
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

    # One record. Objects come back as they are, or as a copy that differs.

    def _object(self, place: _Place, old: Json, found: list[int]) -> Json:
        new = old
        for key, ids, rewritten, kept in place.ids:
            if key in old and type(value := old[key]) is str:
                swapped = ids.get(value)
                if swapped is None:
                    found.append(kept)
                else:
                    found.append(rewritten)
                    if new is old:
                        new = old.copy()
                    new[key] = swapped
        for key, kind, below in place.inner:
            if key in old and (value := old[key]) and isinstance(value, kind):
                walk: Any = self._object if kind is dict else self._list
                inner = walk(below, value, found)
                if inner is not value:
                    new = _set(old, new, key, inner)
        return self._special(place, old, new, found) if place.special else new

    def _special(self, place: _Place, old: Json, new: Json, found: list[int]) -> Json:
        for leaf, setting in place.settings:
            if leaf.key in old:
                if old[leaf.key] == setting:
                    found.append(leaf.kept)
                else:
                    new = _set(old, new, leaf.key, setting)
                    found.append(leaf.rewritten)
        for leaf in place.paths:
            new = self._joined(leaf, old, new, found)
        for leaf in place.signed:
            if leaf.key in old:
                new = {key: value for key, value in new.items() if key != leaf.key}
                found.append(leaf.rewritten)
        if place.by_type is not None:
            new = self._typed(place.by_type, old, new, found)
        if place.fields is not None:
            new = self._taxonomy_fields(place, old, new, found)
        return new

    def _list(self, place: _Place, old: list[Any], found: list[int]) -> list[Any]:
        new = old
        for index, value in enumerate(old):
            swapped = value
            if isinstance(value, dict):
                swapped = self._object(place, value, found)
            elif type(value) is str and place.item is not None:
                swapped = place.item.ids.get(value, value)
                found.append(place.item.kept if swapped is value else place.item.rewritten)
            if swapped is not value:
                if new is old:
                    new = list(old)
                new[index] = swapped
        return new

    def _typed(self, leaf: _Leaf, old: Json, new: Json, found: list[int]) -> Json:
        """An id whose kind stands beside it."""
        kind, value = old.get("type"), old.get(leaf.key)
        if type(value) is not str:
            return new
        ids = self._ids.get(kind, {}) if type(kind) is str else {}
        swapped = ids.get(value)
        if swapped is None:
            found.append(leaf.kept)
            return new
        found.append(leaf.rewritten)
        return _set(old, new, leaf.key, swapped)

    def _joined(self, leaf: _Leaf, old: Json, new: Json, found: list[int]) -> Json:
        """Ids joined by `/`."""
        if leaf.key not in old or type(value := old[leaf.key]) is not str:
            return new
        swapped = self._paths.get(value)
        if swapped is None:
            swapped, _ = self._resolver.id_path(value)
            _remember(self._paths, value, swapped)
        if swapped == value:
            found.append(leaf.kept)
            return new
        found.append(leaf.rewritten)
        return _set(old, new, leaf.key, swapped)

    def _taxonomy_fields(self, place: _Place, old: Json, new: Json, found: list[int]) -> Json:
        """Keys that spell a taxonomy, and the nodes that some of them hold."""
        if "_taxonomy_" not in " ".join(old):
            return new
        keys = tuple(old)
        renaming = place.renamings.get(keys)
        if renaming is None:
            renaming = self._renaming(place, keys)
            _remember(place.renamings, keys, renaming)
        found += renaming.found
        for key in renaming.nodes:
            if place.nodes is not None:
                value = self._node(place.nodes, old[key], found)
                if value is not old[key]:
                    new = _set(old, new, key, value)
        if renaming.keys == keys:
            return new
        return type(new)(zip(renaming.keys, new.values(), strict=True))

    def _renaming(self, place: _Place, keys: tuple[str, ...]) -> _Renaming:
        spelling = [key for key in keys if key.startswith("_taxonomy_")]
        names = {key: self.field_name(key) for key in spelling}
        leaf = place.fields
        return _Renaming(
            tuple(names.get(key, key) for key in keys),
            [leaf.kept if names[key] == key else leaf.rewritten for key in spelling if leaf],
            [key for key in spelling if key.endswith(_NODE_VALUES)],
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
        if type(value) is list:
            items = [self._node(leaf, item, found) for item in value]
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        if isinstance(value, dict):
            new = value
            for key in _NODE_KEYS:
                inner = value.get(key)
                if type(inner) is str and (swapped := self._node(leaf, inner, found)) is not inner:
                    new = _set(value, new, key, swapped)
            return new
        return value


def _set(old: Json, new: Json, key: str, value: Any) -> Json:
    """`new` with the value, a copy first where it is still the old object."""
    if new is old:
        new = old.copy()
    new[key] = value
    return new


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memo) >= _MEMO:
        memo.clear()
    memo[key] = value
