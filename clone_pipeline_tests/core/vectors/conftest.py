"""Fixtures: the embedded store and a real Qdrant server, behind the same port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.port import CollectionConfig, VectorStore
from clone_pipeline.core.vectors.server import ServerStore

# Read at import: no test sees the developer's environment.
_GIVEN_URL = os.environ.get("QDRANT_URL")
_START_SECONDS = 60.0


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Qdrant server: QDRANT_URL, else a `qdrant` on the PATH started on a free loopback port."""
    if _GIVEN_URL:
        yield _GIVEN_URL
        return
    binary = shutil.which("qdrant")
    if binary is None:
        pytest.skip("no Qdrant server: set QDRANT_URL, or put `qdrant` on the PATH")
    folder = tmp_path_factory.mktemp("qdrant")
    http, grpc = _free_ports()
    settings = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), **settings},
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
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), opener.open(f"{url}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Qdrant did not start: {log.read_text(errors='replace')}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "qdrant"


@pytest.fixture
def embedded(folder: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore.open(folder, wait_seconds=0)
    yield store
    store.close()


@pytest.fixture
def server(qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerStore]:
    """What a test creates there is removed after it: the server may be somebody's own."""
    store = ServerStore.open(qdrant_url)
    create, made = store.create, list[str]()

    def recorded(collection: str, config: CollectionConfig) -> None:
        made.append(collection)
        create(collection, config)

    monkeypatch.setattr(store, "create", recorded)
    yield store
    for collection in made:
        store.delete(collection)
    store.close()


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> VectorStore:
    """The test runs once on each store."""
    found: VectorStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def name() -> Callable[[], str]:
    """Makes names of collections."""
    return lambda: f"test_{uuid.uuid4().hex}"
