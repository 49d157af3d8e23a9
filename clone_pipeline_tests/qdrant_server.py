"""A real Qdrant server for a test session, or one of a test's own; a cluster of several."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_START_SECONDS = 60.0


def is_installed() -> bool:
    return shutil.which("qdrant") is not None


@contextmanager
def run(folder: Path, *, cluster: bool = False, **settings: str) -> Iterator[str]:
    """The URL of a server with its data in `folder`.

    `cluster`: as a cluster of its own, because only in one a collection can have shard keys.
    """
    server = Qdrant(folder, **settings)
    if cluster:
        server.join(server)
    try:
        server.start()
        yield server.url
    finally:
        server.kill()


@contextmanager
def run_cluster(folder: Path, nodes: int) -> Iterator[list[Qdrant]]:
    """The nodes of one cluster; each of them answers, and knows all the others."""
    servers = [Qdrant(folder / str(number)) for number in range(nodes)]
    with ExitStack() as stack:
        for server in servers:
            server.join(servers[0])
            stack.callback(server.kill)
            server.start()
        yield servers


class Qdrant:
    """The `qdrant` on the PATH on free loopback ports, to be killed and started again with the same
    data, to be stopped and gone on with.

    `url` stays the same; nothing listens there until `start`. `settings`: more of Qdrant's own
    environment variables, as `SERVICE__API_KEY`.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", **settings: str) -> None:
        self.folder = folder
        http, grpc = _free_ports()
        self._settings = {
            "SERVICE__HOST": host,
            "SERVICE__HTTP_PORT": str(http),
            "SERVICE__GRPC_PORT": str(grpc),
            "STORAGE__STORAGE_PATH": str(folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            **settings,
        }
        self._arguments: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        # One thread may start it while another one still waits for the end of what it has killed.
        self._changing = threading.Lock()
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{http}"
        self.peer_url = ""
        folder.mkdir(exist_ok=True)

    def join(self, first: Qdrant) -> None:
        """Makes it a node of the cluster whose first node that is; its own, where it is that."""
        port, _ = _free_ports()
        self._settings |= {"CLUSTER__ENABLED": "true", "CLUSTER__P2P__PORT": str(port)}
        self.peer_url = f"http://127.0.0.1:{port}"
        self._arguments = ["--uri", self.peer_url]
        if first is not self:
            self._arguments += ["--bootstrap", first.peer_url]

    def start(self) -> None:
        with self._changing:
            self._start()

    def _start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["qdrant", *self._arguments],
                cwd=self.folder,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    **{f"QDRANT__{name}": value for name, value in self._settings.items()},
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


# A server that is not started yet does not listen at its own.
_given: set[int] = set()


def _free_ports() -> tuple[int, int]:
    """Two in a row: where nothing else is said, gRPC is looked for one above REST.

    Below the range that the system takes ports of outgoing connections from: a server that was
    killed finds its own again.
    """
    chance = random.SystemRandom()  # workers and seeded tests must not draw the same ones
    while True:
        port = chance.randrange(22_000, 32_000)
        if not _given.isdisjoint({port, port + 1}):
            continue
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 1))
            _given.update((port, port + 1))
            return port, port + 1


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), opener.open(f"{url}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Qdrant did not start: {log.read_text(errors='replace')}")
