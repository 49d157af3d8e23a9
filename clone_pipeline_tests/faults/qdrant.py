"""A Qdrant server of the test's own: to be killed and started again with the same data, to be
stopped and gone on with, with keys."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clone_pipeline_tests import qdrant_server
from clone_pipeline_tests.qdrant_server import _free_ports, _wait_until_ready


class Qdrant:
    """`url` stays the same; nothing listens there until `start`. `settings`: more of Qdrant's own
    environment variables, as `SERVICE__API_KEY`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", **settings: str) -> None:
        self.folder = folder
        self._http, self._grpc = _free_ports()
        self._settings = {"SERVICE__HOST": host, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        # One thread may start it while another one still waits for the end of what it has killed.
        self._changing = threading.Lock()
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._http}"
        folder.mkdir()

    def start(self) -> None:
        with self._changing:
            self._start()

    def _start(self) -> None:
        settings = {
            "SERVICE__HTTP_PORT": str(self._http),
            "SERVICE__GRPC_PORT": str(self._grpc),
            "STORAGE__STORAGE_PATH": str(self.folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(self.folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            **self._settings,
        }
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["qdrant"],
                cwd=self.folder,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    **{f"QDRANT__{name}": value for name, value in settings.items()},
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _wait_until_ready(self.url, self._process, log)

    def kill(self) -> None:
        with self._changing:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def pause(self) -> None:
        """It answers nothing, and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Qdrant]:
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: put `qdrant` on the PATH")
    server = Qdrant(folder, **settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()
