"""What must be true after a clone, however often it was killed on the way there."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair
from clone_pipeline_tests import harness
from clone_pipeline_tests.core.bundle.samples import exact, read_bundle, rows
from clone_pipeline_tests.sources import Files

from . import bundles
from .place import Place

# What belongs to one namespace and is not cloned.
_OWN = {
    "namespace.json": ("namespace_name", "infrastructure", "created_at", "updated_at"),
}
_COSINE = "text"
_RECORDS = ("buckets", "objects", "collections", "retrievers", "taxonomies")


@dataclass(frozen=True)
class Source:
    """Everything that is stored of the source: its rows, its points' bytes, its dump.

    `dump` is without the order of keys, which a server changes when it is started anew.
    """

    rows: str
    stored_points: tuple[tuple[str, bytes], ...]
    dump: dict[str, list[str]]


def look_at_source(place: Place, folder: Path) -> Source:
    """Call it while nothing has the embedded Qdrant open; `folder` is for the dump."""
    with place.stores() as stores:
        dumped = harness.dump(stores, bundles.NAME, folder)
        files = read_bundle(dumped)
        lines = {
            name: [exact(one) for one in (content if isinstance(content, list) else [content])]
            for name, content in files.items()
        }
        return Source(_rows_of(stores.catalog), _stored_points(place), lines)


def _rows_of(catalog: Catalog) -> str:
    with catalog.read() as connection:
        key = connection.execute(
            select(schema.namespaces.c.namespace_key).where(
                schema.namespaces.c.namespace_id == bundles.NAMESPACE
            )
        ).scalar_one()
        found = {
            table.name: sorted(
                repr(tuple(row))
                for row in connection.execute(select(table).where(table.c.namespace_key == key))
            )
            for table in (schema.namespaces, *(getattr(schema, name) for name in _RECORDS))
        }
        found["organizations"] = [
            repr(tuple(row)) for row in connection.execute(select(schema.organizations))
        ]
    return json.dumps(found)


def _stored_points(place: Place) -> tuple[tuple[str, bytes], ...]:
    path = place.home / "qdrant" / "collection" / bundles.QDRANT / "storage.sqlite"
    if not path.exists():
        return ()
    connection = sqlite3.connect(path)
    try:
        return tuple(connection.execute("SELECT id, point FROM points ORDER BY id"))
    finally:
        connection.close()


def find_clones(stores: Stores, name: str) -> list[Clone]:
    """All that the ledger has of a name, oldest first."""
    query = (
        select(schema.clones)
        .where(schema.clones.c.namespace_name == name)
        .order_by(schema.clones.c.created_at)
    )
    with stores.catalog.read() as connection:
        return [Clone.of(row) for row in connection.execute(query).mappings()]


def status(place: Place, name: str) -> str | None:
    """The ledger's word on the newest clone of a name; None where there is none."""
    if not (place.home / "catalog.db").exists():
        return None
    with place.stores() as stores:
        found = find_clones(stores, name)
    return found[-1].status if found else None


def assert_whole(place: Place, name: str, before: Source, scratch: Path) -> None:
    """One clone stands, ready, equal to its source; the source is as it was; nothing is left."""
    scratch.mkdir(parents=True)
    after = look_at_source(place, scratch / "source")
    assert after.rows == before.rows
    assert after.stored_points == before.stored_points
    assert after.dump == before.dump
    with place.stores() as stores:
        made = [clone for clone in find_clones(stores, name) if clone.status != "discarded"]
        assert [clone.status for clone in made] == ["ready"]
        copy = read_bundle(harness.dump(stores, name, scratch / "copy"))
        source = read_bundle(scratch / "source")
        if stores.vector_address.url is not None:
            # A server tells more than was asked for; `verify_pair` below compares what it tells.
            del source["qdrant.json"], copy["qdrant.json"]
        assert_rewritten(source, copy, made[0])
        _assert_nothing_left(stores, made[0], before)
        verdict = verify_pair(stores, None, bundles.NAME, name)
        assert (verdict.equal, verdict.unchanged) == (True, True), verdict.sentence
        collections = {bundles.QDRANT, made[0].qdrant_collection}
    _assert_qdrant_holds(place.home / "qdrant", collections)


def assert_rewritten(source: Files, copy: Files, clone: Clone) -> None:
    """The copy is the source with each id of the ledger's map replaced, and nothing else."""
    expected = json.loads(_replaced(json.dumps(source), clone.plan["ids"]))
    assert copy.keys() == expected.keys()
    for file in expected:
        left, right = _comparable(file, expected[file]), _comparable(file, copy[file])
        if file == "points.jsonl":
            _assert_same_cosine_vectors(left, right)
        assert exact(right) == exact(left), file
    assert copy["namespace.json"]["infrastructure"]["qdrant_collection"] == clone.qdrant_collection


def _replaced(text: str, ids: dict[str, Any]) -> str:
    pairs = dict([ids["namespace"]])
    for of_kind in ids["ids"].values():
        pairs |= of_kind
    for old, new in pairs.items():
        assert old != new
        text = text.replace(old, new)
    return text


def _comparable(file: str, content: Any) -> Any:
    """Records in the order of their ids, which are others in the clone."""
    if isinstance(content, list):
        return sorted(content, key=lambda document: exact(_identity(document)))
    return {key: value for key, value in content.items() if key not in _OWN.get(file, ())}


def _identity(document: dict[str, Any]) -> list[Any]:
    if "payload" in document:
        return [document["id"]]
    for kind in ("object", "bucket", "collection", "retriever", "taxonomy"):
        if f"{kind}_id" in document:
            return [document[f"{kind}_id"], document.get("version")]
    raise AssertionError(document)


def _assert_same_cosine_vectors(
    expected: list[dict[str, Any]], actual: list[dict[str, Any]]
) -> None:
    """The embedded store has two spellings of them; taken out of both sides once compared."""
    assert len(expected) == len(actual)
    for left, right in zip(expected, actual, strict=True):
        one, other = (_unit(point["vector"].pop(_COSINE, [])) for point in (left, right))
        assert len(one) == len(other)
        assert all(
            math.isclose(a, b, rel_tol=0, abs_tol=1e-6) for a, b in zip(one, other, strict=True)
        )


def _unit(vector: list[float]) -> list[float]:
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector]


def _assert_nothing_left(stores: Stores, clone: Clone, before: Source) -> None:
    objects = len(before.dump["objects.jsonl"])
    records = {**bundles.ROWS, "objects": objects}
    found = rows(stores.catalog)
    with stores.catalog.read() as connection:
        reports = ledger.read_reports(connection, clone.clone_id)
        slices = connection.execute(select(schema.clone_slices)).mappings().all()
    assert found == {
        "organizations": 1,
        "namespaces": 2,
        **{name: 2 * count for name, count in records.items()},
        "clones": found["clones"],
        "clone_resources": 1 + sum(bundles.ROWS.values()),
        "clone_steps": found["clone_steps"],
        "clone_runs": found["clone_runs"],
        "clone_attempts": found["clone_attempts"],
        "clone_slices": clone.plan["slices"],
    }
    assert set(reports) == set(STEPS)
    assert {(row["clone_id"], row["done"]) for row in slices} == {(clone.clone_id, True)}
    assert clone.holder_pid is None
    assert clone.holder_host is None


def _assert_qdrant_holds(folder: Path, collections: set[str]) -> None:
    if not folder.exists():
        return
    assert {path.name for path in (folder / "collection").iterdir()} == collections
    meta = json.loads((folder / "meta.json").read_text())
    assert set(meta["collections"]) == collections
