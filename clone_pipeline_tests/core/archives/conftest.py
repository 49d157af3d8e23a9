"""A namespace, and a folder for its archives; a clock that tests set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.records import Archive
from clone_pipeline.core.archives.sweep import ArchiveSweep, plan_archives, sweep_archives
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import prod

BEGIN = datetime(2026, 5, 6, 2, 0, tzinfo=timezone.utc)


@dataclass
class World:
    """`place` is the address of a folder that is empty at first."""

    stores: Stores
    place: str
    now: list[datetime] = field(default_factory=lambda: [BEGIN])
    runs: int = 0

    def go_on(self, **passed: Any) -> None:
        self.now[0] += timedelta(**passed)

    def write(self, name: str, *, policy: str | None = "nightly", source: str = "prod") -> Archive:
        self.runs += 1
        wanted = Wanted(source, f"{self.place}/{name}", policy=policy)
        return archive_namespace(self.stores, wanted, LOCAL_OPERATOR, f"run-{self.runs}")

    def listed(self) -> dict[str, Archive]:
        with self.stores.catalog.read() as connection:
            every = ("writing", "ready", "failed", "removing", "removed")
            found = records.list_archives(connection, None, *every)  # type: ignore[arg-type]
        return {one.name: one for one in found}

    def sweep(self, source: str = "prod", policy: str = "nightly", **keep: int) -> ArchiveSweep:
        rules = {policy: BackupRule(Keep(**keep), ZoneInfo("UTC"), source)}
        plan = plan_archives(self.stores, None, rules)
        return sweep_archives(self.stores, None, rules, plan)

    @property
    def folder(self) -> Path:
        return Path(self.place.removeprefix("file://"))


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> Iterator[World]:
    now = [BEGIN]
    with harness.holding(
        tmp_path / "home", prod(), catalog_url=catalog_url, clock=lambda: now[0]
    ) as stores:
        yield World(stores, (tmp_path / "out").as_uri(), now)
