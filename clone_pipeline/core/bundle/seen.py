"""Which id stood on which line: in a temporary database on disk, because there may be millions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StorageFailed

_CACHE_KIB = 16 * 1024


class Seen:
    """A map from (kind, key) to the line where it stood first."""

    def __init__(self) -> None:
        # SQLite makes a file for this name, deletes it when it is closed, and needs no cleaning
        # up after a process that was killed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute(
            "CREATE TABLE seen (kind TEXT, key TEXT, line INTEGER, PRIMARY KEY (kind, key)) "
            "WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.close()

    def add(self, kind: str, key: str, line: int) -> int | None:
        """Notes a key; the line where it stood before, or None if it is new."""
        try:
            self._database.execute("INSERT INTO seen VALUES (?, ?, ?)", (kind, key, line))
        except sqlite3.IntegrityError:
            return self.line(kind, key)
        return None

    def line(self, kind: str, key: str) -> int | None:
        found = self._database.execute(
            "SELECT line FROM seen WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if found is None else int(found[0])


@contextmanager
def open_seen() -> Iterator[Seen]:
    """Raises StorageFailed when the disk for temporary files is full."""
    try:
        seen = Seen()
        try:
            yield seen
        finally:
            seen.close()
    except sqlite3.Error as error:
        raise StorageFailed(
            f"A temporary file for checking the bundle cannot be written: {error}; "
            "make room, or set TMPDIR to a folder that has it."
        ) from error
