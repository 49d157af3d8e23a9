"""What one scrape of `/metrics` takes, over a ledger with many backups and a long policies file.

    python -m benchmarks.metrics [--clones N] [--archives N] [--policies N] [--rounds R]

The clones are copies of the rows of one of the demo, with its plan and the reports of its steps;
each is there, has had a restore test, and belongs to one of the policies, as do the archives: that
is the most that there can be to read. On SQLite, and on PostgreSQL where one can be started here.
Medians of the rounds; `cpu` is this process's own, without that of the database. `empty` is the
same with one clone, one archive and one policy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import Connection, Table, insert, select, text

from clone_pipeline.api.metrics import exposed
from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness, servers

_PAGE = 1000
_NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
_TEST = {
    "backup": "demo_backup_20260506_0700",
    "clone_id": None,
    "organization_id": SOURCE["organization_id"],
    "policy": "policy_0",
    "good": True,
    "sentence": "It is what was proven when it was made, and a namespace was made that equals it.",
    "seconds": 12.3,
    "points": 1000,
    "objects": 100,
    "searches": 5,
    "same_answers": 5,
    "put_back": 3,
    "by_hand": 1,
}


@dataclass(frozen=True)
class Size:
    clones: int
    archives: int
    policies: int


def fill(stores: Stores, size: Size) -> None:
    harness.load(stores, FOLDER / "bundle")
    made = harness.clone(
        stores, SOURCE["namespace_id"], "backup_0", policy="policy_0", preserve_resource_ids=True
    )
    with stores.catalog.write() as connection:
        add(connection, schema.archives, _archives(size))
        for table, unlike in (
            (schema.clones, _clone),
            (schema.clone_steps, lambda number, _: {"clone_id": f"clone_{number}"}),
            (schema.namespaces, _namespace),
        ):
            query = select(table).where(table.c.clone_id == made.clone_id)
            if table is schema.clone_steps:
                query = query.where(table.c.step == "publish_clone")
            rows = [dict(row) for row in connection.execute(query).mappings()]
            copies = (
                row | unlike(number, size) for number in range(1, size.clones) for row in rows
            )
            add(connection, table, copies)


def add(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while page := list(islice(rows, _PAGE)):
        connection.execute(insert(table), page)


def _tested(number: int) -> dict[str, Any]:
    moment = _NOW + timedelta(seconds=number)
    return {"tested_at": moment, "restore_test": _TEST | {"tested_at": moment.isoformat()}}


def _clone(number: int, size: Size) -> dict[str, Any]:
    return {
        "clone_id": f"clone_{number}",
        "namespace_key": 1000 + number,
        "namespace_name": f"backup_{number}",
        "policy": f"policy_{number % size.policies}",
        "created_at": _NOW + timedelta(seconds=number),
        **_tested(number),
    }


def _namespace(number: int, _: Size) -> dict[str, Any]:
    return {
        "clone_id": f"clone_{number}",
        "namespace_key": 1000 + number,
        "namespace_id": f"ns_{number:010}",
        "namespace_name": f"backup_{number}",
    }


def _archives(size: Size) -> Iterator[dict[str, Any]]:
    for number in range(size.archives):
        moment = _NOW + timedelta(seconds=number)
        yield {
            "organization_id": SOURCE["organization_id"],
            "source_namespace_id": SOURCE["namespace_id"],
            "name": f"archive_{number}",
            "address": f"s3://backups/demo/archive_{number}",
            "policy": f"archived_{number % size.policies}",
            "status": "ready",
            "run_id": f"run_{number}",
            "proven": True,
            "consistent": True,
            "manifest": f"{number:064}",
            "points": 1000,
            "objects": 100,
            "bytes": 10_000_000,
            "seconds": 12.3,
            **_tested(number),
            "created_at": moment,
            "updated_at": moment,
            "finished_at": moment,
        }


def write_policies(path: Path, size: Size) -> Path:
    entries = [
        f'  - {{name: {kind}_{number}, source: demo, cron: "{number % 60} 2 * * *"{more}}}'
        for kind, more in (("policy", ""), ("archived", ", to: s3://backups/demo/{}"))
        for number in range(size.policies)
        for more in [more.format(number)]
    ]
    path.write_text("\n".join(["backups:", *entries, ""]), encoding="utf-8")
    return path


def measure(name: str, catalog_url: str | None, size: Size, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="clone-pipeline-benchmark-") as folder:
        home = Path(folder)
        file = write_policies(home / "policies.yaml", size)
        with harness.open_stores(home, catalog_url) as stores:
            fill(stores, size)
            if catalog_url is not None:
                vacuum(catalog_url)
            began = time.perf_counter()
            body, _ = exposed(stores, file, None, "")
            first = time.perf_counter() - began
            wall, worked, server = [], time.process_time(), database_seconds(stores)
            for _ in range(rounds):
                began = time.perf_counter()
                exposed(stores, file, None, "")
                wall.append((time.perf_counter() - began) * 1000)
            worked = time.process_time() - worked
            server = database_seconds(stores) - server
    return {
        "catalog": name,
        "clones": f"{size.clones:,}",
        "archives": f"{size.archives:,}",
        "policies": f"{2 * size.policies:,}",
        "bytes": f"{len(body):,}",
        "ms, first": round(first * 1000, 1),
        "ms": round(statistics.median(wall), 1),
        "ms, 95 %": round(sorted(wall)[int(len(wall) * 0.95)], 1),
        "cpu ms": round(worked / rounds * 1000, 1),
        "server's": round(server / rounds * 1000, 1),
    }


def vacuum(catalog_url: str) -> None:
    """As a server does by itself a minute later."""
    with psycopg.connect(catalog_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def database_seconds(stores: Stores) -> float:
    """How long the server's processes that work for us have kept the processor busy."""
    if stores.catalog.is_sqlite:
        return 0.0
    with stores.catalog.read() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        pids = connection.execute(query).scalars().all()
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--clones", type=int, default=10_000)
    parser.add_argument("--archives", type=int, default=10_000)
    parser.add_argument("--policies", type=int, default=20, help="of each kind")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    sizes = [Size(1, 1, 1), Size(given.clones, given.archives, given.policies)]
    rows = [measure("SQLite", None, size, given.rounds) for size in sizes]
    for size in sizes:
        with ExitStack() as stack:
            try:
                catalog_url = stack.enter_context(servers.postgres())
            except servers.NotInstalled as reason:
                stdout.print(f"PostgreSQL is left out: {reason}")
                break
            rows.append(measure("PostgreSQL", catalog_url, size, given.rounds))
    print_table(f"{given.rounds} scrapes on {os.cpu_count()} cores", rows)


if __name__ == "__main__":
    main()
