"""A clone in the making: stopped after the copy, to be damaged, proven and published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.port import VectorStore

from ... import harness

SOURCE, NAME = "prod", "copy"


@dataclass(frozen=True)
class Making:
    stores: Stores
    clone: Clone

    @classmethod
    def until_copied(cls, stores: Stores, **options: Any) -> Making:
        options = {"include_resources": harness.everything(), **options}
        return cls(stores, harness.clone(stores, SOURCE, NAME, until="verify_clone", **options))

    @classmethod
    def published(cls, stores: Stores, **options: Any) -> Making:
        options = {"include_resources": harness.everything(), **options}
        return cls(stores, harness.clone(stores, SOURCE, NAME, **options))

    def step(self, name: str) -> StepReport:
        assert self.clone.run_id is not None
        return run_step(
            self.stores, self.clone.clone_id, self.clone.run_id, name, process_goes_on=True
        )

    def prove(self) -> StepReport:
        return self.step("verify_clone")

    def publish(self) -> None:
        self.step("publish_clone")

    def status(self) -> str:
        with self.stores.catalog.read() as connection:
            return ledger.get(connection, self.clone.clone_id).status

    @property
    def key(self) -> int:
        return self.clone.namespace_key

    def new(self, kind: str, source_id: str) -> str:
        """The clone's id of a resource of the source."""
        new: str = self.clone.plan["ids"]["ids"][kind][source_id]
        return new

    @contextmanager
    def catalog(self) -> Iterator[Connection]:
        with self.stores.catalog.write() as connection:
            yield connection

    def source_collection(self) -> str:
        query = select(namespaces.c.document).where(
            namespaces.c.namespace_key == self.clone.source_namespace_key
        )
        with self.stores.catalog.read() as connection:
            document = connection.execute(query).scalar_one()
        return str(document["infrastructure"]["qdrant_collection"])

    @contextmanager
    def target(self) -> Iterator[tuple[VectorStore, str]]:
        with self.stores.vectors() as vectors:
            yield vectors, self.clone.qdrant_collection


def change(
    vectors: VectorStore, collection: str, point_id: PointId, how: Callable[[Point], None]
) -> None:
    """Reads a point, lets `how` change its payload or vectors in place, and writes it."""
    (point,) = vectors.retrieve(collection, [point_id])
    how(point)
    # A point that is written keeps no vector that it had before.
    vectors.delete_points(collection, [point_id])
    vectors.upsert(collection, [point])
