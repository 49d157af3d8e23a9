"""A Dagster webserver on a free port of loopback, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
_START_SECONDS = 240.0
_QUIET = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
_QUEUED = """run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
"""


@contextmanager
def webserver(folder: Path, **env: str) -> Iterator[str]:
    """Its URL. Nothing takes runs out of its queue."""
    (folder / "dagster.yaml").write_text(_QUIET + _QUEUED)
    port = free_port()
    log = folder / "webserver.log"
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-w", str(ROOT / "workspace.yaml")],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env, "DAGSTER_HOME": str(folder), "PYTHONPATH": str(ROOT)},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Dagster did not start: {log.read_text()}")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    try:
        # Nothing is encrypted, and the lists of certificates take 20 ms to read each time.
        return httpx.get(f"{url}/server_info", timeout=5, verify=False).is_success
    except httpx.HTTPError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
