"""What a refresh reads of its target, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clone_pipeline.core import watch
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.publish import resume_refreshes, rollback
from clone_pipeline.core.refresh import Target
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import sample, write_bundle


@pytest.fixture
def stores(tmp_path: Path, catalog_url: str) -> Iterator[Stores]:
    with harness.open_stores(tmp_path, catalog_url) as stores:
        harness.load(stores, write_bundle(tmp_path / "bundle", sample()))
        yield stores


def target(stores: Stores, name: str = "staging", *, with_points: bool = False) -> Target:
    with stores.catalog.read() as connection:
        organization_id = namespaces.resolve(connection, None, "prod").organization_id
        return watch.read_target(connection, organization_id, name, with_points=with_points)


def test_a_target_knows_the_mark_of_the_source_that_it_was_planned_from(stores: Stores) -> None:
    with stores.catalog.read() as connection:
        source = watch.catalog_mark(connection, namespaces.resolve(connection, None, "prod"))
    clone = harness.clone(stores, "prod", "staging")
    assert target(stores).copied == watch.mark(source, None)
    points = watch.mark(source, clone.plan["source_mark"])
    assert target(stores, with_points=True).copied == points
    assert target(stores).made_at == clone.created_at


def test_what_no_clone_has_made_is_a_copy_of_nothing(stores: Stores) -> None:
    assert target(stores, "absent") == Target()
    plain = target(stores, "prod")
    assert (plain.clone_id, plain.copied, plain.held) == (None, None, False)
    assert plain.made_at is not None


def test_a_rollback_holds_and_a_resume_ends_the_hold_until_the_next_rollback(
    stores: Stores,
) -> None:
    harness.clone(stores, "prod", "staging")
    harness.clone(stores, "prod", "staging", if_exists="replace")
    for _ in "twice":
        live = rollback(stores, None, "staging")
        assert (target(stores).rolled_back, target(stores).held) == (True, True)
        resume_refreshes(stores, live)
        assert (target(stores).rolled_back, target(stores).held) == (True, False)
        rollback(stores, None, "staging", to=2)
        assert (target(stores).rolled_back, target(stores).held) == (False, False)
