"""What is nobody's fault here: exit code 1, one sentence, and a clone that can be gone on with."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core.errors import StorageFailed
from clone_pipeline.core.vectors.embedded import EmbeddedStore

from .bundles import NAME, write_namespace
from .checks import Source, assert_whole, look_at_source, status
from .place import Outcome, Place, wait_until
from .qdrant import Qdrant, running

pytestmark = pytest.mark.outside

CLONE = ("clone", NAME, "copy", "--taxonomies")
RESUME = ("resume", "copy")


def assert_one_sentence(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    for word in words:
        assert word in outcome.sentence


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_unreachable_qdrant_server(place: Place, before: Source, tmp_path: Path) -> None:
    elsewhere = {"QDRANT_URL": f"http://127.0.0.1:{closed_port()}"}
    assert_one_sentence(place.run(*CLONE, env=elsewhere), "Qdrant at", "cannot be reached")
    assert status(place, "copy") == "failed"
    place.good(*RESUME)
    assert_whole(place, "copy", before, tmp_path / "scratch")


def test_an_unreachable_database(place: Place) -> None:
    address = f"postgresql://nobody@127.0.0.1:{closed_port()}/none"
    env = {"CATALOG_URL": address, "CLONE_PIPELINE_API_KEY": "any"}
    assert_one_sentence(place.run(*CLONE, env=env), "catalog", "cannot be reached")
    assert status(place, "copy") is None


# ---- a Qdrant server that dies ---------------------------------------------------------------


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[Qdrant]:
    with running(tmp_path / "server") as server:
        yield server


@pytest.mark.long
@pytest.mark.parametrize("back_in_time", [True, False])
def test_a_qdrant_server_killed_while_points_are_copied(
    qdrant: Qdrant, tmp_path: Path, back_in_time: bool
) -> None:
    """Beyond what the step itself waits for: it is tried again, or the clone is resumed."""
    place = Place(tmp_path / "place", {"QDRANT_URL": qdrant.url})
    place.good("load", str(write_namespace(tmp_path / "in")))
    before = look_at_source(place, tmp_path / "dump")
    gate, retry = tmp_path / "gate", tmp_path / "retry"
    process = place.start(
        *CLONE, wait_at=["copy_points:upsert:half", 3, str(gate)], retry=str(retry), longest=0
    )
    try:
        wait_until((tmp_path / "gate.reached").exists, "the third page")
        qdrant.kill()
        gate.touch()
        wait_until((tmp_path / "retry.reached").exists, "the first retry")
        if back_in_time:
            qdrant.start()
        retry.touch()
        outcome = process.end()
    finally:
        process.kill()
    if back_in_time:
        assert outcome.code == 0, outcome
    else:
        assert_one_sentence(outcome, "Qdrant at", "cannot be reached")
        assert status(place, "copy") == "failed"
        qdrant.start()
        place.good(*RESUME)
    assert_whole(place, "copy", before, tmp_path / "scratch")


# A file system in memory gives its pages out whole.
_LARGEST_PIECE, _SMALLEST_PIECE = 16 * 1024 * 1024, os.sysconf("SC_PAGE_SIZE")

# ---- a disk that is full, or read-only -------------------------------------------------------


class Disk:
    """A file system of its own in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def mount(self, options: str) -> None:
        self.folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)

    def fill(self, free: int = 0) -> None:
        """Leaves that many bytes. Others may write meanwhile, so that what was free a moment ago
        is not any more: all there is is taken, in whatever pieces, and the rest given back."""
        with self._ballast.open("wb") as file:
            size, piece = 0, _LARGEST_PIECE
            while piece >= _SMALLEST_PIECE:
                try:
                    os.posix_fallocate(file.fileno(), size, piece)
                    size += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
            os.ftruncate(file.fileno(), size - free)

    def empty(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    disk.mount("size=32m")
    try:
        yield disk
    finally:
        disk.unmount()


@pytest.fixture
def small(loaded: Place, disk: Disk, tmp_path: Path) -> Place:
    """The data folder, Dagster's part of it too, on that disk."""
    home = disk.folder / "home"
    shutil.copytree(loaded.home, home)
    return Place(tmp_path / "place", {"CLONE_PIPELINE_HOME": str(home)})


def fill_at(place: Place, disk: Disk, moment: str, gate: Path) -> Outcome:
    """The outcome of a clone whose disk is full from that moment on."""
    running = place.start(*CLONE, wait_at=[moment, 1, str(gate)])
    try:
        wait_until(gate.with_suffix(".reached").exists, moment)
        disk.fill()
        gate.touch()
        return running.end()
    finally:
        running.kill()
        disk.empty()


@pytest.mark.parametrize(
    ("moment", "store"),
    [
        ("copy_points:upsert:half", "embedded Qdrant"),
        pytest.param("clone_buckets:write:uncommitted", "catalog", marks=pytest.mark.long),
    ],
)
def test_a_data_disk_that_is_full_while_it_is_written(
    small: Place, disk: Disk, before: Source, tmp_path: Path, moment: str, store: str
) -> None:
    """Dagster's own storage is elsewhere, and goes on."""
    dagster = tmp_path / "dagster"
    dagster.mkdir()
    small = Place(small.folder, {**small.env, "DAGSTER_HOME": str(dagster)})
    outcome = fill_at(small, disk, moment, tmp_path / "gate")
    assert_one_sentence(outcome, store, "disk")
    small.good(*RESUME)
    assert_whole(small, "copy", before, tmp_path / "scratch")


@pytest.mark.long
@pytest.mark.parametrize(
    "moment",
    [
        "plan_clone:write:committed",
        "clone_buckets:write:uncommitted",
        "copy_points:upsert:half",
        "verify_clone:scroll:after",
        "publish_clone:write:uncommitted",
    ],
)
def test_a_disk_that_is_full_for_dagster_too(
    small: Place, disk: Disk, before: Source, tmp_path: Path, moment: str
) -> None:
    assert_one_sentence(fill_at(small, disk, moment, tmp_path / "gate"), "disk")
    small.good(*RESUME)
    assert_whole(small, "copy", before, tmp_path / "scratch")


@pytest.mark.parametrize("pages", [0, 1])
def test_a_disk_that_is_full_at_the_first_start(disk: Disk, pages: int) -> None:
    """It may be full before or after the first file of the store's own."""
    disk.fill(free=pages * os.sysconf("SC_PAGE_SIZE"))
    with pytest.raises(StorageFailed):
        EmbeddedStore.open(disk.folder / "qdrant")
    disk.empty()
    EmbeddedStore.open(disk.folder / "qdrant").close()


def test_a_read_only_data_folder(small: Place, disk: Disk) -> None:
    disk.remount("ro")
    try:
        outcome = small.run(*CLONE)
    finally:
        disk.remount("rw")
    assert_one_sentence(outcome, "cannot be used", "read")
    assert status(small, "copy") is None
