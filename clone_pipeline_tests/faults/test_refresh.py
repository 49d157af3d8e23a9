"""A target that is replaced again and again: it keeps its ids, and nobody reads a mixture."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.documents import RECORDS
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.catalog.schema import namespaces as namespace_rows
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.side_by_side import pages
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests import harness
from clone_pipeline_tests.defs.watching import UNCHANGED, Watching

from .bundles import NAME, QDRANT, small_namespace

pytestmark = pytest.mark.outside

REFRESHES = 20
SENSOR_REFRESHES = int(os.environ.get("CLONE_PIPELINE_TEST_REFRESHES", "50"))
TARGET = "staging"
POINTS = 10
# Not a measure of speed: it ends a test that hangs.
PATIENCE = 120.0


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(tmp_path, small_namespace(points=POINTS, objects=6)) as stores:
        yield stores


@pytest.fixture
def server(qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    """The same over a real Qdrant server, where readers are let in at any time."""
    with harness.open_stores(tmp_path) as stores:
        address = VectorAddress(folder=tmp_path / "unused", url=qdrant_url)
        stores = dataclasses.replace(stores, vector_address=address)
        harness.load(stores, small_namespace(points=POINTS, objects=6))
        try:
            yield stores
        finally:
            harness.remove_collections(stores)


def refresh(stores: Stores) -> Clone:
    return harness.clone(
        stores, NAME, TARGET, if_exists="replace", include_resources=harness.everything()
    )


def change_source(stores: Stores, marker: str) -> None:
    """Everything of the source is another now, and one point more is there."""
    with stores.catalog.write() as connection:
        source = namespaces.resolve(connection, None, NAME)
        connection.execute(
            update(namespace_rows)
            .where(namespace_rows.c.namespace_key == source.key)
            .values(document={**source.document, "marker": marker})
        )
        for record in RECORDS.values():
            mine = record.table.c.namespace_key == source.key
            for row in connection.execute(select(record.table).where(mine)).mappings().all():
                this = [
                    record.table.c[key.name] == row[key.name] for key in record.table.primary_key
                ]
                changed = {**row["document"], "marker": marker}
                connection.execute(update(record.table).where(*this).values(document=changed))
    with stores.vectors() as vectors:
        points = [point for page in pages(vectors, QDRANT, 100) for point in page]
        added = Point(10**6 + len(points), {}, dict(points[0].payload))
        vectors.upsert(
            QDRANT,
            [
                point._replace(payload={**point.payload, "marker": marker})
                for point in [*points, added]
            ],
        )


def look_up(stores: Stores) -> Namespace:
    """Name -> namespace -> Qdrant collection, in one read."""
    with stores.catalog.read() as connection:
        return namespaces.resolve(connection, None, TARGET)


def read_through(stores: Stores, found: Namespace) -> str:
    """Reads all of a namespace that was looked up before, from both stores: its one marker."""
    markers: list[str] = []
    ids: dict[str, set[str]] = {}
    with stores.catalog.read() as connection:
        for kind in RECORDS:
            documents = list(namespaces.read_documents(connection, found.key, kind))
            markers += [document["marker"] for document in documents]
            ids[kind] = {document[RECORDS[kind].id_field] for document in documents}
    with stores.vectors() as vectors:
        points = [point for page in pages(vectors, found.qdrant_collection, 4) for point in page]
    markers += [point.payload["marker"] for point in points]
    assert set(markers) == {found.document["marker"]}
    assert {point.payload["_internal"]["namespace_id"] for point in points} == {found.namespace_id}
    assert {point.payload["_internal"]["collection_id"] for point in points} == ids["collection"]
    return markers[0]


class Reader:
    """Looks and reads without an end; knows what it has seen, and what was wrong first."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._changed = threading.Condition()
        self._stop = False
        self.seen: dict[str, int] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop:
                marker = read_through(self._stores, look_up(self._stores))
                with self._changed:
                    self.seen[marker] = self.seen.get(marker, 0) + 1
                    self._changed.notify_all()
                    self._changed.wait(0.01)
        except BaseException as error:
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def wait_for(self, marker: str) -> None:
        with self._changed:
            seen = self._changed.wait_for(
                lambda: marker in self.seen or self.error is not None, timeout=PATIENCE
            )
        if self.error is not None:
            raise self.error
        assert seen, f"no reader has seen {marker}"

    @classmethod
    @contextmanager
    def at_work(cls, stores: Stores, count: int) -> Iterator[list[Reader]]:
        readers = [cls(stores) for _ in range(count)]
        threads = [threading.Thread(target=reader.run) for reader in readers]
        for thread in threads:
            thread.start()
        try:
            yield readers
        finally:
            for reader in readers:
                reader._stop = True
            for thread in threads:
                thread.join(PATIENCE)


