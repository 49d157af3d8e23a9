"""A year of refreshes and of nightly backups: what is kept does not grow.

CLONE_PIPELINE_TEST_REFRESHES is how many there are in that year, ten times as many as of others.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select

from clone_pipeline.core.catalog.schema import metadata
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule, Policies, plan_sweep, run_sweep
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.sources import NAME, one_of_each

pytestmark = [pytest.mark.outside, pytest.mark.long]

REFRESHES = 10 * int(os.environ.get("CLONE_PIPELINE_TEST_REFRESHES", "100"))
BETWEEN = timedelta(days=365) / REFRESHES
NIGHTLY: Policies = {"nightly": BackupRule(Keep(daily=3, monthly=2), timezone.utc, NAME)}


def held(stores: Stores, home: Path) -> dict[str, int]:
    """Rows of each table, and the files of both stores."""
    with stores.catalog.read() as connection:
        found = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.tables.values()
        }
    files = [one for one in home.rglob("*") if one.is_file()]
    return found | {"files": len(files), "MB": sum(one.stat().st_size for one in files) // 2**20}


def test_a_year_of_refreshes_and_backups_grows_no_further(tmp_path: Path) -> None:
    with harness.holding(tmp_path, one_of_each()) as stores:
        now = stores.clock()
        stores = replace(stores, clock=lambda: now)
        most: list[dict[str, int]] = []
        for number in range(REFRESHES):
            now += BETWEEN
            harness.clone(stores, NAME, "staging", if_exists="replace")
            if number % 4 == 0:
                backup = {"preserve_resource_ids": True, "policy": "nightly"}
                harness.clone(stores, NAME, f"nightly {number}", **backup)
            report = run_sweep(stores, None, NIGHTLY, plan_sweep(stores, None, NIGHTLY))
            assert report.failed == []
            quarter = 4 * number // REFRESHES
            most += [{}] * (quarter + 1 - len(most))
            found = held(stores, tmp_path)
            most[quarter] = {
                what: max(most[quarter].get(what, 0), count) for what, count in found.items()
            }
    # In the second half of the year, what is gone has been gone for its 90 days. All that grew
    # before would have grown by a third.
    grown = {what: (most[2][what], n) for what, n in most[3].items() if n > 1.1 * most[2][what] + 9}
    assert grown == {}
