"""The HTTP API under load, against a bare endpoint of the same framework in the same run.

    python -m benchmarks.api [--requests N] [--clones N] [--concurrency N] [--rounds R]

Three servers, each a process of its own: the API over a catalog with the demo namespace and a clone
of it, a FastAPI app with one endpoint that gives a small constant, and a Dagster webserver whose
queue takes the runs (nothing works them off). `GET namespace` is `GET /v1/namespaces/{id}` of the
clone, with key, rate limit and counts; `clone` is `POST .../clone`, each for a name of its own,
until Dagster has the run; `launch` is what Dagster alone takes for such a run. On SQLite, and on
PostgreSQL where one can be started here. Medians of the rounds; `of bare` is the ratio to the bare
endpoint in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from fastapi import FastAPI

from clone_pipeline.api.app import create_app
from clone_pipeline.api.connections import BoundedProtocol
from clone_pipeline.api.runs import Runs
from clone_pipeline.api.service import Service
from clone_pipeline.api.turns import switch_often
from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.api import dagster_process

UNLIMITED = 1_000_000_000
CLONE = "bench_clone"


# ---- what is asked ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What a number of requests took."""

    seconds: float
    milliseconds: list[float]
    errors: int

    @property
    def a_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    @property
    def slow(self) -> float:
        """What one in twenty requests took longer than."""
        return sorted(self.milliseconds)[int(len(self.milliseconds) * 0.95)]


def load(url: str, key: str, requests: list[tuple[str, str, bytes]], concurrency: int) -> Load:
    """Makes the requests (method, path, body), so many at a time."""
    return asyncio.run(_load(url, key, requests, concurrency))


async def _load(
    url: str, key: str, requests: list[tuple[str, str, bytes]], concurrency: int
) -> Load:
    waiting = iter(requests)
    took: list[float] = []
    statuses: list[int] = []
    began = time.perf_counter()
    workers = (_worker(url, key, waiting, took, statuses) for _ in range(concurrency))
    await asyncio.gather(*workers)
    seconds = time.perf_counter() - began
    return Load(seconds, took, sum(status != 200 for status in statuses))


async def _worker(
    url: str,
    key: str,
    waiting: Iterator[tuple[str, str, bytes]],
    took: list[float],
    statuses: list[int],
) -> None:
    """One connection, kept. By hand: a whole client would be slower than what is measured."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    for method, path, body in waiting:
        began = time.perf_counter()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        await reader.readexactly(length)
        took.append((time.perf_counter() - began) * 1000)
        statuses.append(int(head.split(" ", 2)[1]))
    writer.close()


# ---- the servers -----------------------------------------------------------------------------


def run_server(what: str) -> None:
    """In a process of its own: serves until it is ended."""
    asked = json.loads(what)
    if asked["bare"]:
        app = FastAPI()

        @app.get("/bare")
        @app.post("/bare")
        def bare() -> dict[str, str]:
            return {"status": "ok"}

        uvicorn.run(app, port=asked["port"], log_config=None, access_log=False)
        return
    switch_often()
    with harness.open_stores(Path(asked["home"]), asked["catalog_url"]) as stores:
        app = create_app(Service(stores, Runs(asked["dagster_url"])), UNLIMITED)
        uvicorn.run(
            app, http=BoundedProtocol, port=asked["port"], log_config=None, access_log=False
        )


@contextmanager
def served(**asked: Any) -> Iterator[str]:
    port = dagster_process.free_port()
    command = [sys.executable, "-m", "benchmarks.api", "--server"]
    process = subprocess.Popen([*command, json.dumps({"bare": False, "port": port, **asked})])
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None and not _answers(f"{url}/openapi.json"):
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def fill(home: Path, catalog_url: str | None) -> tuple[str, str]:
    """The demo namespace and a clone of it. An API key, and the clone's id."""
    with harness.open_stores(home, catalog_url) as stores:
        harness.load(stores, FOLDER / "bundle")
        clone = harness.clone(stores, SOURCE["namespace_id"], CLONE)
        key, _ = create_key(stores.catalog, SOURCE["organization_id"], "admin", stores.clock())
        return key, str(clone.plan["target"]["namespace_id"])


