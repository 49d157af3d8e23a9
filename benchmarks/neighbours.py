"""What one caller's costly requests do to another one.

    python -m benchmarks.neighbours [--seconds N] [--namespaces N] [--concurrency N]

One client asks for `GET /v1/namespaces/{id}` over a connection of its own, one request after the
other: alone, and while another process does one costly thing with a key of another organization,
for so many seconds each. No rate limit is in the way, and the API may open 1,024 files, as most
systems have it. `of quiet` is the ratio to the median alone, in the same run; `done` is how many
times the other one got an answer or a socket. The catalog is SQLite, with so many namespaces to
list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import insert, select

from benchmarks.api import load, served
from clone_pipeline.api.errors import LARGEST_BODY
from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline_tests import harness
from clone_pipeline_tests.api import dagster_process

FILES = 1024
NEIGHBOUR = "org_neighbour"
IDLE, HALF_SENT = 1100, 600
Request = tuple[str, str, bytes]


# ---- what costs much -------------------------------------------------------------------------


def conditions(count: int, values: int) -> bytes:
    """A filter that matches nothing, so that every value is compared with every namespace."""
    one = {"field": "namespace_name", "operator": "in", "value": [0] * values}
    return json.dumps({"filters": {"OR": [one] * count}}, separators=(",", ":")).encode()


def texts() -> bytes:
    """As many bytes as a body may have."""
    one = {
        "field": "description",
        "operator": "contains",
        "value": "x" * (LARGEST_BODY // 100 - 80),
    }
    return json.dumps({"filters": {"OR": [one] * 100}}).encode()


def deep(levels: int) -> bytes:
    value = b"[" * levels + b"]" * levels
    return b'{"filters":{"field":"a","operator":"in","value":' + value + b"}}"


def costly() -> dict[str, Request]:
    lists, source = "/v1/namespaces/list", SOURCE["namespace_id"]
    plan = json.dumps({"namespace_name": "neighbours"}).encode()
    return {
        "/readyz": ("GET", "/readyz", b""),
        "10 conditions of 1,000 values": ("POST", lists, conditions(10, 1000)),
        "100 conditions of 100 values": ("POST", lists, conditions(100, 100)),
        "256 KiB of texts": ("POST", lists, texts()),
        "beyond: 900 deep": ("POST", lists, deep(900)),
        "beyond: 100 conditions of 1,000": ("POST", lists, conditions(100, 1000)),
        "beyond: 0.85 MB": ("POST", lists, conditions(425, 1000)),
        "clone plans": ("POST", f"/v1/namespaces/{source}/clone/plan", plan),
    }


# ---- the other one, in a process of its own --------------------------------------------------


class Other:
    """What a process is told to do, and what it has done when it is told to end."""

    def __init__(self) -> None:
        processes = multiprocessing.get_context("spawn")
        self.begun, self.ended = processes.Event(), processes.Event()
        self.done = processes.Value("i", 0)
        self._new = processes.Process

    @contextmanager
    def at_work(self, act: Callable[..., None], *given: Any) -> Iterator[None]:
        process = self._new(target=act, args=(self.begun, self.ended, self.done, *given))
        process.start()
        try:
            if not self.begun.wait(60):
                raise RuntimeError("The other process did not begin.")
            yield
        finally:
            self.ended.set()
            process.join(60)
            process.kill()
            process.join()


def ask(
    begun: Any, ended: Any, done: Any, url: str, key: str, request: Request, concurrency: int
) -> None:
    """Makes one request again and again. One that is without a key is made with one, too: that
    changes nothing."""
    begun.set()
    while not ended.is_set():
        # What is refused may lose its connection.
        with suppress(OSError, asyncio.IncompleteReadError):
            load(url, key, [request] * concurrency, concurrency)
            done.value += concurrency


def hold(begun: Any, ended: Any, done: Any, url: str, said: bytes, count: int) -> None:
    """Keeps so many sockets open that have said so much, and opens those anew that were closed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    where = urlsplit(url)
    sockets: list[socket.socket] = []
    while not ended.is_set():
        sockets = [one for one in sockets if not _is_closed(one)]
        for _ in range(count - len(sockets)):
            with suppress(OSError):
                one = socket.create_connection((where.hostname or "", where.port or 80), timeout=5)
                one.sendall(said)
                one.setblocking(False)
                sockets.append(one)
                done.value += 1
        begun.set()
        ended.wait(0.5)
    for one in sockets:
        one.close()


