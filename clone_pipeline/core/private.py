"""Files and folders that only their owner may read: what is in them may hold secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ENOTDIR
from pathlib import Path


def make_folder(folder: Path) -> None:
    """The folder, and what is missing above it. One that is there already stays as it is: it is
    somebody's own. Raises OSError."""
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_database(file: Path) -> None:
    """The file of a SQLite database. SQLite gives those beside it the same permissions, so older
    ones are put right here too. Where that cannot be done, SQLite tells why when it opens it."""
    # One that is there must not be opened: to close it again would take the locks from every other
    # connection of this process (SQLite, "How To Corrupt An SQLite Database File", 2.2).
    with suppress(OSError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for one in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):
            one.chmod(0o600)
