"""The embedded store's traps, each closed or known."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.local.local_collection import LocalCollection
from qdrant_client.local.qdrant_local import QdrantLocal

from clone_pipeline.core.errors import StorageFailed, StoreUnavailable, WorkError
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.point import Point

from .opening import next_line, opened, other_process
from .points import PLAIN, make_point, plain_points

COSINE = {"vectors": {"v": {"size": 3, "distance": "Cosine"}}}


# ---- what a crash leaves ---------------------------------------------------------------------


@pytest.mark.outside
def test_kill_during_upsert_keeps_what_was_acknowledged(folder: Path) -> None:
    script = (
        "store = EmbeddedStore.open(folder)\n"
        "store.create('c', PLAIN)\n"
        "for page in range(1000):\n"
        "    store.upsert('c', plain_points(page * 50, 50))\n"
        "    say(page)\n"
    )
    with other_process(script, folder) as other:
        acknowledged = [next_line(other) for _ in range(4)][-1]
        other.kill()
        other.wait()
    with opened(folder) as store:
        count = store.count("c")
        assert count >= (int(acknowledged) + 1) * 50
        # A part of the page in flight may be there: batches are not atomic.
        assert store.scroll("c", count + 1).points == plain_points(0, count)
        store.upsert("c", plain_points(0, count + 10))
        assert store.count("c") == count + 10


def test_what_was_acknowledged_is_in_the_file_itself(
    embedded: EmbeddedStore, folder: Path, tmp_path: Path
) -> None:
    """The log beside it is not synced for each commit: power may fail."""
    embedded.create("c", PLAIN)
    changes: list[Callable[[], None]] = [
        lambda: embedded.upsert("c", plain_points(1, 5)),
        lambda: embedded.upsert("c", plain_points(6, 5)),
        lambda: embedded.delete_points("c", [1, 2]),
    ]
    for change in changes:
        change()
        copy = tmp_path / "copy.sqlite"
        shutil.copy(folder / "collection" / "c" / "storage.sqlite", copy)
        connection = sqlite3.connect(copy)
        stored = connection.execute("SELECT count(*) FROM points").fetchone()[0]
        connection.close()
        assert stored == embedded.count("c")


def test_writes_are_synced_once_for_each_call(embedded: EmbeddedStore) -> None:
    embedded.create("c", PLAIN)
    embedded.upsert("c", plain_points(1, 1))
    connection = embedded._connection("c")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_a_half_made_collection_resurrects_nothing(folder: Path) -> None:
    with opened(folder) as store:
        store.create("c", PLAIN)
        store.upsert("c", plain_points(1, 5))
    forget(folder, "c")
    with opened(folder) as store:
        assert not store.exists("c")
        store.create("c", PLAIN)
        assert store.count("c") == 0
        assert store.scroll("c", 10).points == []
    with opened(folder) as store:
        assert store.count("c") == 0


def test_a_half_made_collection_can_be_deleted(folder: Path) -> None:
    with opened(folder) as store:
        store.create("c", PLAIN)
    forget(folder, "c")
    with opened(folder) as store:
        store.delete("c")
    assert not (folder / "collection" / "c").exists()


def test_a_half_deleted_collection_does_not_come_back(folder: Path) -> None:
    with opened(folder) as store:
        store.create("c", PLAIN)
        store.upsert("c", plain_points(1, 5))
    shutil.rmtree(folder / "collection" / "c")
    with opened(folder) as store:
        assert store.count("c") == 0  # the trap: it is back, empty
        store.delete("c")
        assert not store.exists("c")
    with opened(folder) as store:
        assert not store.exists("c")
    assert not (folder / "collection" / "c").exists()


def test_files_that_the_client_fails_to_remove_are_removed_all_the_same(
    embedded: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def careless(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            remove(path)

    embedded.create("c", PLAIN)
    monkeypatch.setattr(shutil, "rmtree", careless)
    embedded.delete("c")
    assert not (folder / "collection" / "c").exists()


def forget(folder: Path, collection: str) -> None:
    """The state between making a collection's directory and listing it."""
    meta = json.loads((folder / "meta.json").read_text())
    del meta["collections"][collection]
    (folder / "meta.json").write_text(json.dumps(meta))


# ---- what it gives back ----------------------------------------------------------------------


def test_cosine_vectors_change_with_a_reopen_and_count_as_equal(folder: Path) -> None:
    point = make_point(1, v=[0.1, 0.2, 0.3])
    with opened(folder) as store:
        store.create("c", COSINE)
        store.upsert("c", [point])
        fresh = store.scroll("c", 1).points[0]
    with opened(folder) as store:
        reopened = store.scroll("c", 1).points[0]
    assert EncodedPoint.of(fresh).digest() != EncodedPoint.of(reopened).digest()
    how = rule(True, COSINE)
    assert not how.exact
    assert differences(fresh, reopened, how) == []
    assert differences(point, fresh, how) == []
    assert differences(point, reopened, how) == []


