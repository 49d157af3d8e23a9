"""What differs between two namespaces, by name and field: for a person who compares them.

Ids are not compared: wherever one of a resource stands, its name is looked at. Of a clone and its
source, the source is taken as the clone had it made: what was cleared on the way is no difference.
Secrets are left out on both sides.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection

from .. import secrets
from ..catalog import namespaces as catalog
from ..catalog.documents import NAMESPACE_COLUMNS, RECORDS, Document
from ..catalog.namespace import CLONE_STATE, COUNTS, Namespace
from ..difference import NOTHING, Nothing, differing_places
from ..ids import id_map_from_json
from ..kinds import KINDS
from ..ledger import clones as ledger
from ..points.pages import read_slice
from ..points.retry import Retry
from ..records.objects import Copying, ObjectRow, read_rewritten, read_target
from ..references import Rewriter
from ..report import LISTED
from ..source import open_source, read_config
from ..stores import Stores
from ..vectors.encoded import EncodedPage, EncodedPoint
from ..vectors.equality import EqualityRule, differences, rule
from ..vectors.point import CollectionConfig, ShardKey
from ..vectors.port import VectorStore
from ..vectors.side_by_side import pairs
from ..vectors.slices import Slice, in_key, shard_keys
from .records import merge_objects

# Of one namespace alone, or different in any two.
_OWN = {"created_at", "updated_at", "namespace_name"}
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Contrast:
    """One place. `first` and `second` are what stands there, None where nothing does."""

    kind: str
    name: str
    field: str
    first: str | None
    second: str | None


@dataclass
class Contrasts:
    """Counts all places by kind, keeps the first of each. `points` are whole points: `inserted` are
    those that only the second has, `deleted` those that only the first has; None where they were
    not compared."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Contrast] = field(default_factory=list)
    points: dict[str, int] | None = None

    def add(self, kind: str, name: object, path: str, first: Any, second: Any) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self.listed.append(Contrast(kind, str(name), path, _shown(first), _shown(second)))

    def compare(self, kind: str, name: object, first: Any, second: Any, path: str = "") -> None:
        """Adds every place in which two documents differ; `NOTHING` is one that is not there."""
        for place, one, other in differing_places(first, second, path):
            self.add(kind, name, place, one, other)

    def to_json(self) -> dict[str, Any]:
        return {
            "equal": not self.counts,
            "counts": dict(self.counts),
            "points": self.points,
            "differences": [asdict(one) for one in self.listed],
        }


@dataclass(frozen=True)
class _Resource:
    name: str
    document: Any


@dataclass(frozen=True)
class Looked:
    """A namespace that is to be compared: where it is looked for, and among whose; None is all."""

    stores: Stores
    organization_id: str | None
    identifier: str


class _Found(NamedTuple):
    """A namespace in a snapshot of its catalog."""

    stores: Stores
    connection: Connection
    namespace: Namespace


@dataclass(frozen=True)
class _Side:
    """A namespace as it is compared: `rewriter` makes of a source what its clone has."""

    stores: Stores
    connection: Connection
    namespace: Namespace
    rewriter: Rewriter | None
    names: _Names

    def shown(self, raw: Document, own: Iterable[str]) -> Any:
        """A document without what is its own, without secrets, and with names for ids."""
        kept = {key: value for key, value in raw.items() if key not in own}
        return self.names.put_into(secrets.without(kept))

    def resources(self, kind: str) -> dict[str, _Resource]:
        """Those of a kind by their ids, as the other side would have them."""
        record = RECORDS[kind]
        found = {}
        for raw in catalog.read_documents(self.connection, self.namespace.key, kind):
            if self.rewriter is not None:
                raw, _ = self.rewriter.rewrite(kind, raw)
            identity, name = raw[record.id_field], str(raw[str(record.name_field)])
            if record.versioned:
                identity, name = f"{identity} {raw['version']}", f"{name} version {raw['version']}"
            own = {*_OWN, record.id_field}
            found[identity] = _Resource(name, self.shown(raw, own))
        return found

    def objects(self) -> Iterator[ObjectRow]:
        key = self.namespace.key
        if self.rewriter is not None:
            return read_rewritten(self.connection, Copying(key, self.rewriter), Counter())
        # The times of a row are in its text too.
        return ((*row, "", "") for row in read_target(self.connection, key))

    def point(self, point: EncodedPoint) -> EncodedPoint:
        if self.rewriter is not None:
            point.rewrite(self.rewriter)
        return point


