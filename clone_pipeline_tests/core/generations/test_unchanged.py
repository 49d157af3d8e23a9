"""A refresh of a source that has not changed publishes nothing, and all that asks for the clone
finds what is live, whether its points were read again or left alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import Namespace
from clone_pipeline.core.catalog.schema import namespaces, retrievers
from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.generations import publish, unchanged
from clone_pipeline.core.generations.rollback import resume_refreshes, rollback
from clone_pipeline.core.generations.sweep import plan_sweep, run_sweep
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.outputs import Proof, Published
from clone_pipeline.core.refresh import quiet
from clone_pipeline.core.refresh.marks import source_mark
from clone_pipeline.core.refresh.target import read_target
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import step, verify_pair, verify_sealed

from ..points.refreshing import (
    assert_exact,
    delete,
    refresh,
    report,
    small,
    stores,
    with_title,
    write,
)
from ..verify.making import NAME, SOURCE
from ..verify.many import point

pytestmark = pytest.mark.outside

__all__ = ["small", "stores"]  # fixtures


@pytest.fixture(autouse=True, params=["read", "left-alone"])
def points_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is done with the points of a source that nobody has written to."""
    if request.param == "read":
        monkeypatch.setattr(quiet, "READ_ANEW_AFTER", timedelta(0))
    return str(request.param)


def live(stores: Stores) -> Namespace:
    with stores.catalog.read() as connection:
        return catalog.resolve(connection, None, NAME)


def generations(stores: Stores) -> list[tuple[int, str]]:
    found = live(stores)
    with stores.catalog.read() as connection:
        there = catalog.generations(connection, found.organization_id, found.name)
    return [(one.generation, one.role) for one in there]


def is_unchanged(stores: Stores, clone: Clone) -> bool:
    return Published.of(report(stores, clone, "publish_clone")).unchanged


def collections(stores: Stores) -> list[str]:
    with stores.vectors() as vectors:
        return vectors.collections()


def test_what_is_live_stays_and_is_the_clone(stores: Stores) -> None:
    before, there = live(stores), collections(stores)
    clone = refresh(stores)
    assert is_unchanged(stores, clone)
    now = live(stores)
    assert (now.clone_id, clone.namespace_key) == (clone.clone_id, before.key)
    kept = ("key", "generation", "stored", "updated_at", "created_at", "qdrant_alias")
    assert all(getattr(now, name) == getattr(before, name) for name in kept)
    # Nothing is left of the copy.
    assert (collections(stores), generations(stores)) == (there, [(1, "live")])
    assert clone.response is not None
    assert clone.response["namespace"]["namespace_id"] == now.namespace_id
    assert_exact(stores, clone)


def test_it_is_sealed_and_can_be_verified(stores: Stores) -> None:
    for _ in range(3):
        refresh(stores)
    assert verify_sealed(stores, None, NAME).unchanged is True
    assert verify_pair(stores, None, SOURCE, NAME).equal is True


def test_the_clone_before_was_published_and_is_gone(stores: Stores) -> None:
    before = live(stores).clone_id
    refresh(stores)
    with stores.catalog.read() as connection:
        clone = ledger.get(connection, str(before))
    assert (clone.status, clone.phase) == ("discarded", "published")


def test_the_way_back_is_the_one_from_before(stores: Stores) -> None:
    """Else two refreshes of nothing would take what one may go back to."""
    write(stores, [with_title(1)])
    refresh(stores)
    refresh(stores)
    refresh(stores)
    assert generations(stores) == [(2, "live"), (1, "previous")]
    assert rollback(stores, None, NAME).generation == 1


def test_a_sensor_sees_a_copy_of_the_source_as_it_is(stores: Stores) -> None:
    """Also after writes that change nothing, or else it would ask for one more and one more."""
    write(stores, [point(3)])
    clone = refresh(stores)
    assert is_unchanged(stores, clone)
    with stores.catalog.read() as connection:
        source = catalog.resolve(connection, None, SOURCE)
    mark = source_mark(stores, source, None)
    with stores.catalog.read() as connection:
        target = read_target(connection, clone.organization_id, NAME, mark)
    assert (target.clone_id, target.is_copy) == (clone.clone_id, True)
    assert target.made_at == clone.created_at


