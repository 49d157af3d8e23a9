"""What whoever watches is told of archives: as of other backups."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from clone_pipeline.core.catalog.schema import archives
from clone_pipeline.core.ledger.watch import PolicyRecord, policy_records
from clone_pipeline.core.stores import Stores

from .conftest import World


def record(stores: Stores) -> PolicyRecord:
    with stores.catalog.read() as connection:
        (found,) = policy_records(connection, None)
    return found


def row(number: int, world: World, **more: Any) -> dict[str, Any]:
    return {
        "organization_id": "org_acme",
        "source_namespace_id": "ns_prod000001",
        "name": f"n{number}",
        "address": f"s3://b/p/n{number}",
        "policy": "nightly",
        "status": "ready" if number % 10 == 0 else "removed",
        "run_id": f"run-{number}",
        "proven": True,
        "points": number,
        "restore_test": {"tested_at": f"2026-01-01T00:00:{number % 60:02}+00:00", "good": True},
        "tested_at": datetime(2026, 1, 1, 0, 0, number % 60, tzinfo=timezone.utc),
        "created_at": world.now[0],
        "updated_at": world.now[0],
        "finished_at": world.now[0],
        **more,
    }


def test_the_newest_success_is_told_beside_a_failure_that_came_after(world: World) -> None:
    world.write("first")
    world.go_on(days=1)
    with world.stores.catalog.write() as connection:
        late = row(1, world, status="failed", proven=False, finished_at=None, tested_at=None)
        connection.execute(archives.insert().values(**late))
    found = record(world.stores)
    assert (found.status, found.live, found.begun_at) == ("failed", 1, world.now[0])
    assert found.succeeded_at == found.proven_at == world.listed()["first"].finished_at
    assert (found.restore_tested_at, found.restorable) == (None, None)


def test_of_another_organization_nothing_is_told(world: World) -> None:
    world.write("first")
    with world.stores.catalog.read() as connection:
        assert policy_records(connection, "org_other") == []
        assert len(policy_records(connection, "org_acme")) == 1
