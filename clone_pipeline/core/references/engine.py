"""Walks one configuration document along the table, rewriting a copy and noting what it finds.

A place that no row names is carried over untouched, in its order. Inside a stage the stage rows
apply at any depth, and strings at no row's place are looked at as payload paths and text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .model import LED_NOWHERE, NOTHING, OF_ORGANIZATION, Outcome, Reference, Row
from .resolver import OTHER_NAMESPACE, Resolver, Verdict


@dataclass
class Node:
    """The table as a tree: what stands at one place, and what below it."""

    row: Row | None = None
    key_row: Row | None = None
    keys: dict[str, Node] = field(default_factory=dict)
    items: Node | None = None
    values: Node | None = None

    def reaches_into(self, value: Any) -> bool:
        """Are there rows for what stands inside the value?"""
        if isinstance(value, list):
            return self.items is not None
        return isinstance(value, dict) and bool(self.keys or self.values)


NOWHERE = Node()


def tree(rows: tuple[Row, ...]) -> Node:
    """The rows as a tree. `**` is the root itself: its rows are looked up at every depth."""
    root = Node()
    for row in rows:
        node = root
        *above, last = [step for step in row.steps if step != "**"]
        for step in above:
            node = _below(node, step)
        if last == "{}":
            node.key_row = row
        else:
            _below(node, last).row = row
    return root


def _below(node: Node, step: str) -> Node:
    if step == "[]":
        node.items = node.items or Node()
        return node.items
    if step == "*":
        node.values = node.values or Node()
        return node.values
    return node.keys.setdefault(step, Node())


class Cut:
    """Stands for a value that has to go: here (`levels` 0) or with something around it."""

    def __init__(self, levels: int, references: list[Reference]) -> None:
        self.levels = levels
        self.references = references


Handler = Callable[["Walk", Row, Any, str], Any]


class Walk:
    """One pass over one document.

    With `probe` nothing is ever removed: the pass only looks where ids of the source stand.
    """

    def __init__(
        self,
        resolver: Resolver,
        handlers: Mapping[str, Handler],
        stage_rows: Node,
        resource: tuple[str, str],
        *,
        probe: bool = False,
    ) -> None:
        self.resolver = resolver
        self.handlers = handlers
        self.stage_rows = stage_rows
        self.resource = resource
        self.probe = probe
        self.references: list[Reference] = []
        self.own_ids: list[tuple[str, str]] = []
        self.document: dict[str, Any] = {}
        # Buckets that the document itself places in another namespace, and whether we are in there.
        self.elsewhere: frozenset[str] = frozenset()
        self.in_elsewhere = False
        self.in_stage = False
        # The object around the place that is looked at.
        self.around: dict[str, Any] = {}

    def run(self, root: Node, document: dict[str, Any]) -> dict[str, Any]:
        self.document = document
        self.elsewhere = self._buckets_elsewhere()
        result: dict[str, Any] = self._object(root, document, "")
        return result

    def _buckets_elsewhere(self) -> frozenset[str]:
        tiers = self.document.get("source_lineage")
        configs = [tier.get("source_config") for tier in _objects(tiers)]
        found: set[str] = set()
        for source in _objects([self.document.get("source"), *configs]):
            if self.is_elsewhere(source):
                found.update(_strings(source.get("bucket_ids")))
                found.update(_strings([source.get("bucket_id")]))
        return frozenset(found)

    def is_elsewhere(self, source: Mapping[str, Any]) -> bool:
        """Does a source take its buckets from another namespace than the one being cloned?"""
        namespace = source.get("source_namespace_id")
        ids = self.resolver.map
        own = ("", ids.namespace[1], *ids.own_namespaces)
        return isinstance(namespace, str) and namespace not in own

    @property
    def restoring(self) -> bool:
        return self.resolver.map.restored_from is not None and not self.probe

    # Walking

    def value(self, node: Node, value: Any, path: str) -> Any:
        """The new value of a place, or a Cut."""
        if node.row is not None and not (node.reaches_into(value) and self._goes_into(node.row)):
            return self.handlers[node.row.shape](self, node.row, value, path)
        if isinstance(value, dict):
            return self._object(node, value, path)
        if isinstance(value, list):
            return self._list(node.items or NOWHERE, value, path)
        if isinstance(value, str) and node.items is not None and node.items.row is not None:
            return self.value(node.items, value, path)  # one where a list was expected
        if isinstance(value, str) and self.in_stage:
            return self.handlers["field name"](self, LOOSE, value, path)
        return value

    def _goes_into(self, row: Row) -> bool:
        """What belongs to the organization does not go to another one in parts."""
        return self.resolver.shares_organization or row.target not in OF_ORGANIZATION

    def _object(self, node: Node, value: dict[str, Any], path: str) -> Any:
        before = (self.around, self.in_elsewhere)
        if "source_namespace_id" in node.keys and self.is_elsewhere(value):
            self.in_elsewhere = True
        result: dict[str, Any] = {}
        cuts: list[Cut] = []
        self.around = value
        for key, old in value.items():
            self._member(node, key, old, f"{path}.{key}" if path else key, result, cuts)
        self.around, self.in_elsewhere = before
        return _upwards(cuts) or result

    def _member(
        self,
        node: Node,
        key: str,
        old: Any,
        path: str,
        result: dict[str, Any],
        cuts: list[Cut],
    ) -> None:
        mark = len(self.references)
        name = self._key(node, key, path)
        if isinstance(name, Cut):
            self._remove(name, mark, path, old)
            return
        if self.in_stage and self._compares(key):
            new = self.handlers["condition"](self, LOOSE, old, path)
        else:
            new = self.value(self._child(node, key), old, path)
        if isinstance(new, Cut):
            if new.levels:
                cuts.append(new)
            else:
                self._remove(new, mark, path, old)
            new = None
        result[name] = new

    def _compares(self, key: str) -> bool:
        """Whether it says what a condition among a stage's own parameters compares its field with:
        `{field, value}`, or Qdrant's `{key, match}`."""
        named = "key" if key == "match" else "field"
        return key in COMPARED and isinstance(self.around.get(named), str)

    def _key(self, node: Node, key: str, path: str) -> Any:
        row = node.key_row or (LOOSE if self.in_stage and node.keys.get(key) is None else None)
        return key if row is None else self.handlers[row.shape](self, row, key, path)

    def _child(self, node: Node, key: str) -> Node:
        child = node.keys.get(key) or node.values
        if child is None and self.in_stage:
            child = self.stage_rows.keys.get(key)
        return child or NOWHERE

    def _list(self, node: Node, value: list[Any], path: str) -> Any:
        start = len(self.references)
        result: list[Any] = []
        upwards: list[Cut] = []
        dropped: list[Cut] = []
        for index, old in enumerate(value):
            place = f"{path}[{index}]"
            mark = len(self.references)
            new = self.value(node, old, place)
            if not isinstance(new, Cut):
                result.append(new)
            elif new.levels:
                upwards.append(new)
            else:
                dropped.append(new)
                self._remove(new, mark, place, old)
        if dropped and not result and all(_is_elsewhere(cut) for cut in dropped):
            return None  # like the namespace that they stand in; such a list may not be empty
        if dropped and not result and node.row is not None and self._must_stay(node.row):
            del self.references[start:]
            self._unresolved(dropped, "the list may not become empty")
            return value
        return _upwards(upwards) or result

    def _must_stay(self, row: Row) -> bool:
        return row.last_stays and self.resolver.is_cloned(row.target)

    # Noting

    def note(
        self,
        path: str,
        target: str,
        old: str,
        outcome: Outcome,
        reason: str = "",
        *,
        new: str | None = None,
        parked: Any = None,
        removed: str | None = None,
    ) -> None:
        resource, resource_id = self.resource
        self.references.append(
            Reference(
                resource, resource_id, path, target, old, new, outcome, reason, parked, removed
            )
        )

    def apply(self, row: Row, path: str, old: str, verdict: Verdict) -> Any:
        """The value that a verdict leaves at a place: rewritten, kept, or a Cut."""
        if verdict.state == "rewritten":
            self.note(path, verdict.kind, old, "rewritten", verdict.reason, new=verdict.new)
            return verdict.new
        if verdict.state == "kept":
            self.note(path, verdict.kind, old, "kept", verdict.reason, new=old)
            return old
        if self.restoring and verdict.state != "left out":
            reason = f"{verdict.reason}, {LED_NOWHERE}"
            self.note(path, verdict.kind, old, "unresolved", reason, new=old)
            return old
        return self.outside(row, path, verdict.kind, old, verdict.reason, old)

    def outside(self, row: Row, path: str, target: str, old: str, reason: str, value: Any) -> Any:
        """What stays at a place whose target is outside the clone: a Cut, or the value."""
        why_not = "nothing is removed" if self.probe else self._required(row)
        if why_not is not None:
            self.note(path, target, old, "unresolved", f"{reason}; {why_not}", new=old)
            return value
        resource, resource_id = self.resource
        gone = Reference(resource, resource_id, path, target, old, None, "cleared", reason)
        return Cut(row.levels, [gone])

    def _required(self, row: Row) -> str | None:
        if row.clears == NOTHING:
            return "its place requires a value"
        if row.required_unless is not None:
            key, value = row.required_unless
            if self.around.get(key) != value:
                return "its place requires a value"
        if self.resolver.is_cloned(row.target):
            if any(self.around.get(key) for key in row.scope_of):
                return "without it the retriever beside it would read more"
        return None

    def _unresolved(self, cuts: list[Cut], why_not: str) -> None:
        for gone in _references(cuts):
            reason = f"{gone.reason}; {why_not}"
            self.note(gone.path, gone.target, gone.old, "unresolved", reason, new=gone.old)

    def _remove(self, cut: Cut, mark: int, path: str, old: Any) -> None:
        """Notes what goes with the value at `path`, in place of all that was found inside it."""
        del self.references[mark:]
        for gone in cut.references:
            parked = old if gone.parked is None else gone.parked
            self.references.append(replace(gone, parked=parked, removed=path))


# Under which keys a condition has what its field is compared with.
COMPARED = ("value", "values", "match")

# How strings at no row's place are looked at inside a stage.
LOOSE = Row("", "taxonomy", "field name")


def _upwards(cuts: list[Cut]) -> Cut | None:
    """What an object hands up whose members take it along."""
    if not cuts:
        return None
    levels = max(cut.levels for cut in cuts) - 1
    return Cut(levels, _references(cuts))


def _is_elsewhere(cut: Cut) -> bool:
    return all(gone.reason == OTHER_NAMESPACE for gone in cut.references)


def _references(cuts: list[Cut]) -> list[Reference]:
    return [gone for cut in cuts for gone in cut.references]


def _objects(values: Any) -> list[dict[str, Any]]:
    return (
        [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    )


def _strings(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
