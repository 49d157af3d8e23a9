"""Bundles and archives of a collection with custom sharding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core import bundle
from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive.pieces import Pieces
from clone_pipeline.core.bundle.archive.place import ANYTHING
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.errors import BundleError, CloneError
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.server import ServerStore

from .. import harness
from ..core.bundle.archive.making import InMemory
from .keyed import POINTS, SHAPE, docs, put, stores, url
from .shapes import add_key, keys_of
from .test_adopt import contents, stores_at

__all__ = ["docs", "stores", "url"]  # fixtures

pytestmark = pytest.mark.outside


@contextmanager
def emptied(url: str, home: Path) -> Iterator[Stores]:
    """Another deployment on the same server."""
    home.mkdir()
    with stores_at(url, home) as stores:
        try:
            yield stores
        finally:
            harness.remove_collections(stores)


def loaded(stores: Stores, name: str = "copy") -> str:
    with stores.catalog.read() as connection:
        return catalog.resolve(connection, None, name).qdrant_collection


@pytest.mark.parametrize("of", ["adopted", "clone"])
def test_a_bundle_has_the_keys(
    url: str, stores: Stores, docs: str, tmp_path: Path, of: str
) -> None:
    clone = harness.clone(stores, "docs", "copy")
    folder = harness.dump(stores, "docs" if of == "adopted" else "copy", tmp_path / "bundle")
    before = contents(url, docs, SHAPE)
    with emptied(url, tmp_path / "other") as other:
        if of == "adopted":
            target = bundle.Target("copy", None, new_ids=True)
        else:
            delete_clone(stores, None, "copy")
            target = bundle.Target(None, None, new_ids=False)
        with other.vectors() as vectors:
            done = bundle.load(folder, other.catalog, vectors, other.clock(), target=target)
        assert done.counts["points"] == POINTS
        there = loaded(other)
        assert contents(url, there, SHAPE) == before
        assert set(keys_of(url, there)) == set(SHAPE.keys)
        again = harness.dump(other, "copy", tmp_path / "again")
        for file in ("points.jsonl", "qdrant.json"):
            assert (again / file).read_bytes() == (folder / file).read_bytes()
    assert clone.points == POINTS


def test_a_key_that_comes_while_it_is_dumped_is_in_the_bundle(
    url: str, stores: Stores, docs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, read = ServerStore.scroll, list[str]()

    def noted(self: ServerStore, collection: str, *rest: Any) -> Any:
        read.append(collection)
        if len(read) == 2:
            add_key(url, docs, "later")
            put(url, docs, "later", 1)
        return inner(self, collection, *rest)

    monkeypatch.setattr(ServerStore, "scroll", noted)
    folder = harness.dump(stores, "docs", tmp_path / "bundle")
    lines = (folder / "points.jsonl").read_text().splitlines()
    assert sum('"shard_key":"later"' in line for line in lines) == 1
    assert '"later"' in (folder / "qdrant.json").read_text()


class Dying(InMemory):
    left = 10**9

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().write(name, data, over)


def dump(stores: Stores, place: InMemory) -> Any:
    with stores.catalog.read() as connection:
        key = catalog.resolve(connection, None, "docs").key
    with stores.vectors() as vectors:
        return archive.dump_archive(stores, vectors, key, place, Meter(stores.clock))


def load(stores: Stores, place: InMemory) -> Any:
    target = bundle.Target("copy", None, new_ids=True)
    with stores.vectors() as vectors:
        return archive.load_archive(stores, vectors, place, target=target)


def test_an_archive_has_the_keys_and_is_gone_on_with(
    url: str, stores: Stores, docs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Dying()
    place.left = 9
    with pytest.raises(KeyboardInterrupt):
        dump(stores, place)
    place.left = 10**9
    dumped = dump(stores, place)
    assert dumped.counts["points"] == POINTS
    assert 0 < dumped.reused < POINTS
    assert dumped.consistent is True
    with emptied(url, tmp_path / "other") as other:
        inner, written = ServerStore.upsert, list[str]()

        def dies(self: ServerStore, collection: str, *rest: Any) -> None:
            written.append(collection)
            if len(written) == 3:
                raise KeyboardInterrupt
            inner(self, collection, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(ServerStore, "upsert", dies)
            patched.setattr("clone_pipeline.core.bundle.files.BATCH_LINES", 40)
            patched.setattr("clone_pipeline.core.bundle.claim.Reservation.give_up", lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                load(other, place)
        with other.catalog.write() as connection:
            connection.exec_driver_sql("UPDATE loads SET holder_pid = 0")
        done = load(other, place)
        assert done.counts["points"] == POINTS
        assert contents(url, loaded(other), SHAPE) == contents(url, docs, SHAPE)


@pytest.mark.parametrize("how", ["folder", "archive"])
def test_what_keeps_no_keys_is_told_so_before_anything_is_written(
    stores: Stores, docs: str, tmp_path: Path, how: str
) -> None:
    place, folder = InMemory(), tmp_path / "bundle"
    dump(stores, place) if how == "archive" else harness.dump(stores, "docs", folder)
    (tmp_path / "embedded").mkdir()
    with harness.open_stores(tmp_path / "embedded") as embedded:
        with pytest.raises(BundleError, match=r"qdrant.json: has shard keys, which only a Qdrant"):
            load(embedded, place) if how == "archive" else harness.load(embedded, folder)
        with embedded.catalog.read() as connection, pytest.raises(CloneError):
            catalog.resolve(connection, None, "docs")
