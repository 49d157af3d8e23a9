"""The rate that was asked for is that of all who work on a clone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.points.pace import SharedPace
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.catalog.rows import add_clone

pytestmark = pytest.mark.outside

LIMIT = 10


def test_whoever_takes_points_puts_off_those_of_the_others(
    postgres_url: str, tmp_path: Path
) -> None:
    with harness.open_stores(tmp_path, postgres_url) as stores:
        with stores.catalog.write() as connection:
            add_clone(connection, "clone_1", status="cloning")
            began = connection.execute(select(func.clock_timestamp())).scalar_one()
        several = [SharedPace(stores, "clone_1", LIMIT) for _ in range(3)]
        waits = [one.wait(1000) for one in several]
        # Each has to wait for the points of those before it, too.
        assert waits == sorted(waits)
        assert waits[1] > 100
        with stores.catalog.read() as connection:
            until = connection.execute(select(clones.c.paced_until)).scalar_one()
        assert (until - began).total_seconds() >= 3 * 1000 / LIMIT


def test_the_ledger_is_asked_for_the_points_of_half_a_second_at_once(
    postgres_url: str, tmp_path: Path
) -> None:
    with harness.open_stores(tmp_path, postgres_url) as stores:
        with stores.catalog.write() as connection:
            add_clone(connection, "clone_1", status="cloning")
        pace = SharedPace(stores, "clone_1", 1000)
        waits = [pace.wait(100) for _ in range(10)]
        assert [bool(one) for one in waits] == [True, *[False] * 4] * 2
