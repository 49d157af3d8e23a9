"""`diff` between two environments: what differs, and nothing that any clone differs in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.stores import Stores

from .. import harness
from ..cli.conftest import dagster_home
from ..cli.running import run
from ..sources import ID, one_of_each
from .two import PRODUCTION, STAGING, two_deployments

__all__ = ["dagster_home"]  # fixture

pytestmark = pytest.mark.outside

EVERYTHING = {"collections": True, "retrievers": True, "taxonomies": True}
CONNECTED = {"source_adapter": {"connection_id": "conn_1"}}


@pytest.fixture
def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dagster_home: Path
) -> Iterator[tuple[Stores, Stores]]:
    """Production, and staging as the variables describe it, with a clone of `prod` in it."""
    source = one_of_each(bucket=CONNECTED)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / STAGING))
    monkeypatch.setenv("CLONE_ENVIRONMENTS", str(tmp_path / "environments.yaml"))
    with two_deployments(tmp_path, source) as (production, staging):
        harness.clone(
            staging,
            "prod",
            "prod",
            source_environment=PRODUCTION,
            include_resources=EVERYTHING,
        )
        yield production, staging


def found(*names: str) -> list[dict[str, Any]]:
    said = run("diff", *names, "--json")
    assert said.code == 0, said.stderr
    differences: list[dict[str, Any]] = said.json["differences"]
    return differences


@pytest.mark.usefixtures("both")
def test_a_clone_differs_in_nothing_from_its_source_elsewhere() -> None:
    """Though both are called the same, and the clone lacks what the other environment has."""
    for names in (("production:prod", "prod"), ("default:prod", "production:prod")):
        assert found(*names) == []
    shown = run("--environment", PRODUCTION, "diff", "prod", "default:prod").stdout
    assert "Nothing differs between prod and default:prod." in shown


def test_what_is_changed_on_one_side_is_told_on_that_side(both: tuple[Stores, Stores]) -> None:
    production, _ = both
    with production.catalog.write() as connection:
        [row] = connection.execute(select(schema.buckets.c.document))
        described = {**row.document, "description": "changed since"}
        connection.execute(update(schema.buckets).values(document=described))
    with production.vectors() as vectors:
        [point] = vectors.scroll(ID, 1).points
        vectors.upsert(ID, [point._replace(payload={**point.payload, "new": 1})])
    places = {(one["kind"], one["field"], one["first"]) for one in found("production:prod", "prod")}
    assert places == {("bucket", "description", "changed since"), ("point", "payload.new", "1")}
    seconds = {one["second"] for one in found("prod", "production:prod")}
    assert seconds == {"changed since", "1"}


def test_what_has_the_id_of_the_source_in_another_environment_is_not_the_source(
    both: tuple[Stores, Stores],
) -> None:
    """So that what was cleared on the way is a difference to it."""
    _, staging = both
    harness.load(staging, one_of_each(namespace={"namespace_name": "twin"}, bucket=CONNECTED))
    assert ("bucket", "source_adapter") in {
        (one["kind"], one["field"].partition(".")[0]) for one in found("twin", "prod")
    }
