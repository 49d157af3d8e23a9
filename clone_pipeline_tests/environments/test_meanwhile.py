"""In another environment nobody holds the source: what happens to it meanwhile is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import CloneError, Conflict, InvalidRequest
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores

from .. import harness
from ..sources import ID, one_of_each
from .two import PRODUCTION, two_deployments


def delete_row(production: Stores) -> None:
    with production.catalog.write() as connection:
        for table in (schema.objects, schema.buckets, schema.collections, schema.retrievers):
            connection.execute(delete(table))
        connection.execute(delete(schema.taxonomies))
        connection.execute(delete(schema.namespaces))


def mark_deleted(production: Stores) -> None:
    with production.catalog.write() as connection:
        connection.execute(update(schema.namespaces).values(clone_status="deleting"))


def drop_points(production: Stores) -> None:
    with production.vectors() as vectors:
        vectors.delete(ID)


def go_on(staging: Stores, clone: Clone) -> None:
    assert clone.run_id is not None
    for step in STEPS[1:]:
        run_step(staging, clone.clone_id, clone.run_id, step, process_goes_on=True)


@pytest.mark.parametrize("gone", [delete_row, mark_deleted])
@pytest.mark.parametrize("step", ["clone_buckets", "copy_points", "verify_clone"])
def test_a_source_that_goes_meanwhile_is_told_and_nothing_is_published(
    gone: Callable[[Stores], None], step: str, tmp_path: Path
) -> None:
    with two_deployments(tmp_path, one_of_each()) as (production, staging):
        begun = harness.clone(staging, "prod", "copy", source_environment=PRODUCTION, until=step)
        gone(production)
        with pytest.raises(Conflict, match="not in the environment 'production' any more"):
            go_on(staging, begun)
        with staging.catalog.read() as connection:
            assert ledger.get(connection, begun.clone_id).status == "cloning"
            (row,) = catalog.list_all(connection, None)
    assert row.clone_status == "cloning"


def test_points_that_go_meanwhile_are_told(tmp_path: Path) -> None:
    with two_deployments(tmp_path, one_of_each()) as (production, staging):
        options = {"source_environment": PRODUCTION, "until": "copy_points"}
        begun = harness.clone(staging, "prod", "copy", **options)
        drop_points(production)
        with pytest.raises(CloneError, match=ID):
            go_on(staging, begun)


def test_a_clone_is_not_gone_on_with_where_its_source_has_another_catalog(tmp_path: Path) -> None:
    """Another deployment may call something else by the same name."""
    with two_deployments(tmp_path, one_of_each()) as (_, staging):
        options = {"source_environment": PRODUCTION, "until": "copy_points"}
        begun = harness.clone(staging, "prod", "copy", **options)
        with staging.catalog.write() as connection:
            plan = {**begun.plan, "source": {**begun.plan["source"], "catalog": "sqlite 0 0"}}
            connection.execute(update(schema.clones).values(plan=plan))
        with pytest.raises(InvalidRequest, match="another deployment calls 'production'"):
            go_on(staging, begun)


def test_a_source_that_nothing_is_known_of_holds_nothing_here(tmp_path: Path) -> None:
    """Keys count in each catalog from 1, so another environment's may be any namespace's here."""
    with two_deployments(tmp_path, one_of_each()) as (_, staging):
        harness.load(
            staging, one_of_each(namespace={"namespace_id": "ns_own", "namespace_name": "own"})
        )
        begun = harness.clone(
            staging, "prod", "copy", source_environment=PRODUCTION, until="copy_points"
        )
        with staging.catalog.read() as connection:
            own = catalog.resolve(connection, None, "own")
            assert own.key == begun.source_namespace_key
            ledger.refuse_in_use(connection, own, staging.clock())


def test_nothing_is_written_through_the_catalog_of_another_environment(tmp_path: Path) -> None:
    with two_deployments(tmp_path, one_of_each()) as (_, staging):
        there = staging.source(PRODUCTION)
        with pytest.raises(CloneError, match=r"readonly|read-only"), there.catalog.write() as write:
            write.execute(update(schema.namespaces).values(clone_status="failed"))
