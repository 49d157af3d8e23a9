"""What a refresh reads of its target, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.generations.rollback import resume_refreshes, rollback
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.refresh import marks
from clone_pipeline.core.refresh.decide import Target
from clone_pipeline.core.refresh.marks import SourceMark
from clone_pipeline.core.refresh.target import read_target
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    with harness.holding(tmp_path, sample(), catalog_url=catalog_url) as stores:
        yield stores


def target(stores: Stores, name: str = "staging", *more: Any) -> Target:
    with stores.catalog.read() as connection:
        organization_id = namespaces.resolve(connection, None, "prod").organization_id
        return read_target(connection, organization_id, name, *more)


def mark(stores: Stores, points: str | None = None) -> SourceMark:
    with stores.catalog.read() as connection:
        source = namespaces.resolve(connection, None, "prod")
        return SourceMark(marks.catalog_mark(connection, source), points)


def test_a_target_is_a_copy_of_the_source_that_it_was_planned_from(stores: Stores) -> None:
    planned_from = mark(stores)
    clone = harness.clone(stores, "prod", "staging")
    points = clone.plan["source_mark"]
    assert target(stores, "staging", planned_from).is_copy is True
    assert target(stores, "staging", SourceMark(planned_from.catalog, points)).is_copy is True
    assert target(stores, "staging", SourceMark("other", points)).is_copy is False
    # It was planned when the store did not tell its last write, only its number of points.
    assert target(stores, "staging", SourceMark(planned_from.catalog, "[[0, 7]]")).is_copy is None
    with stores.catalog.write() as connection:
        plan = clone.plan | {"source_mark": "[[0, 6]]"}
        connection.execute(update(clones).values(plan=plan))
    assert target(stores, "staging", SourceMark(planned_from.catalog, "[[0, 7]]")).is_copy is False
    assert target(stores, "staging", SourceMark(planned_from.catalog, "[[0, 6]]")).is_copy is True
    assert target(stores).made_at == clone.created_at


def test_a_copy_without_what_the_policy_wants_is_not_the_one_it_wants(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging", max_points_per_second=100)
    asked: dict[str, Any] = {"namespace_identifier": "prod", "namespace_name": "staging"}
    wanted = parse_request(asked | {"if_exists": "replace", "verify": "counts"})
    assert target(stores, "staging", mark(stores), wanted).as_wanted
    more = parse_request(asked | {"include_resources": {"taxonomies": True}})
    assert not target(stores, "staging", mark(stores), more).as_wanted


def test_what_no_clone_has_made_is_a_copy_of_nothing(stores: Stores) -> None:
    assert target(stores, "absent") == Target("absent")
    plain = target(stores, "prod", mark(stores))
    assert (plain.clone_id, plain.is_copy, plain.held) == (None, False, False)
    assert plain.made_at is not None


@pytest.mark.outside
def test_a_rollback_holds_and_a_resume_ends_the_hold_until_the_next_rollback(
    stores: Stores,
) -> None:
    harness.clone(stores, "prod", "staging")
    harness.clone(stores, "prod", "staging", if_exists="replace")
    for _ in "twice":
        live = rollback(stores, None, "staging")
        assert target(stores).held
        resume_refreshes(stores, live)
        assert not target(stores).held
        assert target(stores).rolled_back
        rollback(stores, None, "staging", to=2)
        assert not target(stores).held
        assert not target(stores).rolled_back
        rollback(stores, None, "staging")
        assert target(stores).held
        rollback(stores, None, "staging", to=2)


@pytest.mark.outside
def test_what_is_left_of_a_refresh_is_not_gone_on_with_after_a_rollback(stores: Stores) -> None:
    refresh: dict[str, Any] = {"if_exists": "replace"}
    for _ in "twice":
        harness.clone(stores, "prod", "staging", **refresh)
    died = harness.clone(stores, "prod", "staging", **refresh, run_id="died", until="verify_clone")
    ledger.fail(stores, died.clone_id, "died", "The disk was full.")
    rollback(stores, None, "staging")
    again = harness.clone(stores, "prod", "staging", **refresh)
    assert again.clone_id != died.clone_id


def test_what_is_brought_back_expires_when_the_present_one_would_have(stores: Stores) -> None:
    harness.clone(stores, "prod", "staging", ttl_seconds=60)
    harness.clone(stores, "prod", "staging", if_exists="replace")
    assert rollback(stores, None, "staging").expires_at is None


def test_the_time_zone_of_the_database_is_no_change_of_the_source(
    stores: Stores, catalog_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mark(stores)
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    other = Catalog.open(catalog_url)
    try:
        assert mark(replace(stores, catalog=other)) == before
    finally:
        other.close()
