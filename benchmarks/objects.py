"""What it costs to clone a million objects, against the bare `INSERT ... SELECT` of their rows.

    python -m benchmarks.objects [--objects N] [--rounds R] [--catalog-url URL]

On SQLite, and on PostgreSQL where one can be started here or `--catalog-url` names one whose user
may make databases. Two namespaces on each: one whose documents stay as they are, one where every
document refers to a bucket and a collection that get new ids. Each measurement starts from a fresh
copy of the same database. `clone_buckets` is the whole step, its digest and its commit included,
as a run takes it; `proof` is what `verify_clone` does with the objects of the finished copy.
Medians of the rounds; a ratio is that of the two times of one round. `memory` is by how much this
process grew, at most, while it was measured.
"""

import argparse
import gc
import shutil
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import func, insert, literal, select
from sqlalchemy.engine import make_url

from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog.schema import buckets, objects
from clone_pipeline.core.difference import Differences
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.lease import Lease
from clone_pipeline.core.ledger.meter import Meter
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.digest import Digest
from clone_pipeline.core.verify import records
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.sources import Files, source

BUCKETS = tuple(f"bkt_{number:08}" for number in range(8))
COLLECTION = "col_0000000000"
NAMES = {
    "organization_id": "org_bench",
    "namespace_id": "ns_bench00000",
    "namespace_name": "bench",
}
VECTORS = {"dense": {"size": 8, "distance": "Cosine"}}
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)


# ---- what is cloned --------------------------------------------------------------------------


def namespace(qdrant_collection: str) -> Files:
    """A bundle without objects."""
    return source(
        NAMES,
        store=qdrant_collection,
        config={"vectors": VECTORS, "sparse_vectors": {}, "payload_schema": {}},
        buckets=[{"bucket_id": one, "bucket_name": one} for one in BUCKETS],
        collections=[
            {
                "collection_id": COLLECTION,
                "collection_name": "documents",
                "source": {"type": "bucket", "bucket_ids": list(BUCKETS)},
            }
        ],
    )


def document(number: int, *, refers: bool) -> dict[str, Any]:
    """An object's document, of about six hundred characters."""
    details = [
        {"type": "bucket", "source_id": BUCKETS[number % len(BUCKETS)]},
        {"type": "collection", "source_id": COLLECTION},
    ]
    return {
        "key_prefix": "videos/2026",
        "status": "COMPLETED",
        "metadata": {
            "title": f'Video "{number}" — spring',
            "tags": ["product", "outdoor"],
            "seconds": number % 977 / 7,
            "description": "A runner ties her shoes at dawn, then the camera follows her uphill.",
        },
        "blobs": [
            {
                "blob_id": f"blob_{number:012}",
                "property": "video",
                "type": "video",
                "properties": {
                    "url": f"s3://acme-media/org_bench/ns_bench00000/videos/{number:08}.mp4",
                    "size_bytes": 1_234_567 + number,
                    "mime_type": "video/mp4",
                    "hash": f"{number * 2654435761 % 2**64:016x}",
                },
            }
        ],
        "source_details": details if refers else [],
        "batch_id": f"btch_{number // 1000:08}",
        "created_at": "2026-05-06T07:08:09Z",
        "updated_at": "2026-05-06T07:08:09Z",
    }


def fill(stores: Stores, folder: Path, count: int, *, refers: bool) -> None:
    harness.load(stores, namespace("ns_bench00000"))
    with stores.catalog.write() as connection:
        for start in range(0, count, 5000):
            rows = [
                {
                    "namespace_key": 1,
                    "object_id": f"obj_{number:012}",
                    "bucket_id": BUCKETS[number % len(BUCKETS)],
                    "document": document(number, refers=refers),
                    "created_at": NOW,
                    "updated_at": NOW,
                }
                for number in range(start, min(start + 5000, count))
            ]
            connection.execute(insert(objects), rows)


# ---- databases -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Database:
    """`begin` makes an empty one and `copy` another that is the same: their URLs. `remove` ends
    either."""

    name: str
    begin: Callable[[], str]
    copy: Callable[[str], str]
    remove: Callable[[str], None]


def sqlite(folder: Path) -> Database:
    def path(url: str) -> Path:
        return Path(make_url(url).database or "")

    def begin() -> str:
        return f"sqlite:///{folder / uuid.uuid4().hex}.db"

    def copy(url: str) -> str:
        # Whoever closed it last has emptied its write-ahead log.
        other = begin()
        shutil.copyfile(path(url), path(other))
        return other

    def remove(url: str) -> None:
        for left in path(url).parent.glob(f"{path(url).name}*"):
            left.unlink()

    return Database("SQLite", begin, copy, remove)


def postgresql(admin: str) -> Database:
    url = make_url(admin).set(drivername="postgresql")

    def run(*statements: str, database: str | None = None) -> None:
        where = url if database is None else url.set(database=database)
        dsn = where.render_as_string(hide_password=False)
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def made(clause: str) -> str:
        name = f"bench_{uuid.uuid4().hex}"
        run(f"CREATE DATABASE {name} {clause}", "CHECKPOINT")
        return url.set(database=name).render_as_string(hide_password=False)

    def copy(other: str) -> str:
        template = str(make_url(other).database)
        run("VACUUM ANALYZE", database=template)
        return made(f"TEMPLATE {template}")

    def remove(other: str) -> None:
        run(f"DROP DATABASE {make_url(other).database} WITH (FORCE)")

    return Database("PostgreSQL", lambda: made(""), copy, remove)


