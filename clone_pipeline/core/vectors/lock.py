"""One process at a time in a folder, with the holder's process id for the message to the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import StoreUnavailable


class FolderLock:
    """The kernel frees it when its holder dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # In a file of its own: older versions of filelock empty the lock file when they wait.
        self._holder_file = folder / ".clone-pipeline.pid"
        # Not thread-local: a store may be closed by another thread than the one that opened it.
        self._lock = FileLock(folder / ".clone-pipeline.lock", thread_local=False)

    def acquire(self, wait_seconds: float, on_wait: Callable[[str], None] | None) -> None:
        """Raises StoreUnavailable, naming the holder, when it is not free in time."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._wait(wait_seconds, on_wait)
        self._holder_file.write_text(str(os.getpid()))

    def release(self) -> None:
        self._lock.release()

    def _wait(self, seconds: float, on_wait: Callable[[str], None] | None) -> None:
        if on_wait is not None:
            on_wait(f"Waiting for {self._holder()} to finish with {self._folder}.")
        try:
            self._lock.acquire(timeout=seconds)
        except Timeout:
            raise StoreUnavailable(
                f"The embedded Qdrant in {self._folder} has been in use by {self._holder()} for "
                f"more than {seconds:g} s; wait for it to finish or set QDRANT_URL to use a server."
            ) from None

    def _holder(self) -> str:
        try:
            pid = int(self._holder_file.read_text())
        except (OSError, ValueError):
            return "another process"
        return f"process {pid} (this one)" if pid == os.getpid() else f"process {pid}"
