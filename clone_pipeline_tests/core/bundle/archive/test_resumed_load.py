"""A load that was killed: the next one of the same archive goes on with what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.place import Place
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline_tests import forks, harness
from clone_pipeline_tests.core.bundle.samples import exact, read_bundle, rows
from clone_pipeline_tests.sources import write_bundle

from .making import POINTS, dump, many_points

pytestmark = pytest.mark.outside

# Batches are a part at most, so each write of points is one.
_DIES = """
import os, sys
from pathlib import Path
from clone_pipeline.core.bundle import archive, files
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline_tests import harness

files.BATCH_LINES = 5

class Dying(EmbeddedStore):
    left = int(sys.argv[3])

    def upsert(self, collection, points):
        super().upsert(collection, points)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), 9)

with harness.open_stores(Path(sys.argv[1])) as stores:
    vectors = Dying.open(stores.vector_address.folder)
    archive.load_archive(stores, vectors, archive.open_place(sys.argv[2], FilesAddress()))
"""


class Counting(EmbeddedStore):
    written = 0

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        self.written += len(points)
        super().upsert(collection, points)


def kill(home: Path, place: Place, writes: int) -> None:
    """A load is killed after so many batches of five points."""
    arguments = (str(home), place.address, str(writes))
    done = forks.server().run(_DIES, *arguments, cwd=home, env=forks.environment())
    assert done.returncode == -9


def go_on(home: Path, place: Place) -> int:
    """The next load; how many points it had to write."""
    with harness.open_stores(home) as stores:
        assert set(rows(stores.catalog)) == {"loads"}
        vectors = Counting.open(stores.vector_address.folder)
        try:
            assert archive.load_archive(stores, vectors, place).counts["points"] == POINTS
            return vectors.written
        finally:
            vectors.close()


@pytest.fixture
def made(one_store: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An archive of several parts."""
    monkeypatch.setattr(parts, "PART_BYTES", 2000)
    place = archive.open_place((tmp_path / "archive").as_uri(), FilesAddress())
    dump(one_store, place)
    return place


def same(home: Path, one_store: Stores, folder: Path) -> bool:
    with harness.open_stores(home) as stores:
        assert "loads" not in rows(stores.catalog)
        after = read_bundle(harness.dump(stores, "prod", folder / "after"))
    before = read_bundle(harness.dump(one_store, "prod", folder / "before"))
    return exact(before) == exact(after)


@pytest.mark.parametrize("writes", [1, 7, 12])
def test_only_what_is_not_there_is_written(
    one_store: Stores, made: Place, tmp_path: Path, writes: int
) -> None:
    home = tmp_path / "killed"
    home.mkdir()
    kill(home, made, writes)
    written = go_on(home, made)
    assert written == POINTS if writes == 1 else 0 <= written < POINTS
    assert same(home, one_store, tmp_path)


def test_points_of_another_archive_do_not_stay(
    one_store: Stores, made: Place, tmp_path: Path
) -> None:
    home, folder = tmp_path / "killed", tmp_path / "other"
    home.mkdir()
    folder.mkdir()
    other = archive.open_place((tmp_path / "another").as_uri(), FilesAddress())
    files = many_points()
    files["points.jsonl"][20]["id"] = 90
    with harness.open_stores(folder) as stores:
        harness.load(stores, write_bundle(tmp_path / "in2", files))
        dump(stores, other)
    kill(home, other, 12)
    assert go_on(home, made) > POINTS
    assert same(home, one_store, tmp_path)


def test_the_load_of_a_bundle_discards_it(made: Place, tmp_path: Path) -> None:
    home = tmp_path / "killed"
    home.mkdir()
    kill(home, made, 12)
    with harness.open_stores(home) as stores:
        harness.load(stores, write_bundle(tmp_path / "small", many_points(4)))
        with stores.vectors() as vectors:
            assert vectors.count("ns_prod_store") == 4


@pytest.mark.long
def test_kills_at_many_moments(one_store: Stores, made: Place, tmp_path: Path) -> None:
    for number in range(25):
        home = tmp_path / f"killed-{number}"
        home.mkdir()
        for writes in range(1, 1 + number % 3):
            kill(home, made, writes)
        kill(home, made, 1 + number % 12)
        go_on(home, made)
        with harness.open_stores(home) as stores:
            assert "loads" not in rows(stores.catalog)
    assert same(home, one_store, tmp_path)
