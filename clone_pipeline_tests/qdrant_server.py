"""A real Qdrant server for a test session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_START_SECONDS = 60.0


def is_installed() -> bool:
    return shutil.which("qdrant") is not None


@contextmanager
def run(folder: Path, *, cluster: bool = False, **more: str) -> Iterator[str]:
    """The URL of the `qdrant` on the PATH, on a free loopback port, with its data in `folder`;
    `more` are settings of its environment.

    `cluster`: as a cluster of its own, because only in one a collection can have shard keys.
    """
    binary = shutil.which("qdrant")
    assert binary is not None
    http, grpc = _free_ports()
    settings = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    command = [binary]
    if cluster:
        peers, _ = _free_ports()
        settings |= {"QDRANT__CLUSTER__ENABLED": "true", "QDRANT__CLUSTER__P2P__PORT": str(peers)}
        command += ["--uri", f"http://127.0.0.1:{peers}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), **settings, **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{http}"
        _wait_until_ready(url, process, folder / "log")
        yield url
    finally:
        process.kill()
        process.wait()


def _free_ports() -> tuple[int, int]:
    """Two in a row: where nothing else is said, gRPC is looked for one above REST."""
    while True:
        with socket.socket() as one, socket.socket() as other, suppress(OSError, OverflowError):
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            other.bind(("127.0.0.1", port + 1))
            return port, port + 1


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), opener.open(f"{url}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Qdrant did not start: {log.read_text(errors='replace')}")