def test_it_is_the_base_of_the_next_refresh(stores: Stores) -> None:
    refresh(stores)
    write(stores, [with_title(4)])
    delete(stores, [point(9).id])
    clone = refresh(stores)
    assert (clone.plan["lane"], is_unchanged(stores, clone)) == ("delta", False)
    assert generations(stores) == [(2, "live"), (1, "previous")]
    assert_exact(stores, clone)
    assert is_unchanged(stores, refresh(stores))


# ---- what is published all the same ------------------------------------------------------------


def _edit_retriever(stores: Stores, identifier: str) -> None:
    """In place, as no mark tells."""
    with stores.catalog.write() as connection:
        mine = retrievers.c.namespace_key == catalog.resolve(connection, None, identifier).key
        row = connection.execute(retrievers.select().where(mine)).mappings().first()
        assert row is not None
        document = {**row["document"], "description": "searches otherwise"}
        one = (mine, retrievers.c.retriever_id == row["retriever_id"])
        connection.execute(update(retrievers).where(*one).values(document=document))


def _edit_source(stores: Stores) -> None:
    _edit_retriever(stores, SOURCE)


def _edit_live(stores: Stores) -> None:
    _edit_retriever(stores, NAME)


def _edit_namespace(stores: Stores) -> None:
    with stores.catalog.write() as connection:
        source = catalog.resolve(connection, None, SOURCE)
        document = {**source.document, "description": "another one"}
        mine = namespaces.c.namespace_key == source.key
        connection.execute(update(namespaces).where(mine).values(document=document))


def _go_back(stores: Stores) -> None:
    write(stores, [with_title(1)])
    refresh(stores)
    found = rollback(stores, None, NAME)
    write(stores, [point(1)])
    resume_refreshes(stores, found)


@pytest.mark.parametrize(
    "change",
    [_edit_source, _edit_namespace, _edit_live, _go_back],
    ids=lambda one: one.__name__,
)
def test_what_is_not_the_same_to_the_last_record_is_published(
    change: Callable[[Stores], None], stores: Stores
) -> None:
    change(stores)
    before = live(stores)
    clone = refresh(stores)
    assert not is_unchanged(stores, clone)
    assert live(stores).key == clone.namespace_key != before.key
    assert_exact(stores, clone)


def test_what_is_live_and_is_written_to_during_the_proof_is_replaced(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = step.is_unchanged

    def meanwhile(*parties: Any) -> bool:
        write(stores, [with_title(5, "by hand")], NAME)
        return inner(*parties)

    monkeypatch.setattr(step, "is_unchanged", meanwhile)
    clone = refresh(stores)
    assert not is_unchanged(stores, clone)
    assert_exact(stores, clone)


def test_what_is_replaced_by_another_after_the_proof_is_replaced(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "find_live", lambda *_: None)
    clone = refresh(stores)
    assert Proof.of(report(stores, clone, "verify_clone")).unchanged
    assert not is_unchanged(stores, clone)
    assert_exact(stores, clone)
    assert verify_sealed(stores, None, NAME).unchanged is True


# ---- cut off -----------------------------------------------------------------------------------


def test_what_is_left_of_the_copy_goes_with_the_next_sweep(
    stores: Stores, points_are: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = collections(stores)

    def away(*_: Any) -> None:
        raise StoreUnavailable("Qdrant is away.")

    with monkeypatch.context() as patch:
        patch.setattr(unchanged, "remove", away)
        clone = refresh(stores)
    assert is_unchanged(stores, clone)
    assert len(collections(stores)) == len(there) + (points_are == "read")
    assert generations(stores) == [(2, "previous"), (1, "live")]
    assert_exact(stores, clone)
    # It is no newer generation.
    assert is_unchanged(stores, refresh(stores))

    run_sweep(stores, None, {}, plan_sweep(stores, None, {}))
    assert (collections(stores), generations(stores)) == (there, [(1, "live")])
    assert_exact(stores, refresh(stores))
