"""Small archives, and what is done with them."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass, field

from clone_pipeline.core.bundle import LoadReport, archive
from clone_pipeline.core.bundle.archive.dump import Dumped
from clone_pipeline.core.bundle.archive.manifest import MANIFEST
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.bundle.archive.place import ANYTHING, Changed, Place, Stored
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline_tests.core.bundle.samples import Files, sample

POINTS = 60


def many_points(count: int = POINTS) -> Files:
    """The sample with more points."""
    chance = random.Random(13)
    files = sample()
    files["points.jsonl"] += [
        {
            "id": 100 + number,
            "vector": {"text": [chance.gauss(0, 1) for _ in range(3)]},
            "payload": {"n": number, "score": chance.random(), "text": "x" * number},
        }
        for number in range(count - len(files["points.jsonl"]))
    ]
    return files


def dump(stores: Stores, place: Place, vectors: VectorStore | None = None) -> Dumped:
    with stores.catalog.read() as connection:
        key = namespaces.resolve(connection, None, "prod").key
    with nullcontext(vectors) if vectors else stores.vectors() as store:
        return archive.dump_archive(stores, store, key, place, Meter(stores.clock))


def load(stores: Stores, place: Place, vectors: VectorStore | None = None) -> LoadReport:
    with nullcontext(vectors) if vectors else stores.vectors() as store:
        return archive.load_archive(stores, store, place)


@dataclass
class InMemory:
    """A place for what is done many times over; `log` has the names that were written."""

    files: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    address: str = "memory"

    def close(self) -> None:
        return None

    def sizes(self) -> dict[str, int]:
        return {name: len(data) for name, data in self.files.items()}

    def read(self, name: str, most: int) -> Stored | None:
        data = self.files.get(name)
        return None if data is None else Stored(data[: most + 1], str(hash(data)))

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        there = self.files.get(name)
        if over != ANYTHING and over != ("" if there is None else str(hash(there))):
            raise Changed
        self.files[name] = whole = b"".join(data)
        self.log.append(name)
        return str(hash(whole))

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def tidy(self) -> None:
        return None

    def copy(self) -> InMemory:
        return InMemory(dict(self.files))

    @property
    def is_whole(self) -> bool:
        return MANIFEST in self.files
