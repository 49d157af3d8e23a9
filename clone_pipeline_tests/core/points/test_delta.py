"""A refresh that begins with what is live: exactly what has changed is written, and the clone is
what a copy of the source from the beginning would be."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Connection, and_, func, select

from clone_pipeline.core.catalog.schema import clone_digests, collections, retrievers
from clone_pipeline.core.errors import VerificationFailed
from clone_pipeline.core.generations.rollback import rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.ledger.work import Work
from clone_pipeline.core.outputs import Proof
from clone_pipeline.core.points import collection as made
from clone_pipeline.core.points import delta, pages
from clone_pipeline.core.refresh import quiet
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline.core.vectors.point import PointId
from clone_pipeline.core.verify import points as check_points
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ... import harness
from ..verify.making import NAME, SOURCE, Making
from ..verify.many import ONE_SEGMENT, assert_equal, point, stores_with
from .refreshing import (
    POINTS,
    assert_exact,
    changes,
    delete,
    in_other_collection,
    refresh,
    report,
    small,
    stores,
    tamper_unseen,
    with_title,
    with_vector,
    write,
    written,
)

pytestmark = pytest.mark.outside

__all__ = ["small", "stores", "written"]  # fixtures

FEW_EXAMPLES = 4
EXAMPLES = int(os.environ.get("CLONE_PIPELINE_TEST_EXAMPLES", "500"))


# ---- what is written -------------------------------------------------------------------------


def test_exactly_what_has_changed_is_written(
    stores: Stores, written: dict[str, list[PointId]]
) -> None:
    new = [point(POINTS + number) for number in range(3)]
    changed = [with_title(7), with_vector(8), in_other_collection(11)]
    gone = [point(number).id for number in (0, 1, 250, POINTS - 1)]
    write(stores, [*new, *changed])
    delete(stores, gone)
    written.clear()

    clone = refresh(stores)

    name = clone.qdrant_collection
    assert (clone.plan["lane"], written.keys()) == ("delta", {name, f"-{name}"})
    assert sorted(map(str, written[name])) == sorted(str(one.id) for one in [*new, *changed])
    # A point is deleted before it is written again, so that nothing of the old one stays.
    deleted = [*gone, *(one.id for one in changed)]
    assert sorted(map(str, written[f"-{name}"])) == sorted(map(str, deleted))
    assert changes(stores, clone) == (3, 3, 4, POINTS - 7)
    assert_exact(stores, clone)
    assert verify_pair(stores, None, SOURCE, NAME).equal is True


def test_of_a_source_that_has_not_changed_nothing_is_written(
    stores: Stores, written: dict[str, list[PointId]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "READ_ANEW_AFTER", timedelta(0))
    clone = refresh(stores)
    assert (clone.plan["lane"], written) == ("delta", {})
    assert changes(stores, clone) == (0, 0, 0, POINTS)
    assert_exact(stores, clone)


@pytest.mark.parametrize("refreshes", [3, pytest.param(10, marks=pytest.mark.long)])
def test_refreshes_one_after_the_other_each_begin_with_the_one_before(
    stores: Stores, refreshes: int
) -> None:
    for round in range(refreshes):
        write(stores, [with_title(round * 20 + number, f"round {round}") for number in range(6)])
        clone = refresh(stores)
        assert (clone.plan["lane"], changes(stores, clone)[1]) == ("delta", 6)
        assert_exact(stores, clone)
    with stores.catalog.read() as connection:
        kept = select(clone_digests.c.clone_id, func.count()).group_by(clone_digests.c.clone_id)
        assert [row[0] for row in connection.execute(kept)] == [clone.clone_id]


def test_what_was_live_before_is_untouched_and_can_be_gone_back_to(stores: Stores) -> None:
    write(stores, [with_title(number) for number in range(10)])
    refresh(stores)
    rollback(stores, None, NAME)
    assert verify_sealed(stores, None, NAME).unchanged is True

    # Its digests are gone: it is read beside the source.
    clone = refresh(stores)
    assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (0, 10, 0, POINTS - 10))
    assert_exact(stores, clone)


def test_a_clone_that_was_not_made_to_be_refreshed_is_read_beside_the_source(
    qdrant_url: str, tmp_path: Path, small: None
) -> None:
    with stores_with(qdrant_url, tmp_path, POINTS, **ONE_SEGMENT) as stores:
        refresh(stores, if_exists="fail")
        write(stores, [with_title(3), point(POINTS)])
        delete(stores, [point(5).id])
        clone = refresh(stores)
        assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (1, 1, 1, POINTS - 2))
        assert_exact(stores, clone)


# Half of the points name the collection, none the retriever; no other resource names one of them.
MAY_GO = {"col_2": collections, "ret_2": retrievers}


def read_rows(stores: Stores) -> dict[str, dict[str, Any]]:
    with stores.catalog.read() as connection:
        return {
            one: dict(
                connection.execute(select(table).where(is_row(connection, one))).mappings().one()
            )
            for one, table in MAY_GO.items()
        }


def leave_out(stores: Stores, rows: dict[str, dict[str, Any]], gone: set[str]) -> None:
    """These are gone from the source now, and the others there. No mark tells of either, if as many
    are there as before."""
    with stores.catalog.write() as connection:
        for one, table in MAY_GO.items():
            connection.execute(table.delete().where(is_row(connection, one)))
            if one not in gone:
                connection.execute(table.insert(), rows[one])


def is_row(connection: Connection, identifier: str) -> ColumnElement[bool]:
    table = MAY_GO[identifier]
    source = harness.namespaces.resolve(connection, None, SOURCE)
    [_, identity] = table.primary_key.columns
    return and_(table.c.namespace_key == source.key, identity == identifier)


def check_any_changes(
    qdrant_url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    numbers = st.sets(st.integers(0, 60), max_size=12)
    resources = st.sets(st.sampled_from(sorted(MAY_GO)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_POINTS_PER_SLICE", 20)
        patch.setattr(pages, "FIRST_PAGE", 7)
        patch.setattr(pages, "LARGEST_PAGE", 7)
        folder = tmp_path_factory.mktemp("delta")
        with stores_with(qdrant_url, folder, 50, **ONE_SEGMENT) as stores:
            refresh(stores)
            rows = read_rows(stores)
            for _ in range(data.draw(st.integers(1, 3))):
                gone = data.draw(resources)
                leave_out(stores, rows, gone)
                for change in (with_title, with_vector, in_other_collection, point):
                    write(stores, map(change, sorted(data.draw(numbers))))
                delete(stores, [point(number).id for number in data.draw(numbers)])
                clone = refresh(stores)
                assert clone.plan["lane"] == "delta"
                assert_exact(stores, clone, gone)


@settings(max_examples=FEW_EXAMPLES, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_changes_lead_to_what_a_copy_from_the_beginning_would_be(
    qdrant_url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    check_any_changes(qdrant_url, tmp_path_factory, data)


@pytest.mark.long
# About two refreshes each.
@settings(max_examples=EXAMPLES // 2, deadline=None, database=None)
@given(data=st.data())
def test_any_changes_lead_to_what_a_copy_from_the_beginning_would_be(
    qdrant_url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    check_any_changes(qdrant_url, tmp_path_factory, data)


def test_a_point_that_goes_after_it_was_proven_fails_the_clone(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a late request of a process that has lost its slice."""
    inner = check_points.prove_slices

    def then_lost(work: Work, sides: Any) -> None:
        inner(work, sides)
        sides.target.delete_points(sides.target_name, [point(7).id])

    write(stores, [with_title(4)])
    monkeypatch.setattr(check_points, "prove_slices", then_lost)
    with pytest.raises(VerificationFailed, match=f"{POINTS} were read, {POINTS - 1} are there"):
        refresh(stores)


