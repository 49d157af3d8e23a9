"""A Qdrant server of the test's own, to be killed and started again with the same data."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from clone_pipeline_tests.qdrant_server import _free_ports, _wait_until_ready


class Qdrant:
    """`url` stays the same; nothing listens there until `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._http, self._grpc = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._http}"
        folder.mkdir()

    def start(self) -> None:
        settings = {
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(self._http),
            "QDRANT__SERVICE__GRPC_PORT": str(self._grpc),
            "QDRANT__STORAGE__STORAGE_PATH": str(self._folder / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(self._folder / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["qdrant"],
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _wait_until_ready(self.url, self._process, log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