def _is_closed(one: socket.socket) -> bool:
    try:
        closed = one.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        closed = True
    if closed:
        one.close()
    return closed


# ---- the well-behaved one --------------------------------------------------------------------


def poll(url: str, key: str, path: str, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of each request that was answered, and the number of those that were not."""
    took, errors = [], 0
    until = time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                client.get(path).raise_for_status()
            except httpx.HTTPError:
                errors += 1
            else:
                took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)
    return took, errors


def row(
    what: str, quiet: float | None, took: list[float], errors: int, done: int
) -> dict[str, Any]:
    median = statistics.median(took) if took else float("nan")
    slow = sorted(took)[int(len(took) * 0.95)] if took else float("nan")
    return {
        "meanwhile": what,
        "done": done,
        "requests": len(took),
        "ms, median": round(median, 1),
        "ms, 95 %": round(slow, 1),
        "of quiet": round(median / (quiet or median), 2),
        "95 % of quiet": round(slow / (quiet or median), 2),
        "errors": errors,
    }


# ---- the measurement -------------------------------------------------------------------------


def multiply(home: Path, count: int) -> str:
    """So many namespaces more in the source's organization. An API key of it."""
    with harness.open_stores(home) as stores:
        table = schema.namespaces
        with stores.catalog.write() as connection:
            query = select(table).where(table.c.namespace_id == SOURCE["namespace_id"])
            found = dict(connection.execute(query).mappings().one())
            found.pop("namespace_key")
            for number in range(count):
                names = {"namespace_id": f"ns_many{number:06}", "namespace_name": f"many_{number}"}
                document = found["document"] | names
                connection.execute(insert(table).values(found | names | {"document": document}))
        now = datetime.now(timezone.utc)
        return create_key(stores.catalog, SOURCE["organization_id"], "admin", now)[0]


def move_out(home: Path) -> tuple[str, str]:
    """The clone that is polled, in an organization of its own. A key of that, and its id."""
    now = datetime.now(timezone.utc)
    with harness.open_stores(home) as stores:
        with stores.catalog.write() as connection:
            its = {"organization_id": NEIGHBOUR, "internal_id": NEIGHBOUR, "created_at": now}
            connection.execute(insert(schema.organizations).values(its))
        clone = harness.clone(stores, SOURCE["namespace_id"], "mine", organization_id=NEIGHBOUR)
        key, _ = create_key(stores.catalog, NEIGHBOUR, "read", now)
        return key, str(clone.plan["target"]["namespace_id"])


def measure(url: str, mine: str, others: str, path: str, given: Any) -> Iterator[dict[str, Any]]:
    poll(url, mine, path, 2)  # warms up
    first = row("nothing", None, *poll(url, mine, path, given.seconds), 0)
    quiet = first["ms, median"]
    yield first
    head = (
        f"POST /v1/namespaces/list HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {others}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    ).encode()
    acts: dict[str, tuple[Any, ...]] = {
        what: (ask, url, others, request, given.concurrency) for what, request in costly().items()
    }
    acts[f"{IDLE:,} idle sockets"] = (hold, url, b"", IDLE)
    acts[f"{HALF_SENT} half-sent heads"] = (hold, url, head[:60], HALF_SENT)
    acts[f"{HALF_SENT} half-sent bodies"] = (hold, url, head, HALF_SENT)
    for what, (act, *how) in acts.items():
        other = Other()
        with other.at_work(act, *how):
            found = poll(url, mine, path, given.seconds)
        yield row(what, quiet, *found, other.done.value)
    yield row("nothing any more", quiet, *poll(url, mine, path, given.seconds), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=4)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clone-pipeline-")))
        with harness.open_stores(home) as stores:
            harness.load(stores, FOLDER / "bundle")
        mine, namespace_id = move_out(home)
        others = multiply(home, given.namespaces)
        dagster = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clone-pipeline-")))
        dagster_url = stack.enter_context(dagster_process.webserver(dagster))
        where = {"home": str(home), "catalog_url": None, "dagster_url": dagster_url}
        url = stack.enter_context(served(**where))
        stdout.print("Measuring; the table follows.")
        rows = list(measure(url, mine, others, f"/v1/namespaces/{namespace_id}", given))
    title = f"{given.concurrency} costly requests at a time, on {os.cpu_count()} cores"
    print_table(title, rows)


if __name__ == "__main__":
    main()