# ---- when it is not worth it, or not possible ------------------------------------------------


def test_with_too_much_changed_all_points_are_streamed_after_all(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "FEW", 50)
    write(stores, [with_title(number) for number in range(61)])
    clone = refresh(stores)
    reason = "begun as delta and given up, because more than 10% of the points have changed"
    assert clone.plan["lane"] == "stream"
    assert clone.plan["lane_reason"].startswith(reason)
    assert_exact(stores, clone)


def test_what_is_live_and_was_written_to_is_no_base(stores: Stores) -> None:
    write(stores, [with_title(5)], NAME)
    clone = refresh(stores)
    assert clone.plan["lane"] == "stream"
    assert "was written to or deleted since it was proven" in clone.plan["lane_reason"]
    assert_exact(stores, clone)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_live_and_is_written_to_after_the_plan_is_no_base(
    moment: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stores, [with_title(4)])
    inner = made._copy_inside

    def copying(*parties: Any) -> Any:
        if moment == "after":
            copied = inner(*parties)
            write(stores, [with_title(5)], NAME)
            return copied
        return inner(*parties)

    monkeypatch.setattr(made, "_copy_inside", copying)
    options = {"if_exists": "replace", "include_resources": harness.everything()}
    making = Making(stores, harness.clone(stores, SOURCE, NAME, until="copy_points", **options))
    if moment == "before":
        write(stores, [with_title(5)], NAME)
    finish(making)
    clone = now(making)
    assert clone.plan["lane"] == "stream"
    assert "was written to or deleted after the plan was made" in clone.plan["lane_reason"]
    assert_exact(stores, clone)


