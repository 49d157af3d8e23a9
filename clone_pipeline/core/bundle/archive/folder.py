"""An archive in a folder."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import Conflict, StorageFailed
from .pieces import Pieces, checksum_of
from .place import ANYTHING, NOTHING, Changed, Stored

_PARTIAL = ".clone-pipeline-partial"


class FolderPlace:
    """A folder. Only its owner may read what is written: documents can hold secrets."""

    def __init__(self, folder: Path, address: str) -> None:
        self.address = address
        self._folder = folder

    def close(self) -> None:
        return None

    def sizes(self) -> dict[str, int]:
        try:
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in os.scandir(self._folder)
                if not entry.name.endswith(_PARTIAL)
            }
        except FileNotFoundError:
            return {}
        except NotADirectoryError:
            raise Conflict(f"{self.address} is a file; name a new folder.") from None
        except OSError as error:
            raise self._failed("read", error) from error

    def read(self, name: str, most: int) -> Stored | None:
        try:
            number = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(number, "rb") as opened:
                data = opened.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error
        return Stored(data, checksum_of([data]))

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                if over != ANYTHING:
                    self._check(name, over)
                self._replace(name, data)
        except OSError as error:
            raise self._failed("written", error) from error
        return checksum_of(data)

    def remove(self, name: str) -> None:
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("written", error) from error

    def tidy(self) -> None:
        with suppress(OSError):  # it is not empty, or not there
            self._folder.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """No other process writes meanwhile; whoever dies lets go of it."""
        held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            for left in self._folder.glob(f"*{_PARTIAL}"):
                left.unlink(missing_ok=True)
            yield
            os.fsync(held)
        finally:
            os.close(held)

    def _check(self, name: str, over: str) -> None:
        try:
            there = checksum_of([(self._folder / name).read_bytes()])
        except FileNotFoundError:
            there = NOTHING
        if there != over:
            raise Changed

    def _replace(self, name: str, data: Pieces) -> None:
        number, partial = tempfile.mkstemp(suffix=_PARTIAL, dir=self._folder)
        try:
            with open(number, "wb") as opened:
                opened.writelines(data)
                opened.flush()
                os.fsync(number)
            os.replace(partial, self._folder / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise

    def _failed(self, what: str, error: OSError) -> StorageFailed:
        return StorageFailed(f"The archive {self.address} cannot be {what}: {error.strerror}.")
