"""What a clone asks of its stores, in counts and not in seconds.

    python -m benchmarks.cost [--points N [N ...]] [--size S] [--at-once K [K ...]]
                              [--lane L] [--apart]

Starts PostgreSQL, and a `qdrant` from the PATH or uses QDRANT_URL; with `--apart` another one, into
which it clones. A clone with `verify: full`, of each number of points and with each number of
slices at once: per step the requests to Qdrant and their bytes, the transactions and statements of
the catalog, and the most connections that were open at once; then the rows that it leaves in the
ledger. The same counts come out on any machine, but for the heartbeats, which are one transaction
every few seconds.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import httpx
import psutil
from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine

from benchmarks.points.datasets import SMALL
from benchmarks.points.methods import Job
from benchmarks.points.ours import open_deployment
from benchmarks.points.rounds import load_source
from benchmarks.points.server import Server, running, starting
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.plan import begin
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.channel import Channel
from clone_pipeline.demo.making import ids
from clone_pipeline_tests import servers

_GREEN_SECONDS = 1800.0
_LOOK_SECONDS = 0.02


@dataclass
class Counts:
    """Of one step, by all threads of this process."""

    of: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **counted: int) -> None:
        with self.lock:
            self.of.update(counted)

    def most(self, what: str, found: int) -> None:
        with self.lock:
            self.of[what] = max(self.of[what], found)


@contextmanager
def counting(catalog_port: int, qdrants: Sequence[Server]) -> Iterator[Counts]:
    counts = Counts()
    asked, written, sent = Channel._ask, Channel.upsert, httpx.Client.send

    def ask(self: Channel, *arguments: Any) -> bytes:
        answer = asked(self, *arguments)
        counts.add(reads=1, bytes_read=len(answer))
        return answer

    def upsert(self: Channel, collection: str, points: Any, *more: Any) -> None:
        counts.add(writes=1, bytes_written=sum(map(len, points)))
        written(self, collection, points, *more)

    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        answer = sent(self, request, **options)
        counts.add(other=1, other_bytes=len(request.read()) + len(answer.read()))
        return answer

    def committed(_: Any) -> None:
        counts.add(transactions=1)

    def executed(*_: Any) -> None:
        counts.add(statements=1)

    ports = {catalog_port: "catalog"}
    for server in qdrants:
        ports |= dict.fromkeys((urlsplit(server.url).port or 0, server.grpc_port), "qdrant")
    ended = threading.Event()

    def look() -> None:
        me = psutil.Process()
        while not ended.wait(_LOOK_SECONDS):
            found = Counter(
                ports[one.raddr.port]
                for one in me.net_connections("tcp")
                if one.status == "ESTABLISHED" and one.raddr.port in ports
            )
            for what, number in found.items():
                counts.most(f"{what}_connections", number)

    looking = threading.Thread(target=look)
    event.listen(Engine, "commit", committed)
    event.listen(Engine, "before_cursor_execute", executed)
    with (
        mock.patch.object(Channel, "_ask", ask),
        mock.patch.object(Channel, "upsert", upsert),
        mock.patch.object(httpx.Client, "send", send),
    ):
        looking.start()
        try:
            yield counts
        finally:
            ended.set()
            looking.join()
            event.remove(Engine, "commit", committed)
            event.remove(Engine, "before_cursor_execute", executed)


def measure(
    stores: Stores, qdrants: Sequence[Server], lane: str, points: int, at_once: int
) -> Iterator[tuple[str, Counts]]:
    name = f"cost-{points}-{at_once}"
    options = {
        "namespace_identifier": ids.NAMESPACE,
        "namespace_name": name,
        "lane": lane,
        "preserve_resource_ids": lane == "native",
        "concurrent_slices": at_once,
    }
    clone = begin.begin(stores, parse_request(options), LOCAL_OPERATOR, name)
    port = urlsplit(os.environ["CATALOG_URL"]).port or 5432
    for step in STEPS[1:]:
        with counting(port, qdrants) as counts:
            run_step(stores, clone.clone_id, name, step, process_goes_on=True)
        if step in ("copy_points", "verify_clone"):
            yield step, counts
    with stores.vectors() as vectors:
        vectors.delete(clone.qdrant_collection)


def row(points: int, at_once: int, step: str, counts: Counts) -> dict[str, Any]:
    of = counts.of
    return {
        "points": f"{points:,}",
        "at once": at_once,
        "step": step,
        "reads": of["reads"],
        "points a read": round(points / of["reads"]) if of["reads"] else "",
        "B read a point": round(of["bytes_read"] / points),
        "writes": of["writes"],
        "B written a point": round(of["bytes_written"] / points),
        "other requests": of["other"],
        "B in all of them": of["other_bytes"],
        "transactions": of["transactions"],
        "statements": of["statements"],
        "connections: Qdrant": of["qdrant_connections"],
        "catalog": of["catalog_connections"],
    }


def ledger_rows(stores: Stores) -> dict[str, int]:
    with stores.catalog.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (schema.clone_slices, schema.clone_digests)
        }


def measure_size(
    server: Server, target: Server, points: int, asked: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    # Not indexed: no count depends on it.
    dataset = replace(
        SMALL,
        name=f"cost_{points}",
        points=points,
        vectors={"": {"size": asked.size, "distance": "Cosine"}},
        optimizers={"indexing_threshold": 0},
    )
    with (
        servers.postgres() as catalog_url,
        TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder,
    ):
        source = load_source(server, dataset, stdout.print, _GREEN_SECONDS)
        Catalog.open(catalog_url).close()
        job = Job("cost", target, server, source.collection, Path(folder))
        with closing(open_deployment(job, catalog_url)) as stores:
            for slices in asked.at_once:
                before = ledger_rows(stores)
                for step, counts in measure(stores, (server, target), asked.lane, points, slices):
                    yield row(points, slices, step, counts)
                after = ledger_rows(stores)
                left = {name: after[name] - before[name] for name in after}
                stdout.print(f"{points:,} points, {slices} at once: rows left {left}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--lane", choices=("stream", "native"), default="stream")
    parser.add_argument("--apart", action="store_true")
    asked = parser.parse_args()
    os.environ["CLONE_PIPELINE_LOG_LEVEL"] = "CRITICAL"
    rows: list[dict[str, Any]] = []
    with running() as server, starting() if asked.apart else nullcontext(server) as target:
        for points in asked.points:
            rows += measure_size(server, target, points, asked)
    print_table(f"what a clone of points x {asked.size} asks for", rows)


if __name__ == "__main__":
    main()