# ---- the measurement -------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    requests: int
    clones: int
    concurrency: int
    rounds: int


def measure(
    name: str, catalog_url: str | None, dagster_url: str, bare: str, asked: Asked
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        key, namespace_id = fill(Path(folder), catalog_url)
        where = {"home": folder, "catalog_url": catalog_url, "dagster_url": dagster_url}
        with served(**where) as url:
            rounds = [
                one_round(f"{name}_{number}", url, bare, dagster_url, key, namespace_id, asked)
                for number in range(asked.rounds + 1)
            ][1:]  # the first one warms up
    return [
        {"catalog": name, **summed([loads[what] for loads in rounds], rounds), "what": what}
        for what in ("GET namespace", "clone", "launch")
    ]


def one_round(
    tag: str, url: str, bare: str, dagster_url: str, key: str, namespace_id: str, asked: Asked
) -> dict[str, Load]:
    get = ("GET", f"/v1/namespaces/{namespace_id}", b"")
    path = f"/v1/namespaces/{SOURCE['namespace_id']}/clone"
    clones = [
        ("POST", path, json.dumps({"namespace_name": f"{tag}_{number}"}).encode())
        for number in range(asked.clones)
    ]
    few = asked.concurrency
    return {
        "bare": load(bare, key, [("GET", "/bare", b"")] * asked.requests, few),
        "GET namespace": load(url, key, [get] * asked.requests, few),
        "clone": load(url, key, clones, few),
        "launch": load(dagster_url, key, launches(tag, asked.clones), few),
    }


def launches(tag: str, count: int) -> list[tuple[str, str, bytes]]:
    """What the API asks Dagster for, without the API."""
    query = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
        ... on LaunchRunSuccess { run { runId } } } }"""
    selector = {
        "repositoryLocationName": "clone_pipeline",
        "repositoryName": "__repository__",
        "jobName": "clone_namespace",
    }
    found = []
    for number in range(count):
        request = {"namespace_identifier": "x", "namespace_name": f"{tag}_launch_{number}"}
        params = {"selector": selector, "runConfigData": request}
        body = {"query": query, "variables": {"params": params}}
        found.append(("POST", "/graphql", json.dumps(body).encode()))
    return found


def summed(loads: list[Load], rounds: list[dict[str, Load]]) -> dict[str, Any]:
    ratios = [mine.a_second / one["bare"].a_second for mine, one in zip(loads, rounds, strict=True)]
    return {
        "what": "",
        "requests a second": round(statistics.median(one.a_second for one in loads), 1),
        "of bare": round(statistics.median(ratios), 3),
        "ms, median": round(statistics.median(statistics.median(o.milliseconds) for o in loads), 1),
        "ms, 95 %": round(statistics.median(one.slow for one in loads), 1),
        "errors": sum(one.errors for one in loads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clones", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.server:
        run_server(given.server)
        return
    asked = Asked(given.requests, given.clones, given.concurrency, given.rounds)
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dagster_url = stack.enter_context(dagster_process.webserver(folder))
        bare = stack.enter_context(served(bare=True))
        rows += measure("SQLite", None, dagster_url, bare, asked)
        try:
            catalog_url = stack.enter_context(servers.postgres())
        except servers.NotInstalled as reason:
            stdout.print(f"PostgreSQL is left out: {reason}")
        else:
            rows += measure("PostgreSQL", catalog_url, dagster_url, bare, asked)
    title = f"{asked.concurrency} at a time, {asked.rounds} rounds on {os.cpu_count()} cores"
    print_table(title, rows)


if __name__ == "__main__":
    main()
