"""Backups of a source whose Qdrant asks for a key: each begins with the one before."""

from __future__ import annotations

from typing import Any

import pytest

from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.outputs import CopiedPoints
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.verify import verify_pair, verify_sealed

from .. import harness
from ..sources import ID, ORGANIZATION, one_of_each
from .servers import PRODUCTION, WRITING, Between, between, databases, qdrants

__all__ = ["between", "databases", "qdrants"]  # fixtures

pytestmark = pytest.mark.outside

POINTS = 300


def point(number: int, title: str = "first") -> Point:
    payload = {"collection_id": "col_1", "title": title, "_internal": {"collection_id": "col_1"}}
    return Point(number, {"v": [number / 7, 1.0]}, payload)


def backup(stores: Stores, name: str) -> Clone:
    options: dict[str, Any] = {
        "policy": "offsite",
        "source_environment": PRODUCTION,
        "preserve_resource_ids": True,
        "include_resources": harness.everything(),
    }
    return harness.clone(stores, "prod", name, **options)


@pytest.mark.parametrize("key", [("read_only_api_key", "key-that-reads"), ("api_key", WRITING)])
def test_a_second_backup_writes_what_has_changed_and_leaves_the_first_as_it_was_sealed(
    between: Between, key: tuple[str, str]
) -> None:
    files = one_of_each() | {"points.jsonl": []}
    with between(files, qdrant_key=key) as (there, here):
        with there.vectors() as vectors:
            vectors.upsert(ID, map(point, range(POINTS)))
        first = backup(here, "b1")
        assert first.plan["lane"] == "stream"
        with there.vectors() as vectors:
            vectors.upsert(ID, [point(3, "second"), point(4, "second"), point(POINTS)])
            vectors.delete_points(ID, [7])

        second = backup(here, "b2")

        assert second.plan["lane"] == "delta"
        assert second.plan["lane_reason"].startswith("the backup 'b1' was proven")
        with here.catalog.read() as connection:
            reports = ledger.read_reports(connection, second.clone_id)
        changes = CopiedPoints.of(reports["copy_points"]).changes
        assert changes == {"inserted": 1, "changed": 2, "deleted": 1, "unchanged": POINTS - 3}
        assert reports["verify_clone"].details["differences"] == 0
        assert verify_pair(here, ORGANIZATION, "prod", "b2").equal is True
        assert verify_sealed(here, ORGANIZATION, "b1").unchanged is True
        # And it can be restored from.
        back = harness.clone(
            here,
            "b1",
            "back",
            restore=True,
            preserve_resource_ids=True,
            include_resources=harness.everything(),
        )
        assert back.status == "ready"
