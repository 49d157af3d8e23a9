"""What happens while a sweep is under way, or after its plan was made."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone
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
    plan_sweep,
    run_sweep,
)
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.plan import begin
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness

from .sweeping import (
    DAY,
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


@pytest.mark.outside
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


@pytest.mark.outside
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


@pytest.mark.outside
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