def test_a_store_that_mixes_both_forms_of_cosine_vectors_is_equal(folder: Path) -> None:
    """A copy of a copy holds vectors that were normalised a different number of times."""
    points = [make_point(n, v=[n + 0.1, 0.2, 0.3]) for n in range(20)]
    with opened(folder) as store:
        for collection in ("a", "b"):
            store.create(collection, COSINE)
        store.upsert("a", points)
        store.upsert("b", store.scroll("a", 50).points[:10])
    with opened(folder) as store:
        store.upsert("b", store.scroll("a", 50).points[10:])
        copied = store.scroll("b", 50).points
        how = rule(True, COSINE)
        assert [differences(a, b, how) for a, b in zip(points, copied, strict=True)] == [[]] * 20


def test_integers_in_a_vector_do_not_cut_later_ones(folder: Path) -> None:
    """Loaded back as an array of integers, it would make 0.5 a 0."""
    with opened(folder) as store:
        store.create("c", PLAIN)
        integers: Any = [1, 0]
        store.upsert("c", [Point(1, {"": integers}, {})])
    with opened(folder) as store:
        store.upsert("c", [Point(1, {"": [0.5, 0.25]}, {})])
        assert store.scroll("c", 1).points == [Point(1, {"": [0.5, 0.25]}, {})]


def test_uint8_is_not_obeyed(folder: Path) -> None:
    config = {"vectors": {"v": {"size": 3, "distance": "Dot", "datatype": "uint8"}}}
    point = make_point(1, v=[1.5, 300.0, -3.0])
    with opened(folder) as store:
        store.create("c", config)
        store.upsert("c", [point])
        assert store.read_config("c")["vectors"]["v"]["datatype"] == "uint8"
        assert differences(point, store.scroll("c", 1).points[0], rule(True, config)) == []


def test_the_configuration_it_knows_is_all_it_tells(folder: Path) -> None:
    """The client would report constants as the collection's settings."""
    asked = {
        "vectors": {"": {"size": 2, "distance": "Dot", "on_disk": True}},
        "hnsw_config": {"m": 99},
        "payload_schema": {"a": "keyword", "b": {"type": "text", "scoring": True}},
        "metadata": {"a": None},
    }
    with opened(folder) as store:
        store.create("c", asked)
    with opened(folder) as store:
        assert store.read_config("c") == {
            "vectors": asked["vectors"],
            "sparse_vectors": {},
            "payload_schema": {},
            "metadata": {"a": None},
        }


def test_an_unknown_parameter_is_named(embedded: EmbeddedStore) -> None:
    config = {"vectors": {"image": {"size": 2, "distance": "Dot", "wings": 2}}}
    with pytest.raises(Exception, match=r"vectors\.image\.wings"):
        embedded.create("c", config)
    assert not embedded.exists("c")


def test_its_size_raises_no_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalCollection, "LARGE_DATA_THRESHOLD", 3)
    monkeypatch.setattr(QdrantLocal, "LARGE_DATA_THRESHOLD", 3)
    with opened(folder) as store:
        store.create("c", PLAIN)
        store.upsert("c", plain_points(1, 9))  # a warning would be an error here
    with opened(folder) as store:
        assert store.count("c") == 9


# ---- disks and damage ------------------------------------------------------------------------


def test_a_full_disk_fails_the_write_and_the_rest_can_follow(embedded: EmbeddedStore) -> None:
    embedded.create("c", PLAIN)
    connection = embedded._connection("c")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StorageFailed, match="disk is full"):
        embedded.upsert("c", plain_points(1, 500))
    assert 0 < embedded.count("c") < 500  # not atomic
    connection.execute("PRAGMA max_page_count = 100000")
    embedded.upsert("c", plain_points(1, 500))
    assert embedded.scroll("c", 600).points == plain_points(1, 500)


def test_a_folder_that_cannot_be_made_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match=r"file/qdrant cannot be used: Not a directory"):
        EmbeddedStore.open(tmp_path / "file" / "qdrant")


def test_a_read_only_disk_is_a_storage_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with opened(folder) as store:
        # How the list of the collections is put in place.
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(StorageFailed, match="Read-only file system"):
            store.create("c", PLAIN)
    with opened(folder) as store:
        assert not store.exists("c")


@pytest.mark.parametrize("file", ["meta.json", "collection/c/storage.sqlite"])
def test_damaged_data_is_named_and_does_not_keep_the_lock(folder: Path, file: str) -> None:
    with opened(folder) as store:
        store.create("c", PLAIN)
        store.upsert("c", plain_points(1, 5))
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(b"not what it should be" * 500)
    for _ in range(2):
        with pytest.raises(WorkError, match=f"{folder} cannot be read") as caught:
            EmbeddedStore.open(folder, wait_seconds=0)
        assert not isinstance(caught.value, (StorageFailed, StoreUnavailable))
    (folder / file).write_bytes(whole)
    with opened(folder) as store:
        assert store.count("c") == 5


def test_a_name_that_leaves_the_folder_touches_nothing_there(
    embedded: EmbeddedStore, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    embedded.create("c", PLAIN)
    for name in ("../../precious", "..", ""):
        with pytest.raises(WorkError):
            embedded.create(name, PLAIN)
        with pytest.raises(WorkError):
            embedded.delete(name)
    assert (tmp_path / "precious").exists()
    assert (folder / "collection" / "c").exists()