def test_what_is_live_and_was_tampered_with_unseen_is_put_right_by_the_proof(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stores, [with_title(4)])
    tamper_unseen(stores, monkeypatch)
    clone = refresh(stores)
    assert (clone.plan["lane"], clone.status) == ("delta", "ready")
    assert_equal(Making(stores, clone))
    details = report(stores, clone, "verify_clone").details
    assert {one["id"] for one in details["differences_first"]} == {"5"}
    assert details["repaired"] == 1
    # Written to while it was proven, it is no base of another.
    assert Proof.of(report(stores, clone, "verify_clone")).last_write is None


def test_a_source_that_is_written_to_meanwhile_is_caught_up_with(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = delta.Updater.update_all

    def meanwhile(self: delta.Updater) -> None:
        inner(self)
        write(stores, [with_title(5), point(POINTS)])

    monkeypatch.setattr(delta.Updater, "update_all", meanwhile)
    write(stores, [with_title(4)])
    clone = refresh(stores)
    assert (clone.plan["lane"], changes(stores, clone)) == ("delta", (1, 2, 0, POINTS - 2))
    assert_exact(stores, clone)


# ---- broken off ------------------------------------------------------------------------------


class Broken(Exception):
    pass


def finish(making: Making) -> None:
    for one in STEPS[STEPS.index("copy_points") :]:
        making.step(one)


def now(making: Making) -> Clone:
    with making.stores.catalog.read() as connection:
        return ledger.get(connection, making.clone.clone_id)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_one_that_breaks_off_goes_on_where_it_was(
    at: int,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    written: dict[str, list[PointId]],
) -> None:
    new, gone = [point(POINTS + number) for number in range(5)], [3, 4, 301, 302]
    write(stores, [with_title(number) for number in range(0, POINTS, 25)] + new)
    delete(stores, [point(number).id for number in gone])
    options = {"if_exists": "replace", "include_resources": harness.everything()}
    making = Making(stores, harness.clone(stores, SOURCE, NAME, until="copy_points", **options))
    with monkeypatch.context() as patch:
        patch.setattr(delta, "store_slice", breaking_at(at, delta.store_slice))
        patch.setattr(delta, "workers", lambda *_: 1)
        patch.setattr(delta, "_BATCH", 5)
        with pytest.raises(Broken):
            making.step("copy_points")
    written.clear()
    finish(making)
    clone = now(making)
    assert clone.plan["lane"] == "delta"
    assert changes(stores, clone) == (5, 24, 4, POINTS - 28)
    # What was durable is not written again; with the first checkpoint nothing was.
    assert len(written[clone.qdrant_collection]) < 29 + (at == 1)
    assert_exact(stores, clone)


def breaking_at(number: int, inner: Callable[..., None]) -> Callable[..., None]:
    left = [number]

    def store(*parties: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Broken
        inner(*parties)

    return store
