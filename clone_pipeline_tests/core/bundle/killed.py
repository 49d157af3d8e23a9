"""A load that kills its own process at a given moment. Runs in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from clone_pipeline.core.bundle import load
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import CollectionConfig, Point

from .samples import NOW


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(EmbeddedStore):
    moment = ""

    def exists(self, collection: str) -> bool:
        found = super().exists(collection)
        if self.moment == "reserving":
            die()
        return found

    def create(self, collection: str, config: CollectionConfig) -> None:
        if self.moment == "reserved":
            die()
        super().create(collection, config)
        if self.moment == "created":
            die()

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        if self.moment == "upsert":
            super().upsert(collection, points[:2])
            die()
        super().upsert(collection, points)


def load_and_die(moment: str, folder: Path, catalog_url: str, qdrant: Path) -> None:
    """`moment`: one of the store's above, or what the load's progress tells."""
    catalog = Catalog.open(catalog_url)
    vectors = Dying.open(qdrant)
    vectors.moment = moment  # type: ignore[attr-defined]
    load(folder, catalog, vectors, NOW, lambda what, _done: die() if what == moment else None)
