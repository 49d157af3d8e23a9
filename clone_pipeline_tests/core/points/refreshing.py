"""A source on a Qdrant server with a clone that is refreshed, and what one does to either."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.outputs import CopiedPoints
from clone_pipeline.core.points import pages
from clone_pipeline.core.report import StepReport
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.server import ServerStore

from ... import harness
from ..verify.making import NAME, SOURCE, Making
from ..verify.many import ONE_SEGMENT, assert_equal, point, stores_with

POINTS = 600


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several slices of several pages."""
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 200)
    monkeypatch.setattr(pages, "FIRST_PAGE", 50)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 50)


@pytest.fixture
def stores(qdrant_url: str, tmp_path: Path, small: None) -> Iterator[Stores]:
    """A source, and a clone of it that was made to be refreshed."""
    with stores_with(qdrant_url, tmp_path, POINTS, **ONE_SEGMENT) as stores:
        assert refresh(stores).plan["lane"] == "stream"
        yield stores


def refresh(stores: Stores, **options: Any) -> Clone:
    options = {"if_exists": "replace", "include_resources": harness.everything(), **options}
    return harness.clone(stores, SOURCE, NAME, **options)


def report(stores: Stores, clone: Clone, name: str = "copy_points") -> StepReport:
    with stores.catalog.read() as connection:
        return ledger.read_reports(connection, clone.clone_id)[name]


def changes(stores: Stores, clone: Clone) -> tuple[int, int, int, int]:
    """Inserted, changed, deleted, unchanged."""
    found = CopiedPoints.of(report(stores, clone)).changes
    assert found is not None
    return found["inserted"], found["changed"], found["deleted"], found["unchanged"]


def collection(stores: Stores, identifier: str) -> str:
    with stores.catalog.read() as connection:
        found = harness.namespaces.resolve(connection, None, identifier)
        return found.qdrant_collection


def write(stores: Stores, points: Iterable[Point], identifier: str = SOURCE) -> None:
    with stores.vectors() as vectors:
        encoded = [EncodedPoint.of(one) for one in points]
        vectors.write(collection(stores, identifier), encoded)


def delete(stores: Stores, ids: Iterable[PointId], identifier: str = SOURCE) -> None:
    with stores.vectors() as vectors:
        vectors.delete_points(collection(stores, identifier), ids)


def with_title(number: int, title: str = "changed") -> Point:
    one = point(number)
    return one._replace(payload={**one.payload, "title": title})


def with_vector(number: int) -> Point:
    one = point(number)
    return one._replace(vectors={**one.vectors, "image": [9.0, 8.0, float(number)]})


def in_other_collection(number: int) -> Point:
    return point(number)._replace(payload=point(number + 1).payload)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[PointId]]:
    """The ids that were written to each collection, and with a minus before its name those that
    were deleted."""
    found: dict[str, list[PointId]] = {}
    writes, deletes = ServerStore.write, ServerStore.delete_points

    def noting(self: ServerStore, name: str, points: Any, *rest: Any) -> None:
        found.setdefault(name, []).extend(one.id for one in points)
        writes(self, name, points, *rest)

    def noting_deleted(self: ServerStore, name: str, ids: Iterable[PointId]) -> None:
        ids = list(ids)
        found.setdefault(f"-{name}", []).extend(ids)
        deletes(self, name, ids)

    monkeypatch.setattr(ServerStore, "write", noting)
    monkeypatch.setattr(ServerStore, "delete_points", noting_deleted)
    return found


def tamper_unseen(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point 5 of what is live is another, as by a broken disk: no write is told of."""
    name = collection(stores, NAME)
    with stores.vectors() as vectors:
        told = vectors.last_write(name)
    write(stores, [with_title(5, "tampered with")], NAME)
    inner = ServerStore.last_write

    def silent(self: ServerStore, one: str) -> str | None:
        return told if one == name else inner(self, one)

    monkeypatch.setattr(ServerStore, "last_write", silent)


def assert_exact(stores: Stores, clone: Clone, gone: Collection[str] = ()) -> None:
    """`gone`: what points name, and is no resource of the source any more."""
    assert clone.status == "ready"
    assert_equal(Making(stores, clone), gone=gone)
    assert report(stores, clone, "verify_clone").details["differences"] == 0
