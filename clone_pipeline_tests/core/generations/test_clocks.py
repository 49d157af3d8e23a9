"""Clocks are set back, and two machines' clocks differ: nothing is lost or stuck for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import InProgress
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.generations.sweep import plan_sweep, run_sweep
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.lease import Lease, step_out
from clone_pipeline.core.ledger.lease_timing import LEASE_SECONDS, RESERVED_SECONDS
from clone_pipeline.core.plan import reservation
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample

HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=LEASE_SECONDS)
REFRESH: dict[str, Any] = {"if_exists": "replace"}


class Clock:
    now = datetime(2026, 10, 25, 3, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def is_set(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str, clock: Clock) -> Iterator[Stores]:
    with harness.holding(tmp_path, sample(), catalog_url=catalog_url, clock=clock) as stores:
        yield stores


def generations(stores: Stores) -> dict[str, list[int]]:
    """Those of `staging`, by role."""
    found: dict[str, list[int]] = {}
    with stores.catalog.read() as connection:
        for one in catalog.generations(connection, "org_acme", "staging"):
            found.setdefault(one.role, []).append(one.generation)
    return found


# ---- the order of generations ----------------------------------------------------------------


@pytest.mark.outside
def test_a_rollback_brings_back_what_was_replaced_last_though_the_clock_was_set_back(
    stores: Stores, clock: Clock
) -> None:
    for _ in range(3):
        harness.clone(stores, "prod", "staging", **REFRESH)
        clock.is_set(-HOUR)
    assert rollback(stores, None, "staging").generation == 2
    # 2 was live last, and 3 is what was rolled back from.
    harness.clone(stores, "prod", "staging", **REFRESH)
    clock.is_set(-HOUR)
    assert rollback(stores, None, "staging").generation == 2


@pytest.mark.parametrize("by", [-HOUR, timedelta(0)])
@pytest.mark.outside
def test_a_sweep_keeps_the_generation_that_was_replaced_last_whatever_the_clock_said(
    stores: Stores, clock: Clock, by: timedelta
) -> None:
    for _ in range(4):
        harness.clone(stores, "prod", "staging", **REFRESH)
        clock.is_set(by)
    clock.is_set(30 * HOUR)
    run_sweep(stores, None, {}, plan_sweep(stores, None, {}))
    assert generations(stores) == {"live": [4], "previous": [3]}
    assert rollback(stores, None, "staging").generation == 3


# ---- who is alive ----------------------------------------------------------------------------


@pytest.fixture
def half(stores: Stores) -> Clone:
    return harness.clone(stores, "prod", "copy", run_id="first", until="copy_points")


def put(stores: Stores, made: Clone, **values: Any) -> None:
    with stores.catalog.write() as connection:
        mine = clones.c.clone_id == made.clone_id
        connection.execute(update(clones).where(mine).values(values))


def is_made_elsewhere(stores: Stores, made: Clone) -> None:
    put(stores, made, holder_host="elsewhere", heartbeat_at=stores.clock())


def is_refused(stores: Stores) -> bool:
    try:
        harness.clone(stores, "prod", "copy", run_id="second", until="clone_config")
    except InProgress:
        return True
    return False


@pytest.mark.parametrize("holder", ["on another host", "between two steps"])
def test_a_heartbeat_that_is_still_to_come_is_no_sign_of_life_for_ever(
    stores: Stores, half: Clone, clock: Clock, holder: str
) -> None:
    if holder == "on another host":
        is_made_elsewhere(stores, half)
    else:
        step_out(Lease(stores, half.clone_id, half.token))
    clock.is_set(-HOUR)
    assert is_refused(stores)
    clock.is_set(LEASE - timedelta(seconds=1))
    assert is_refused(stores)
    clock.is_set(timedelta(seconds=1))
    assert not is_refused(stores)


def test_one_whose_clock_is_ahead_is_alive_as_long_as_it_gives_new_heartbeats(
    stores: Stores, half: Clone, clock: Clock
) -> None:
    for _ in range(3):
        put(stores, half, holder_host="elsewhere", heartbeat_at=clock() + 5 * HOUR)
        assert is_refused(stores)
        clock.is_set(LEASE)
    # And it has not become alive again when the clock comes to its last heartbeat.
    assert not is_refused(stores)


def test_a_clock_that_is_set_back_twice_makes_nobody_dead(
    stores: Stores, half: Clone, clock: Clock
) -> None:
    is_made_elsewhere(stores, half)
    clock.is_set(-HOUR)
    assert is_refused(stores)
    clock.is_set(-HOUR)
    assert is_refused(stores)
    clock.is_set(LEASE - timedelta(seconds=1))
    assert is_refused(stores)


@pytest.mark.parametrize("what", ["delete", "roll back", "reserve"])
def test_whatever_is_refused_for_a_dead_holder_goes_through_the_second_time(
    stores: Stores, clock: Clock, what: str
) -> None:
    def attempt() -> None:
        if what == "delete":
            delete_clone(stores, None, "staging")
        elif what == "roll back":
            rollback(stores, None, "staging")
        else:
            request = {"namespace_identifier": "prod", "namespace_name": "staging", **REFRESH}
            reservation.reserve_for_run(stores, parse_request(request), LOCAL_OPERATOR)

    for _ in range(2):
        harness.clone(stores, "prod", "staging", **REFRESH)
    left = harness.clone(stores, "prod", "staging", until="copy_points", **REFRESH)
    is_made_elsewhere(stores, left)
    clock.is_set(-HOUR)
    with pytest.raises(InProgress):
        attempt()
    clock.is_set(LEASE)
    attempt()


def test_a_reservation_that_no_run_was_asked_for_is_withdrawn_though_the_clock_was_set_back(
    stores: Stores, clock: Clock
) -> None:
    request = parse_request({"namespace_identifier": "prod", "namespace_name": "copy"})
    reserved = reservation.reserve_for_run(stores, request, LOCAL_OPERATOR)
    waiting = reservation.Waiting(reserved.clone_id, None)
    clock.is_set(-HOUR)
    assert reservation.settle(stores, waiting, "none") is None
    clock.is_set(LEASE)
    said = reservation.settle(stores, waiting, "none")
    assert said == "No run was asked for; ask for the clone again."


def test_a_reservation_whose_sensor_is_gone_gives_its_name_back(
    stores: Stores, clock: Clock
) -> None:
    request = parse_request({"namespace_identifier": "prod", "namespace_name": "copy"})
    reserved = reservation.reserve_for_run(stores, request, LOCAL_OPERATOR)
    reservation.submitted(stores, reserved, "first")
    clock.is_set(-HOUR)
    assert is_refused(stores)
    clock.is_set(timedelta(seconds=RESERVED_SECONDS))
    assert not is_refused(stores)


def test_clocks_that_agree_write_nothing_down(stores: Stores, half: Clone) -> None:
    is_made_elsewhere(stores, half)
    assert is_refused(stores)
    with stores.catalog.read() as connection:
        assert connection.execute(select(clones.c.seen_at)).scalars().all() == [None]