class _Names:
    """Puts names in the place of ids: as whole values, and of ids with a prefix anywhere."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._inside: re.Pattern[str] | None = None

    def learn(self, identity: str, name: str) -> None:
        self._of[identity] = name
        self._inside = None

    def put_into(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._text(key): self.put_into(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.put_into(inner) for inner in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if text in self._of:
            return self._of[text]
        if self._inside is None:
            ids = sorted((one for one in self._of if "_" in one), key=len, reverse=True)
            body = "|".join(map(re.escape, ids)) or r"(?!)"
            self._inside = re.compile(rf"(?<![A-Za-z0-9])(?:{body})(?![A-Za-z0-9])")
        return self._inside.sub(lambda found: self._of[found.group()], text)


def contrast(first: Looked, second: Looked, *, points: bool = True) -> Contrasts:
    """The second namespace against the first, both as they are now; `points` reads all of both.

    Raises NotFound, and what the stores raise.
    """
    found, names = Contrasts(), _Names()
    with ExitStack() as reading:
        snapshots: dict[Stores, Connection] = {}
        for stores in dict.fromkeys((first.stores, second.stores)):
            snapshots[stores] = reading.enter_context(stores.catalog.read())
        one, other = (_find(asked, snapshots[asked.stores]) for asked in (first, second))
        sides = (
            _Side(*one, _made_by(one, other), names),
            _Side(*other, _made_by(other, one), names),
        )
        for side in sides:
            _learn_names(side)
        _compare_namespaces(sides, found)
        for kind in KINDS:
            _compare_small(kind.name, sides, found)
        _compare_objects(sides, found)
    if points:
        found.points = _compare_points(sides, found)
    return found


def _find(asked: Looked, connection: Connection) -> _Found:
    namespace = catalog.resolve(connection, asked.organization_id, asked.identifier)
    return _Found(asked.stores, connection, namespace)


def _made_by(source: _Found, target: _Found) -> Rewriter | None:
    """What makes of `source` what was cloned as `target`; None where it is no clone of it."""
    if target.namespace.clone_id is None:
        return None
    clone = ledger.get(target.connection, target.namespace.clone_id)
    _, made_from = clone.source_in
    is_source = clone.source_namespace_id == source.namespace.namespace_id
    apart = source.stores is not target.stores
    if not is_source or made_from != (source.stores.catalog.identity() if apart else None):
        return None
    return Rewriter(id_map_from_json(clone.plan["ids"]))


def _learn_names(side: _Side) -> None:
    namespace, names = side.namespace, side.names
    names.learn(namespace.namespace_id, "(the namespace)")
    names.learn(namespace.qdrant_collection, "(its Qdrant collection)")
    for kind in KINDS:
        for row in catalog.read_records(side.connection, namespace.key, kind.name):
            names.learn(row[kind.id_field], row[kind.name_field])


def _compare_namespaces(sides: tuple[_Side, _Side], found: Contrasts) -> None:
    own = {*_OWN, *CLONE_STATE, *COUNTS, *NAMESPACE_COLUMNS}
    shown = []
    for side in sides:
        raw = side.namespace.raw
        if side.rewriter is not None:
            raw, _ = side.rewriter.rewrite("namespace", raw)
        shown.append(side.shown(raw, own))
    found.compare("namespace", sides[1].namespace.name, shown[0], shown[1])


def _compare_small(kind: str, sides: tuple[_Side, _Side], found: Contrasts) -> None:
    """Resources are matched by their ids, as those of a source and its clone are known; else by
    their names."""
    first, second = (side.resources(kind) for side in sides)
    by_name = {resource.name: identity for identity, resource in first.items()}
    for identity, resource in second.items():
        if identity not in first and by_name.get(resource.name) not in second:
            identity = by_name.get(resource.name, identity)
        before = first.pop(identity, None)
        one = NOTHING if before is None else before.document
        found.compare(kind, resource.name, one, resource.document)
    for resource in first.values():
        found.compare(kind, resource.name, resource.document, NOTHING)


def _compare_objects(sides: tuple[_Side, _Side], found: Contrasts) -> None:
    first, second = (side.objects() for side in sides)
    for before, after in merge_objects(first, (row[:3] for row in second)):
        one, other = (
            NOTHING if row is None else _object(side, row[1], row[2])
            for side, row in zip(sides, (before, after), strict=True)
        )
        found.compare("object", (before or after or ("",))[0], one, other)


def _object(side: _Side, bucket_id: str, text: str) -> Any:
    return side.shown({"bucket_id": bucket_id, **json.loads(text)}, _OWN)


def _compare_points(sides: tuple[_Side, _Side], found: Contrasts) -> dict[str, int]:
    changes = dict.fromkeys(("inserted", "changed", "deleted", "unchanged"), 0)
    with ExitStack() as opened:
        own: dict[Stores, VectorStore] = {}
        for stores in dict.fromkeys(side.stores for side in sides):
            own[stores] = opened.enter_context(stores.vectors())
        readers = [
            opened.enter_context(open_source(side.stores, own[side.stores], side.namespace))
            for side in sides
        ]
        configs = [
            secrets.shown_config(read_config(store, side.namespace))
            for store, side in zip(readers, sides, strict=True)
        ]
        config, other = configs
        put = sides[0].names.put_into
        found.compare("qdrant config", sides[1].namespace.name, put(config), put(other))
        equality = rule(any(store.embedded for store in readers), config)
        retry = Retry(sides[1].stores)
        both = [_keys(one) for one in configs]
        for key in dict.fromkeys(both[0] + both[1]):
            first, second = (
                _pages(store, side, key, retry) if key in keys else ()
                for store, side, keys in zip(readers, sides, both, strict=True)
            )
            for before, after in pairs(first, second):
                change = _compare_point(before, after, sides, equality, found, in_key(key))
                changes[change] += 1
    return changes


def _keys(config: CollectionConfig) -> list[ShardKey | None]:
    """What is compared one after the other: without shard keys, all at once."""
    keys = shard_keys(config)
    return [None] if keys is None else [*keys]


def _pages(
    store: VectorStore, side: _Side, key: ShardKey | None, retry: Retry
) -> Iterator[Iterable[EncodedPoint]]:
    page: EncodedPage
    part, name = Slice(0, shard_key=key), side.namespace.qdrant_collection
    retry(lambda: store.refuse_hidden(name))
    for page in read_slice(store, name, part, retry):
        yield [side.point(point) for point in page.points]


def _compare_point(
    before: EncodedPoint | None,
    after: EncodedPoint | None,
    sides: tuple[_Side, _Side],
    equality: EqualityRule,
    found: Contrasts,
    where: str,
) -> str:
    """Returns what has happened to the point."""
    if before is not None and after is not None:
        if before.digest() == after.digest():
            return "unchanged"
        one, other, places = before.plain(), after.plain(), found.counts["point"]
        put = sides[0].names.put_into
        name = f"{one.id}{where}"
        found.compare("point", name, put(one.payload), put(other.payload), "payload")
        for place in differences(one._replace(payload={}), other._replace(payload={}), equality):
            found.add("point", name, place, "(a vector)", "(another)")
        return "changed" if found.counts["point"] > places else "unchanged"
    there = before or after
    if there is not None:
        values = [NOTHING if point is None else "there" for point in (before, after)]
        found.add("point", f"{there.id}{where}", "", values[0], values[1])
    return "inserted" if before is None else "deleted"


def _shown(value: Any) -> str | None:
    if isinstance(value, Nothing):
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
