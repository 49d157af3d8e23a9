"""What becomes of a request by what stands under its name: the table, and both doors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.errors import Conflict, InProgress, NameTaken
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import begin
from clone_pipeline.core.plan.decision import TABLE, UnderName, Wanted, decide
from clone_pipeline.core.plan.reservation import reserve_for_run
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample

BOTH = (True, False)


@pytest.mark.parametrize(
    ("it", "asked"),
    [
        (UnderName(*there), Wanted(*wanted))
        for there in itertools.product(BOTH, repeat=4)
        for wanted in itertools.product(BOTH, repeat=3)
    ],
)
def test_every_case_has_the_answer_that_its_user_expects(it: UnderName, asked: Wanted) -> None:
    decision = decide(it, asked)
    # Nobody's namespace is replaced unless that is asked for.
    assert (decision == "taken") == (it.live and not asked.replace)
    # What another run makes is never touched.
    if it.unfinished and it.at_work:
        assert decision in ("taken", "held", "in progress")
    # Nothing that was asked for otherwise is gone on with, and only that is thrown away.
    if decision == "resume":
        assert (it.unfinished, asked.same) == (True, True)
    if decision == "discard":
        assert (it.unfinished, asked.same) == (True, False)
    # A policy waits after a rollback; who asks in person does not.
    if decision == "held":
        assert (it.held, asked.by_policy) == (True, True)
    if decision == "new":
        assert not it.unfinished


def test_every_row_of_the_table_is_needed() -> None:
    cases = itertools.product(
        (UnderName(*there) for there in itertools.product(BOTH, repeat=4)),
        (Wanted(*wanted) for wanted in itertools.product(BOTH, repeat=3)),
    )
    first = {next(row for row in TABLE if row.fits(it, asked)) for it, asked in cases}
    assert first == set(TABLE)


# ---- both doors ------------------------------------------------------------------------------


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with harness.holding(tmp_path, sample()) as stores:
        yield stores


def by_a_run(stores: Stores, request: CloneRequest) -> Clone:
    return begin.begin(stores, request, LOCAL_OPERATOR, harness.new_run())


def by_reservation(stores: Stores, request: CloneRequest) -> Clone:
    return reserve_for_run(stores, request, LOCAL_OPERATOR)


doors = pytest.mark.parametrize("door", [by_a_run, by_reservation])
Door = Callable[[Stores, CloneRequest], Clone]


def asked(**options: object) -> CloneRequest:
    return parse_request({"namespace_identifier": "prod", "namespace_name": "copy", **options})


def leave_unfinished(stores: Stores, **options: object) -> Clone:
    run_id = harness.new_run()
    made = harness.clone(stores, "prod", "copy", run_id=run_id, until="copy_points", **options)
    ledger.fail(stores, made.clone_id, run_id, "The run died.")
    return made


@doors
def test_a_name_that_is_free_gets_a_new_clone(stores: Stores, door: Door) -> None:
    made = door(stores, asked())
    assert (made.namespace_name, made.status, made.phase) == ("copy", "cloning", "queued")


@doors
def test_what_is_unfinished_of_the_same_request_is_gone_on_with(stores: Stores, door: Door) -> None:
    left = leave_unfinished(stores)
    assert door(stores, asked()).clone_id == left.clone_id


@doors
def test_what_is_unfinished_of_another_request_makes_room(stores: Stores, door: Door) -> None:
    left = leave_unfinished(stores, preserve_resource_ids=True)
    made = door(stores, asked())
    assert made.clone_id != left.clone_id
    with stores.catalog.read() as connection:
        assert ledger.get(connection, left.clone_id).status == "discarded"


@doors
@pytest.mark.parametrize("options", [{}, {"preserve_resource_ids": True}])
def test_what_another_run_makes_is_left_to_it(
    stores: Stores, door: Door, options: dict[str, bool]
) -> None:
    begun = harness.clone(stores, "prod", "copy", until="copy_points")
    with pytest.raises(InProgress, match=f"Another run \\({begun.run_id}\\) is making 'copy'"):
        door(stores, asked(**options))
    with stores.catalog.read() as connection:
        assert ledger.get(connection, begun.clone_id).status == "cloning"


@doors
def test_a_namespace_is_replaced_only_where_that_is_asked_for(stores: Stores, door: Door) -> None:
    ready = harness.clone(stores, "prod", "copy")
    with pytest.raises(NameTaken):
        door(stores, asked())
    made = door(stores, asked(if_exists="replace"))
    assert made.clone_id != ready.clone_id
    with stores.catalog.read() as connection:
        live = namespaces.resolve(connection, None, "copy")
    assert (live.clone_id, live.is_ready) == (ready.clone_id, True)


def test_only_a_policy_waits_after_a_rollback(stores: Stores) -> None:
    harness.clone(stores, "prod", "copy")
    harness.clone(stores, "prod", "copy", if_exists="replace")
    rollback(stores, None, "copy")
    request = asked(if_exists="replace")
    with pytest.raises(Conflict, match="rolled back"):
        begin.begin(stores, request, LOCAL_OPERATOR, harness.new_run(), policy="nightly")
    assert by_a_run(replace(stores), request).status == "cloning"
