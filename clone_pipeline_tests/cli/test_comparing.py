"""`diff A B`: what differs, by name and field, and nothing that any clone differs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import WEBHOOK_SECRET, contents
from clone_pipeline_tests.cli.running import run

pytestmark = pytest.mark.outside


def found(*arguments: str) -> set[tuple[str, ...]]:
    answer = run("diff", *arguments, "--json")
    assert answer.code == 0
    rows = answer.json["differences"]
    assert answer.json["equal"] is (rows == [])
    assert sum(answer.json["counts"].values()) == len(rows)
    return {
        tuple(str(row[key]) for key in ("kind", "name", "field", "first", "second")) for row in rows
    }


def points(*arguments: str) -> dict[str, int] | None:
    """Whole points, by what has happened to them."""
    changes: dict[str, int] | None = run("diff", *arguments, "--json").json["points"]
    return changes


def change(home: Path, name: str) -> None:
    """Somebody works in a namespace: renames a retriever, drops an object, edits a bucket, a point
    and a vector."""
    with harness.open_stores(home) as stores:
        with stores.catalog.write() as connection:
            mine = namespaces.resolve(connection, None, name)
            retrievers, buckets, objects = schema.retrievers, schema.buckets, schema.objects
            every = retrievers.c.namespace_key == mine.key
            connection.execute(update(retrievers).where(every).values(retriever_name="find"))
            texts = (buckets.c.namespace_key == mine.key, buckets.c.bucket_name == "texts")
            document = connection.execute(select(buckets.c.document).where(*texts)).scalar_one()
            described = {**document, "description": "mine"}
            connection.execute(update(buckets).where(*texts).values(document=described))
            there = select(func.min(objects.c.object_id)).where(objects.c.namespace_key == mine.key)
            first = objects.c.object_id == connection.execute(there).scalar_one()
            connection.execute(delete(objects).where(objects.c.namespace_key == mine.key, first))
        with stores.vectors() as vectors:
            [point] = vectors.retrieve(mine.qdrant_collection, [1])
            payload: dict[str, Any] = {**point.payload, "title": "another"}
            changed = point._replace(payload=payload, vectors={"text": [9.0, 9.0, 9.0]})
            vectors.upsert(mine.qdrant_collection, [changed])
            vectors.delete_points(mine.qdrant_collection, [4])


@pytest.mark.usefixtures("home")
def test_a_clone_differs_in_nothing_from_its_source_whatever_was_cleared() -> None:
    """Also not with other ids, and not from another namespace with the same in it."""
    assert run("plan", "prod", "new", "--json").json["reference_counts"]["cleared"] > 0
    # It was made without taxonomies.
    assert {kind for kind, *_ in found("prod", "staging")} == {"taxonomy"}
    assert found("prod", "plain") == set()
    shown = run("diff", "prod", "plain").stdout
    assert "Nothing differs between prod and plain." in shown
    assert "Points in B against A: 0 inserted, 0 changed, 0 deleted, " in shown


def test_points_are_counted_by_what_has_happened_to_them(home: Path) -> None:
    """Each once, in however many places it differs."""
    assert run("clone", "prod", "fork").code == 0
    untouched = points("prod", "fork")
    assert untouched is not None
    all_of_them = untouched["unchanged"]
    assert untouched == {"inserted": 0, "changed": 0, "deleted": 0, "unchanged": all_of_them}
    change(home, "fork")
    changed = {"inserted": 0, "changed": 1, "deleted": 1, "unchanged": all_of_them - 2}
    assert points("prod", "fork") == changed
    assert points("fork", "prod") == {**changed, "inserted": 1, "deleted": 0}
    # Of two clones, neither of which was made of the other.
    assert points("plain", "fork") == changed
    assert points("prod", "fork", "--no-points") is None
    told = f"Points in B against A: 0 inserted, 1 changed, 1 deleted, {all_of_them - 2} unchanged."
    assert told in run("diff", "prod", "fork").stdout
    assert "Points in" not in run("diff", "prod", "fork", "--no-points").stdout


def test_what_was_done_in_a_fork_is_named(home: Path) -> None:
    assert run("clone", "prod", "fork", "--taxonomies").code == 0
    assert found("prod", "fork") == set()
    change(home, "fork")
    before = contents(home)
    [gone] = [name for kind, name, *_ in found("prod", "fork") if kind == "object"]
    assert {row for row in found("prod", "fork") if row[0] not in ("object", "bucket")} == {
        ("retriever", "find", "retriever_name", "search", "find"),
        ("point", "1", "payload.title", "document 1", "another"),
        ("point", "1", "vector text[0]", "(a vector)", "(another)"),
        ("point", "4", "", "there", "None"),
    }
    assert ("bucket", "texts", "description", "None", "mine") in found("prod", "fork")
    # The other way round, and without points.
    back = found("fork", "prod", "--no-points")
    assert ("retriever", "search", "retriever_name", "find", "search") in back
    assert "point" not in {row[0] for row in back}
    shown = run("diff", "prod", "fork").stdout
    assert "Differences (A is prod, B is fork)" in shown
    assert f"object {gone}" in shown
    assert "places in all: " in shown
    assert WEBHOOK_SECRET not in shown
    assert contents(home) == before
