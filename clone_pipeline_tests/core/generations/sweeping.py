"""Sweeps of a catalog with clones, backups and refreshes, by a clock that is put forward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.generations import sweep
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import (
    BackupRule,
    Policies,
    SweepReport,
    plan_sweep,
    run_sweep,
)
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHTLY: Policies = {"nightly": BackupRule(Keep(daily=2), timezone.utc, "prod")}
TTL: dict[str, Any] = {"ttl_seconds": 3600}
REFRESH: dict[str, Any] = {"if_exists": "replace"}


@dataclass
class Clock:
    now: datetime = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str, clock: Clock) -> Iterator[Stores]:
    files = sample()
    files["namespace.json"]["infrastructure"] = {"qdrant_collection": "ns_prod_store"}
    with harness.holding(tmp_path, files, catalog_url=catalog_url, clock=clock) as stores:
        yield stores


def dies(stores: Stores, name: str, **options: Any) -> Clone:
    """A clone whose run ends before its proof."""
    made = harness.clone(stores, "prod", name, until="verify_clone", **options)
    ledger.fail(stores, made.clone_id, str(made.run_id), "The run died.")
    return made


def backup(stores: Stores, name: str, **options: Any) -> Clone:
    kept = {"policy": "nightly", "preserve_resource_ids": True}
    return harness.clone(stores, "prod", name, **(kept | options))


def swept(stores: Stores, policies: Policies | None = None) -> SweepReport:
    policies = NIGHTLY if policies is None else policies
    return run_sweep(stores, None, policies, plan_sweep(stores, None, policies))


def names(rows: list[sweep.Entry]) -> list[tuple[str, int]]:
    return sorted((one.name, one.generation) for entry in rows for one in entry.generations)


def why(report: SweepReport, name: str) -> str:
    [found] = [entry.why for entry in report.kept if entry.generations[0].name == name]
    return found


def there(stores: Stores) -> set[tuple[str, int]]:
    """The generations whose row and whose Qdrant collection both stand."""
    query = select(namespaces.c.namespace_name, namespaces.c.generation, namespaces.c.document)
    with stores.catalog.read() as connection:
        rows = connection.execute(query).all()
    with stores.vectors() as vectors:
        stands = [vectors.exists(row[2]["infrastructure"]["qdrant_collection"]) for row in rows]
    assert all(stands)
    return {(row[0], row[1]) for row in rows}
