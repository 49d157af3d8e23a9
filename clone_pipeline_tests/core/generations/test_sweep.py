"""What a sweep takes away, and what it must not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import clones, namespaces
from clone_pipeline.core.errors import Conflict, StorageFailed
from clone_pipeline.core.generations import delete as deletion
from clone_pipeline.core.generations import discard as discarding
from clone_pipeline.core.generations import sweep
from clone_pipeline.core.generations.delete import Admitted, delete_clone
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import (
    BackupRule,
    Policies,
    SweepPlan,
    SweepReport,
    plan_sweep,
    run_sweep,
)
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import begin
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


def test_surplus_backups_go_and_the_counts_hold(stores: Stores, clock: Clock) -> None:
    for number in range(4):
        backup(stores, f"b{number}")
        clock.passes(DAY)
    report = swept(stores)
    assert names(report.removed) == [("b0", 1), ("b1", 1)]
    assert why(report, "b3") == "a backup of nightly: the last proven backup, daily 1"
    assert swept(stores).removed == []
    assert there(stores) == {("prod", 1), ("b2", 1), ("b3", 1)}


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


# ---- what happens meanwhile ------------------------------------------------------------------


def test_what_changed_after_the_plan_is_respected(stores: Stores, clock: Clock) -> None:
    harness.clone(stores, "prod", "short", **TTL)
    dies(stores, "half")
    for number in range(2):
        backup(stores, f"b{number}")
        clock.passes(timedelta(minutes=1))
    clock.passes(30 * DAY)
    keep: Policies = {"nightly": BackupRule(Keep(last=1), timezone.utc, "prod")}
    plan = plan_sweep(stores, None, keep)
    assert names(plan.removals) == [("b0", 1), ("half", 1), ("short", 1)]
    # b0 is the last proven one now, half was tried again, somebody prolonged short.
    delete_clone(stores, None, "b1", Admitted(last_backup=True))
    dies(stores, "half")
    with stores.catalog.write() as connection:
        mine = namespaces.c.namespace_name == "short"
        connection.execute(update(namespaces).where(mine).values(expires_at=clock() + DAY))
    report = run_sweep(stores, None, keep, plan)
    assert (report.removed, report.failed) == ([], [])
    assert why(report, "b0").endswith("but it changed after the sweep was planned")
    assert there(stores) == {("prod", 1), ("short", 1), ("half", 1), ("b0", 1)}


def test_a_clone_that_was_published_after_the_plan_is_not_discarded(
    stores: Stores, clock: Clock
) -> None:
    dies(stores, "half")
    clock.passes(30 * DAY)
    plan = plan_sweep(stores, None, {})
    assert harness.clone(stores, "prod", "half").status == "ready"
    assert run_sweep(stores, None, {}, plan).removed == []
    assert ("half", 1) in there(stores)


def test_a_rollback_does_not_bring_back_what_a_sweep_has_begun_to_remove(
    stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        harness.clone(stores, "prod", "staging", **REFRESH)
        clock.passes(timedelta(minutes=1))
    clock.passes(DAY)
    said: list[str] = []

    def go_back() -> None:
        try:
            rollback(stores, None, "staging", to=1)
        except Conflict as error:
            said.append(error.message)

    going_back = threading.Thread(target=go_back)
    decide = sweep._plan

    def meanwhile(*given: Any) -> Any:
        """The sweep has decided, in the transaction in which it marks what goes."""
        found = decide(*given)
        if plan.removals and not going_back.ident:
            going_back.start()
            going_back.join(0.5)  # it waits for the sweep, or has done harm by then
        return found

    plan = plan_sweep(stores, None, {})
    monkeypatch.setattr(sweep, "_plan", meanwhile)
    assert names(run_sweep(stores, None, {}, plan).removed) == [("staging", 1)]
    going_back.join()
    assert "no generation 1 to go back to" in said[0]
    assert there(stores) == {("prod", 1), ("staging", 2), ("staging", 3)}
    with stores.catalog.read() as connection:
        assert catalog.resolve(connection, None, "staging").generation == 3


def test_a_source_whose_deletion_has_begun_is_not_cloned_any_more(
    stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = harness.clone(stores, "prod", "short", **TTL)
    clock.passes(DAY)

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with stores.catalog.read() as connection:
        seen = sweep.Holdings.read(connection, None, clock())
    with monkeypatch.context() as patched:
        for module in (deletion, discarding):
            patched.setattr(module, "mark_discarded", killed)
        with pytest.raises(RuntimeError):
            swept(stores)
    [row] = [one for group in seen.by_name for one in group if one.namespace.name == "short"]
    with pytest.raises(Conflict, match="was deleted a moment ago"), stores.catalog.write() as now:
        begin.hold_source(now, row.namespace)
    # What is left of it goes with the next sweep.
    report = swept(stores)
    assert [entry.why for entry in report.removed] == ["its deletion stopped half-way"]
    with stores.catalog.read() as connection:
        assert ledger.get(connection, short.clone_id).status == "discarded"


@pytest.mark.parametrize("name", ["half", "short"])
def test_a_sweep_that_is_killed_is_finished_by_the_next_one(
    stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "half":
        dies(stores, name)
    else:
        harness.clone(stores, "prod", name, **TTL)
    clock.passes(30 * DAY)

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        for module in (deletion, discarding):
            patched.setattr(module, "mark_discarded", killed)
        with pytest.raises(RuntimeError):
            swept(stores)
    clock.passes(30 * DAY)
    assert names(swept(stores).removed) == [(name, 1)]
    assert there(stores) == {("prod", 1)}


def test_one_that_fails_does_not_keep_the_others_from_going(
    stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.clone(stores, "prod", "one", **TTL)
    harness.clone(stores, "prod", "two", **TTL)
    clock.passes(DAY)
    whole = sweep.remove

    def fails_once(stores: Stores, doomed: Any, check: Any) -> None:
        if doomed[0].name == "one":
            raise StorageFailed("The disk is full.")
        whole(stores, doomed, check)

    monkeypatch.setattr(sweep, "remove", fails_once)
    report = swept(stores)
    assert names(report.removed) == [("two", 1)]
    [failed] = report.failed
    assert failed.why.endswith("but The disk is full")
    assert failed.to_json()[0]["namespace_name"] == "one"


def test_the_policy_of_a_clone_is_the_one_that_asked_last(stores: Stores) -> None:
    left = dies(stores, "copy", preserve_resource_ids=True)
    assert backup(stores, "copy").clone_id == left.clone_id
    with stores.catalog.read() as connection:
        assert connection.execute(select(clones.c.policy)).scalar() == "nightly"


def test_the_ledger_forgets_clones_that_are_gone_for_long_and_no_others(
    stores: Stores, clock: Clock
) -> None:
    harness.clone(stores, "prod", "kept")
    dies(stores, "failed")
    harness.clone(stores, "prod", "gone")
    delete_clone(stores, None, "gone")

    def known() -> set[str]:
        with stores.catalog.read() as connection:
            return set(connection.execute(select(clones.c.namespace_name)).scalars())

    def sweep_nothing() -> None:
        run_sweep(stores, None, {}, SweepPlan())

    clock.passes(89 * DAY)
    sweep_nothing()
    assert known() == {"kept", "failed", "gone"}
    clock.passes(2 * DAY)
    run_sweep(stores, "org_other", {}, SweepPlan())
    assert known() == {"kept", "failed", "gone"}
    sweep_nothing()
    assert known() == {"kept", "failed"}
