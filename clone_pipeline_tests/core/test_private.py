"""The embedded catalog and its folder are for their owner alone."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import organizations
from clone_pipeline.core.private import make_database, make_folder
from clone_pipeline_tests.core.catalog.rows import add_organization


@pytest.fixture(autouse=True)
def everybody_may_read() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def written(path: Path) -> dict[str, int]:
    """The permissions of the database's files while it is open and written to."""
    catalog = Catalog.open(f"sqlite:///{path}")
    try:
        with catalog.write() as connection:
            if not connection.execute(select(organizations)).first():
                add_organization(connection)
        return {one.name: mode(one) for one in path.parent.iterdir() if "lock" not in one.name}
    finally:
        catalog.close()


def test_a_new_catalog_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "above" / "home" / "catalog.db"
    assert written(path) == dict.fromkeys(("catalog.db", "catalog.db-wal", "catalog.db-shm"), 0o600)
    assert (mode(path.parent), mode(path.parent.parent)) == (0o700, 0o700)


def test_a_catalog_that_all_could_read_is_put_right_and_its_folder_left(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    path = folder / "catalog.db"
    assert set(written(path).values()) == {0o600}
    path.chmod(0o644)
    assert set(written(path).values()) == {0o600}
    assert mode(folder) == 0o755


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        make_folder(tmp_path / "file")


@pytest.mark.outside
def test_a_catalog_that_is_open_keeps_its_locks(tmp_path: Path) -> None:
    """A process loses all locks that it has of a file when it closes the file once."""
    file = tmp_path / "catalog.db"
    make_database(file)
    look = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with file.open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        make_database(file)
        other = subprocess.run([sys.executable, "-c", look, file], capture_output=True, check=False)
    assert b"BlockingIOError" in other.stderr
