"""The Qdrant server that is measured, and the few bare REST calls the benchmark makes itself."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from clone_pipeline_tests import qdrant_server

# Every collection the benchmark makes has this prefix, so that it can clean up after itself.
PREFIX = "clone_pipeline_benchmark_"

_CALL_SECONDS = 3600.0

# The server is on loopback or named by the user: never through a proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """The server's own words, with the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:300]}")
        self.status = status


@dataclass(frozen=True)
class Server:
    url: str
    grpc_port: int

    @property
    def grpc_url(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}:{self.grpc_port}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The `result` of the answer. Raises Refused."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _opener.open(request, timeout=_CALL_SECONDS) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None

    def version(self) -> str:
        with _opener.open(self.url, timeout=_CALL_SECONDS) as answer:
            return str(json.load(answer)["version"])

    def count(self, collection: str) -> int:
        path = f"/collections/{collection}/points/count"
        return int(self.call("POST", path, {"exact": True})["count"])

    def delete(self, collection: str) -> None:
        self.call("DELETE", f"/collections/{collection}")

    def delete_leftovers(self) -> None:
        """Removes what this benchmark, or one that was killed, has made under its own names."""
        for one in self.call("GET", "/collections")["collections"]:
            if one["name"].startswith(PREFIX):
                self.delete(one["name"])


@contextmanager
def running() -> Iterator[Server]:
    """The server at QDRANT_URL, else one of our own in a temporary folder, stopped afterwards."""
    if url := os.environ.get("QDRANT_URL"):
        server = Server(url.rstrip("/"), (urlsplit(url).port or 6333) + 1)
        server.delete_leftovers()
        try:
            yield server
        finally:
            server.delete_leftovers()
        return
    if not qdrant_server.is_installed():
        raise SystemExit("There is no `qdrant` on the PATH; install one, or set QDRANT_URL.")
    with starting() as server:
        yield server


@contextmanager
def starting() -> Iterator[Server]:
    """One of our own in a temporary folder, stopped afterwards."""
    with TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        with starting_in(Path(folder)) as server:
            yield server


@contextmanager
def starting_in(folder: Path) -> Iterator[Server]:
    """One of our own whose data are in the folder, stopped afterwards."""
    with qdrant_server.run(folder) as url:
        yield Server(url, (urlsplit(url).port or 0) + 1)
