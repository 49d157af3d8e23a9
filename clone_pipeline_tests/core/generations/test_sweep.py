"""What a sweep takes away, and what it must not."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.generations import sweep
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import (
    BackupRule,
    plan_sweep,
)
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness

from .sweeping import (
    DAY,
    HOUR,
    NIGHTLY,
    REFRESH,
    TTL,
    Clock,
    backup,
    clock,
    dies,
    names,
    stores,
    swept,
    there,
    why,
)

__all__ = ["clock", "stores"]  # fixtures


# ---- what goes -------------------------------------------------------------------------------


def test_an_expired_clone_goes_with_its_collection_and_nothing_else_does(
    stores: Stores, clock: Clock
) -> None:
    gone = harness.clone(stores, "prod", "short", **TTL)
    harness.clone(stores, "prod", "long", ttl_seconds=7200)
    harness.clone(stores, "prod", "forever")
    clock.passes(HOUR)
    assert names(swept(stores).removed) == [("short", 1)]
    assert there(stores) == {("prod", 1), ("long", 1), ("forever", 1)}
    with stores.vectors() as vectors:
        assert not vectors.exists(gone.qdrant_collection)


def test_a_failed_clone_goes_when_nobody_resumed_it_for_a_week(
    stores: Stores, clock: Clock
) -> None:
    left = dies(stores, "half")
    clock.passes(sweep.LEFTOVERS_STAY - HOUR)
    report = swept(stores)
    assert report.removed == []
    assert "can be resumed until 2026-05-13 07:08 UTC" in why(report, "half")
    clock.passes(HOUR)
    assert names(swept(stores).removed) == [("half", 1)]
    with stores.vectors() as vectors:
        assert not vectors.exists(left.qdrant_collection)
    assert harness.clone(stores, "prod", "half").status == "ready"


@pytest.mark.outside
def test_replaced_generations_go_but_the_one_for_a_rollback(stores: Stores, clock: Clock) -> None:
    for _ in range(3):
        harness.clone(stores, "prod", "staging", **REFRESH)
        clock.passes(timedelta(minutes=10))
    report = swept(stores)
    assert report.removed == []
    assert {entry.why for entry in report.kept} == {
        "a rollback would bring it back",
        "it was replaced less than an hour ago",
    }
    clock.passes(HOUR)
    assert names(swept(stores).removed) == [("staging", 1)]
    assert rollback(stores, None, "staging").generation == 2
    clock.passes(DAY)
    report = swept(stores)
    assert report.removed == []
    assert [entry.why for entry in report.kept] == ["it was replaced last"]


def test_after_a_rollback_both_ways_stay_open(stores: Stores, clock: Clock) -> None:
    for _ in range(3):
        harness.clone(stores, "prod", "staging", **REFRESH)
        clock.passes(timedelta(minutes=10))
    rollback(stores, None, "staging")
    clock.passes(DAY)
    report = swept(stores)
    assert report.removed == []
    assert {(entry.generations[0].generation, entry.why) for entry in report.kept} == {
        (1, "a rollback would bring it back"),
        (3, "it was replaced last"),
    }
    assert rollback(stores, None, "staging").generation == 1


def test_an_expired_clone_goes_with_all_its_generations(stores: Stores, clock: Clock) -> None:
    for _ in range(2):
        harness.clone(stores, "prod", "staging", **REFRESH, **TTL)
    clock.passes(DAY)
    assert names(swept(stores).removed) == [("staging", 1), ("staging", 2)]
    assert there(stores) == {("prod", 1)}


@pytest.mark.outside
def test_surplus_backups_go_and_the_counts_hold(stores: Stores, clock: Clock) -> None:
    for number in range(4):
        backup(stores, f"b{number}")
        clock.passes(DAY)
    report = swept(stores)
    assert names(report.removed) == [("b0", 1), ("b1", 1)]
    assert why(report, "b3") == "a backup of nightly: the last proven backup, daily 1"
    assert swept(stores).removed == []
    assert there(stores) == {("prod", 1), ("b2", 1), ("b3", 1)}


@pytest.mark.outside
def test_the_last_proven_backup_stays_while_only_unproven_ones_follow(
    stores: Stores, clock: Clock
) -> None:
    backup(stores, "proven")
    for number in range(3):
        clock.passes(DAY)
        backup(stores, f"hope{number}", verify="counts")
    dies(stores, "failed", policy="nightly", preserve_resource_ids=True)
    assert swept(stores, {"nightly": BackupRule(Keep(last=1), timezone.utc, "prod")}).removed == []


# ---- what stays ------------------------------------------------------------------------------


@pytest.mark.outside
def test_backups_of_a_policy_that_left_the_file_are_kept_and_listed(
    stores: Stores, clock: Clock
) -> None:
    for number in range(3):
        backup(stores, f"b{number}")
        clock.passes(DAY)
    report = swept(stores, {})
    assert report.removed == []
    assert why(report, "b0") == "a backup of nightly, which is not among the policies"


def test_a_refresh_that_a_policy_made_is_no_backup(stores: Stores, clock: Clock) -> None:
    kept = {"policy": "nightly", "preserve_resource_ids": True}
    harness.clone(stores, "prod", "staging", **kept, **REFRESH)
    clock.passes(DAY)
    backup(stores, "b0")
    report = swept(stores, {"nightly": BackupRule(Keep(last=1), timezone.utc, "prod")})
    assert names(report.kept) == [("b0", 1)]


def test_what_was_not_made_here_stays_also_when_it_has_expired(
    stores: Stores, clock: Clock
) -> None:
    with stores.catalog.write() as connection:
        connection.execute(update(namespaces).values(expires_at=clock()))
    harness.clone(stores, "prod", "copy")
    report = swept(stores)
    assert report.removed == []
    assert "is not a clone" in why(report, "prod")


def test_what_a_run_reads_or_writes_stays(stores: Stores, clock: Clock) -> None:
    harness.clone(stores, "prod", "short", **TTL)
    reading = harness.clone(stores, "short", "reader", until="copy_points")
    clock.passes(30 * DAY)
    report = swept(stores)
    assert report.removed == []
    assert why(report, "short").endswith(f"but the run {reading.run_id} uses it")
    assert why(report, "reader") == f"the run {reading.run_id} uses it"
    ledger.fail(stores, reading.clone_id, str(reading.run_id), "The run died.")
    # A resume would go on reading it.
    report = swept(stores)
    assert report.removed == []
    assert "reader is made of it, is not finished, and can be resumed" in why(report, "short")
    clock.passes(sweep.LEFTOVERS_STAY)
    assert names(swept(stores).removed) == [("reader", 1), ("short", 1)]


def test_a_clone_that_was_given_another_collection_stays(stores: Stores, clock: Clock) -> None:
    made = harness.clone(stores, "prod", "short", **TTL)
    with stores.catalog.write() as connection:
        document = {"infrastructure": {"qdrant_collection": "ns_prod_store"}}
        mine = namespaces.c.namespace_key == made.namespace_key
        connection.execute(update(namespaces).where(mine).values(document=document))
    clock.passes(DAY)
    report = swept(stores)
    assert report.removed == []
    assert "is not the one that was made for it" in why(report, "short")
    assert ("prod", 1) in there(stores)


def test_another_organization_is_not_looked_at(stores: Stores, clock: Clock) -> None:
    harness.clone(stores, "prod", "short", **TTL)
    clock.passes(DAY)
    plan = plan_sweep(stores, "org_other", NIGHTLY)
    assert (plan.removals, plan.kept) == ([], [])
