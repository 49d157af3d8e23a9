"""Whole namespaces: small ones, of every reference that the platform documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from . import configuration, records
from .marks import before
from .pick import Everything, Pick
from .world import World

# The file of a bundle -> which resource its documents are.
KINDS = {
    "namespace.json": "namespace",
    "buckets.jsonl": "bucket",
    "objects.jsonl": "object",
    "collections.jsonl": "collection",
    "retrievers.jsonl": "retriever",
    "taxonomies.jsonl": "taxonomy",
}


@dataclass(frozen=True)
class Source:
    """A bundle whose references are marked."""

    marked: dict[str, Any]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Short: hypothesis prints a failing one, and the differences say more."""
        counts = {name: len(content) for name, content in self.marked.items()}
        printer.text(f"Source({counts})")

    @property
    def files(self) -> dict[str, Any]:
        return {name: before(content) for name, content in self.marked.items()}

    def write(self, folder: Path) -> Path:
        from ..sources import write_bundle

        return write_bundle(folder, self.files)

    @property
    def qdrant_collection(self) -> str:
        return str(self.marked["namespace.json"]["infrastructure"]["qdrant_collection"])

    def stored_in(self, qdrant_collection: str) -> Source:
        """The same with another Qdrant collection."""
        namespace = self.marked["namespace.json"]
        infrastructure = namespace["infrastructure"] | {"qdrant_collection": qdrant_collection}
        return Source(
            self.marked | {"namespace.json": namespace | {"infrastructure": infrastructure}}
        )

    def configuration(self) -> list[tuple[str, dict[Any, Any]]]:
        """(kind, marked document) of all but the records."""
        found = [("namespace", self.marked["namespace.json"])]
        for file, kind in KINDS.items():
            if kind not in ("namespace", "object"):
                found += [(kind, document) for document in self.marked[file]]
        return found


def _make(world: World, versions: int, objects: int, pick: Callable[[], Pick]) -> Source:
    """`pick` gives the choices of one document."""

    def one() -> World:
        return replace(world, pick=pick())

    ids = world.ids
    indexed = {key: {"data_type": "keyword"} for key in one().fields("label", "id")}
    files = {
        "namespace.json": configuration.namespace(one()),
        "buckets.jsonl": [configuration.bucket(one(), id) for id in ids["bucket"]],
        "objects.jsonl": [records.object_record(one(), number) for number in range(objects)],
        "collections.jsonl": [configuration.collection(one(), id) for id in ids["collection"]],
        "retrievers.jsonl": [configuration.retriever(one(), id) for id in ids["retriever"]],
        "taxonomies.jsonl": [
            configuration.taxonomy(one(), id, version)
            for id in ids["taxonomy"]
            for version in range(1, versions + 1)
        ],
        "qdrant.json": records.QDRANT_CONFIG | {"payload_schema": records.INDEXES | indexed},
        "points.jsonl": [records.point(one(), id) for id in one().pick.some(records.POINT_IDS)],
    }
    return Source(files)


@st.composite
def namespaces(draw: st.DrawFn) -> Source:
    def pick() -> Pick:
        return Pick.seeded(draw(st.integers(0, 2**32)))

    versions, objects = draw(st.integers(1, 2)), draw(st.integers(0, 4))
    return _make(World.new(pick()), versions, objects, pick)


@cache
def everything() -> Source:
    """One namespace with all that a namespace can have."""
    pick = Everything()
    return _make(World.new(pick), 2, 4, lambda: pick)
