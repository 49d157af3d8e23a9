"""`kill -9` of a dump, at any of its writes: the next one ends well and leaves only its archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive import parts
from clone_pipeline.core.bundle.archive.manifest import MANIFEST
from clone_pipeline.core.bundle.archive.state import STATE
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import forks

from .making import POINTS, dump, load
from .marked import Marked

pytestmark = pytest.mark.outside

# Each write is three moments: before it, half done, and after it.
_DIES = """
import os, sys
from pathlib import Path
from clone_pipeline.core.bundle import archive
from clone_pipeline.core.bundle.archive import folder, parts
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.archive.making import dump
from clone_pipeline_tests.core.bundle.archive.marked import Marked
from clone_pipeline.core.objects.address import FilesAddress

home, address, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
parts.PART_BYTES = 2000
replace = os.replace

def moment():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)

def dying(partial, path):
    moment()
    replace(partial, path)
    moment()

folder.os.replace = dying
with harness.open_stores(home) as stores:
    dump(stores, archive.open_place(address, FilesAddress()), Marked.open(home / "qdrant"))
"""


def kill(stores: Stores, address: str, moment: int) -> None:
    home = stores.vector_address.folder.parent
    arguments = (str(home), address, str(moment))
    done = forks.server().run(_DIES, *arguments, cwd=home, env=forks.environment())
    assert done.returncode == -9


def finish(stores: Stores, place: archive.Place) -> int:
    """The next dump; how many points it found done."""
    vectors = Marked.open(stores.vector_address.folder)
    try:
        return dump(stores, place, vectors).reused
    except Conflict:
        return POINTS  # it was killed when its archive was whole
    finally:
        vectors.close()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 2000)


def check(stores: Stores, folder: Path, moments: list[int]) -> int:
    place = archive.open_place(folder.as_uri(), FilesAddress())
    for moment in moments:
        kill(stores, place.address, moment)
        if MANIFEST in place.sizes():
            break
    reused = finish(stores, place)
    names = {path.name for path in folder.iterdir()} - {STATE}
    assert names == {*(part.name for part in archive.read_manifest(place).parts), MANIFEST}
    return reused


def test_three_moments(one_store: Stores, elsewhere: Stores, tmp_path: Path) -> None:
    assert check(one_store, tmp_path / "a", [0]) == 0
    assert 0 < check(one_store, tmp_path / "b", [14]) < POINTS
    assert 0 < check(one_store, tmp_path / "c", [9, 5]) < POINTS
    place = archive.open_place((tmp_path / "c").as_uri(), FilesAddress())
    assert load(elsewhere, place).counts["points"] == POINTS


@pytest.mark.long
def test_every_moment(one_store: Stores, tmp_path: Path) -> None:
    for moment in range(0, 44, 2):
        check(one_store, tmp_path / f"archive-{moment}", [moment])