def ids_of(stores: Stores) -> dict[str, Any]:
    found = look_up(stores)
    with stores.catalog.read() as connection:
        kept: dict[str, Any] = {
            kind: [
                row[record.id_field] for row in namespaces.read_records(connection, found.key, kind)
            ]
            for kind, record in RECORDS.items()
            if kind != "object"
        }
    return kept | {"namespace": found.namespace_id, "created_at": found.created_at}


@pytest.mark.parametrize(
    ("where", "readers", "refreshes"),
    [
        ("embedded", 1, 5),
        ("server", 2, 3),
        pytest.param("embedded", 1, REFRESHES, marks=pytest.mark.long),
        pytest.param("server", 3, REFRESHES, marks=pytest.mark.long),
    ],
)
def test_refreshes_under_the_eyes_of_readers(
    request: pytest.FixtureRequest, where: str, readers: int, refreshes: int
) -> None:
    stores: Stores = request.getfixturevalue(where)
    refresh(stores)
    ids = ids_of(stores)
    with Reader.at_work(stores, readers) as watching:
        for round in range(refreshes):
            change_source(stores, f"round {round}")
            made = refresh(stores)
            assert made.response is not None
            assert made.response["cloned_resources"]["points"] == POINTS + round + 1
            assert ids_of(stores) == ids
            for reader in watching:
                reader.wait_for(f"round {round}")
    assert [reader.error for reader in watching] == [None] * readers
    assert look_up(stores).generation == refreshes + 1
    assert verify_pair(stores, None, NAME, TARGET).equal is True


@pytest.mark.long
def test_refreshes_by_the_sensor_under_the_eyes_of_readers(
    server: Stores, qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run for each change, as Dagster launches it."""
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    policy = {"source": NAME, "target": TARGET}
    options = {"include_resources": {"taxonomies": True}}
    with dg.instance_for_test() as instance:
        watching = Watching(tmp_path, instance, **policy, options=options)
        assert watching.run(watching.asked()).success  # made for the first time
        ids = ids_of(server)
        with Reader.at_work(server, 3) as readers:
            for round in range(SENSOR_REFRESHES):
                change_source(server, f"round {round}")
                assert watching.run(watching.asks_at_last()).success
                assert watching.skipped() == UNCHANGED
                assert ids_of(server) == ids
                for reader in readers:
                    reader.wait_for(f"round {round}")
        assert [reader.error for reader in readers] == [None] * 3
        runs = instance.get_runs(dg.RunsFilter(tags={"clone/policy": "follow"}))
        assert len(runs) == SENSOR_REFRESHES + 1
    with dg.instance_for_test() as without_history:
        watching = Watching(tmp_path, without_history, **policy, options=options)
        assert watching.skipped() == UNCHANGED
    assert verify_pair(server, None, NAME, TARGET).equal is True


@pytest.mark.parametrize("where", ["embedded", "server"])
def test_rollback_brings_the_previous_generation_back(
    request: pytest.FixtureRequest, where: str
) -> None:
    stores: Stores = request.getfixturevalue(where)
    refresh(stores)
    change_source(stores, "second")
    refresh(stores)
    assert read_through(stores, look_up(stores)) == "second"

    assert rollback(stores, None, TARGET).generation == 1
    assert read_through(stores, look_up(stores)) == "first"
    assert verify_sealed(stores, None, TARGET).unchanged is True
    against_source = verify_pair(stores, None, NAME, TARGET)
    assert (against_source.good, against_source.equal) == (True, False)

    # Said twice in the night, it must not bring the mistake back.
    with pytest.raises(
        Conflict, match=r"generation 1 and has no previous generation.*Kept are: 2;"
    ):
        rollback(stores, None, TARGET)
    assert rollback(stores, None, TARGET, to=2).generation == 2
    assert read_through(stores, look_up(stores)) == "second"
    assert verify_pair(stores, None, NAME, TARGET).equal is True

    rollback(stores, None, TARGET)
    change_source(stores, "third")
    refresh(stores)
    assert read_through(stores, look_up(stores)) == "third"
    # Not to the second, which had been rejected: to the one that the third has replaced.
    assert rollback(stores, None, TARGET).generation == 1
    with pytest.raises(Conflict, match=r"no generation 7 to go back to\. Kept are: 2, 3;"):
        rollback(stores, None, TARGET, to=7)


def test_a_refresh_that_stops_half_way_leaves_the_live_generation_to_its_readers(
    embedded: Stores,
) -> None:
    live = refresh(embedded)
    change_source(embedded, "second")
    harness.clone(
        embedded,
        NAME,
        TARGET,
        if_exists="replace",
        include_resources=harness.everything(),
        run_id="stops",
        until="publish_clone",
    )
    found = look_up(embedded)
    assert (found.clone_id, found.clone_status) == (live.clone_id, "ready")
    assert read_through(embedded, found) == "first"
