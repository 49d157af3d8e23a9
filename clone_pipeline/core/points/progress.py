"""What has been copied of a slice, as its checkpoint stores it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, select

from ..catalog.schema import clone_slices
from ..references import TABLE, Found
from ..vectors.digest import Digest
from ..vectors.point import PointId, ShardKey

# How many points of a collection `verify: sample` looks at: those with the lowest digests.
SAMPLED = 100
# So many kinds of payloads are counted before they are added up.
_KINDS_OF_PAYLOADS = 1000


class Sampled(NamedTuple):
    """A point that is put aside for `verify: sample`."""

    digest: int
    id: PointId
    shard_key: ShardKey | None = None

    def to_json(self) -> list[Any]:
        known = [str(self.digest), self.id]
        return known if self.shard_key is None else [*known, self.shard_key]


_digest = itemgetter(0)

# Where payloads name their namespace.
_NAMESPACE = [row.path for row in TABLE if (row.resource, row.target) == ("payload", "namespace")]


@dataclass
class Progress:
    """Points as they must stand in the target: how many, their digest, of which collections, and
    what was found in how many of their payloads. `changes` counts those that the target had
    otherwise: `inserted`, `changed`, `deleted`."""

    digest: Digest = field(default_factory=Digest)
    collections: Counter[str] = field(default_factory=Counter)
    found: Counter[Found] = field(default_factory=Counter)
    _references: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: dict[str, list[Sampled]] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def references(self) -> Counter[tuple[str, str]]:
        """The references in all payloads, by (path, outcome)."""
        self._fold()
        return self._references

    @property
    def names_namespace(self) -> bool:
        """Whether a payload names the clone's namespace."""
        return any(self.references[path, "rewritten"] for path in _NAMESPACE)

    @property
    def sampled(self) -> int:
        """How many points were put aside for `verify: sample`."""
        return sum(map(len, self.sample.values()))

    def _fold(self) -> None:
        for found, points in self.found.items():
            for reference, count in found.counts.items():
                self._references[reference] += count * points
        self.found.clear()

    def add_found(self, found: Found) -> None:
        """The references of one payload."""
        self.found[found] += 1
        if len(self.found) > _KINDS_OF_PAYLOADS:
            self._fold()

    def put_aside(self, collection: str, sampled: Sampled) -> None:
        lowest = self.sample.setdefault(collection, [])
        lowest.append(sampled)
        lowest.sort(key=_digest)
        del lowest[SAMPLED:]

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest.to_json(),
            "collections": dict(self.collections),
            "references": [[*key, count] for key, count in self.references.items()],
            "sample": {
                name: [one.to_json() for one in lowest] for name, lowest in self.sample.items()
            },
            "changes": dict(self.changes),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        if not values:
            return cls()
        return cls(
            digest=Digest.from_json(values["digest"]),
            collections=Counter(values["collections"]),
            _references=Counter({(path, what): n for path, what, n in values["references"]}),
            sample={
                name: [Sampled(int(digest), *point) for digest, *point in lowest]
                for name, lowest in values["sample"].items()
            },
            changes=Counter(values.get("changes", {})),  # since the lane `delta`
        )

    def merge(self, other: Progress) -> None:
        self.digest.merge(other.digest)
        self.collections += other.collections
        self._references = self.references + other.references
        self.changes += other.changes
        for name, lowest in other.sample.items():
            both = self.sample.get(name, []) + lowest
            self.sample[name] = sorted(both, key=_digest)[:SAMPLED]


def points_to_prove(connection: Connection, clone: RowMapping) -> int:
    """How many points the proof looks at one by one; `clone` is a row of the ledger."""
    proof = clone["request"]["verify"]
    if proof == "sample":
        query = select(clone_slices.c.progress).where(clone_slices.c.clone_id == clone["clone_id"])
        copied = Progress()
        for progress in connection.execute(query).scalars():
            copied.merge(Progress.from_json(progress))
        if copied.sampled:
            return copied.sampled
    return 0 if proof == "counts" else int(clone["plan"]["counts"]["points"])