@contextmanager
def databases(given: str | None, folder: Path) -> Iterator[list[Database]]:
    with ExitStack() as stack:
        found = [sqlite(folder)]
        try:
            found.append(postgresql(given or stack.enter_context(servers.postgres())))
        except servers.NotInstalled as reason:
            stdout.print(f"PostgreSQL is left out: {reason}")
        yield found


# ---- measuring -------------------------------------------------------------------------------


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Times a block, and watches by how much the process grows."""
        gc.collect()
        process = psutil.Process()
        before = most = process.memory_info().rss
        stop = threading.Event()

        def watch() -> None:
            nonlocal most
            while not stop.wait(0.05):
                most = max(most, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds.append(time.perf_counter() - started)
            stop.set()
            watcher.join()
            self.grown.append(most - before)


def bare(stores: Stores, clone: Clone, measured: Measured) -> None:
    """The rows, and nothing but the rows, into the namespace that the clone is to be."""
    copied = [column for column in objects.c if column.name != "namespace_key"]
    names = ["namespace_key", *(column.name for column in copied)]
    mine = objects.c.namespace_key == clone.source_namespace_key
    rows = select(literal(clone.namespace_key), *copied).where(mine)
    with stores.catalog.write() as connection:
        # What the rows refer to has to be there.
        own = [column for column in buckets.c if column.name != "namespace_key"]
        values = select(literal(clone.namespace_key), *own)
        connection.execute(
            insert(buckets).from_select(["namespace_key", *(column.name for column in own)], values)
        )
    with measured.once(), stores.catalog.write() as connection:
        connection.execute(insert(objects).from_select(names, rows))


def ours(stores: Stores, clone: Clone, measured: Measured) -> None:
    with measured.once():
        step(stores, clone, "clone_buckets")


def proof(stores: Stores, clone: Clone, measured: Measured) -> None:
    """What `verify_clone` reads of the objects, once each, and finds good."""
    report = step(stores, clone, "clone_buckets")
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, clone.clone_id)
    lease = Lease(stores, clone.clone_id, clone.token)
    work = Work(stores, clone, lease, stores.clock(), Meter(stores.clock))
    expected = Digest.from_json(report.shown["objects_digest"])
    left = Differences()
    with measured.once():
        found, _ = records.check_objects(work, expected, repair=False)
        records.source_ids_left(work, left)
    if found or left:
        raise SystemExit(f"The copy is wrong: {(found or left).sentence()}.")


def step(stores: Stores, clone: Clone, name: str) -> Any:
    run_id = str(clone.run_id)
    return run_step(stores, clone.clone_id, run_id, name, process_goes_on=True)


MEASUREMENTS = {"bare INSERT ... SELECT": bare, "clone_buckets": ours, "proof": proof}


def measure(database: Database, folder: Path, count: int, rounds: int, *, refers: bool) -> None:
    home = folder / uuid.uuid4().hex
    home.mkdir()
    template = database.begin()
    with harness.open_stores(home, template) as stores:
        fill(stores, home / "bundle", count, refers=refers)
        clone = harness.clone(stores, "bench", "copy", until="clone_buckets")
    found = {name: Measured() for name in MEASUREMENTS}
    for _ in range(rounds):
        for name, function in MEASUREMENTS.items():
            url = database.copy(template)
            with harness.open_stores(home, url) as stores:
                function(stores, clone, found[name])
                check_count(stores, clone, count)
            database.remove(url)
    database.remove(template)
    what = "every document rewritten" if refers else "no document rewritten"
    report(f"{database.name}, {count:,} objects, {what}", found, count)


def check_count(stores: Stores, clone: Clone, count: int) -> None:
    mine = objects.c.namespace_key == clone.namespace_key
    with stores.catalog.read() as connection:
        copied = connection.execute(select(func.count()).select_from(objects).where(mine))
        if copied.scalar_one() != count:
            raise SystemExit("Objects are missing; nothing is measured.")


def report(title: str, found: dict[str, Measured], count: int) -> None:
    floor = next(iter(found.values())).seconds
    rows = []
    for name, measured in found.items():
        median = statistics.median(measured.seconds)
        ratios = [mine / bare for mine, bare in zip(measured.seconds, floor, strict=True)]
        rows.append(
            {
                "what": name,
                "seconds": f"{median:.2f}",
                "min to max": f"{min(measured.seconds):.2f} to {max(measured.seconds):.2f}",
                "objects/s": f"{count / median:,.0f}",
                "times bare": f"{statistics.median(ratios):.2f}",
                "spread": f"{min(ratios):.2f} to {max(ratios):.2f}",
                "memory": f"{max(measured.grown) / 2**20:.0f} MiB",
            }
        )
    print_table(title, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--catalog-url", help="a PostgreSQL whose user may make databases")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with databases(given.catalog_url, Path(folder)) as found:
            for database in found:
                for refers in (False, True):
                    measure(database, Path(folder), given.objects, given.rounds, refers=refers)


if __name__ == "__main__":
    main()
