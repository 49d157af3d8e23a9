"""A whole clone without Dagster: the stores of a folder, and every step of the core in turn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import insert, select

from clone_pipeline.core import bundle, steps
from clone_pipeline.core.catalog import namespaces, schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import begin
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline_tests.sources import Files, write_bundle

_runs = itertools.count(1)


def new_catalog(path: Path) -> str:
    """The URL of the SQLite catalog there; where none is yet, of one with its tables and no rows.

    Making them takes longer than most of what is done with them, so they are copied.
    """
    if path.parent.exists() and not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_empty_catalog())
    return f"sqlite:///{path}"


@cache
def _empty_catalog() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        Catalog.open(path).close()
        return path.read_bytes()


@contextmanager
def open_stores(home: Path, catalog_url: str | None = None, **more: Any) -> Iterator[Stores]:
    """Stores below a folder, as the embedded defaults have them; the catalog may be elsewhere."""
    catalog = Catalog.open(catalog_url or new_catalog(home / "catalog.db"))
    try:
        where = {"vector_address": VectorAddress(folder=home / "qdrant")}
        yield Stores(catalog=catalog, **{**where, **more})
    finally:
        catalog.close()


@contextmanager
def holding(
    home: Path, *sources: Files | Path, catalog_url: str | None = None, **more: Any
) -> Iterator[Stores]:
    """Stores below a folder that hold these namespaces; `more` is for the stores."""
    home.mkdir(parents=True, exist_ok=True)
    with open_stores(home, catalog_url, **more) as stores:
        for one in sources:
            load(stores, one)
        yield stores


def load(stores: Stores, source: Files | Path) -> str:
    """Loads a namespace, given as documents or as a bundle's folder, and returns its id."""
    return load_report(stores, source).namespace_id


def load_report(stores: Stores, source: Files | Path) -> bundle.LoadReport:
    now = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    with TemporaryDirectory() as folder, stores.vectors() as vectors:
        path = source if isinstance(source, Path) else write_bundle(Path(folder), source)
        return bundle.load(path, stores.catalog, vectors, now)


def dump(stores: Stores, identifier: str, folder: Path) -> Path:
    with stores.catalog.read() as connection:
        found = namespaces.resolve(connection, None, identifier)
    with stores.vectors() as vectors:
        bundle.dump(stores.catalog, vectors, found.key, folder)
    return folder


def new_run() -> str:
    return f"run-{next(_runs)}"


def clone(
    stores: Stores,
    source: str,
    name: str,
    *,
    principal: Principal = LOCAL_OPERATOR,
    run_id: str | None = None,
    until: str | None = None,
    policy: str | None = None,
    **options: Any,
) -> Clone:
    """Begins a clone and runs its steps, as the job does; `until` stops before that step."""
    run_id = run_id or new_run()
    request = parse_request({"namespace_identifier": source, "namespace_name": name, **options})
    begun = begin.begin(stores, request, principal, run_id, policy=policy)
    for step in STEPS[1:]:
        if step == until:
            break
        try:
            steps.run_step(stores, begun.clone_id, run_id, step, process_goes_on=True)
        except CloneError as error:
            ledger.fail(stores, begun.clone_id, run_id, error.message)
            raise
    with stores.catalog.read() as connection:
        return ledger.get(connection, begun.clone_id)


def remove_collections(stores: Stores) -> None:
    """Of every namespace and every clone: the Qdrant server may be somebody's own."""
    with stores.catalog.read() as connection:
        names = set(connection.execute(select(schema.clones.c.qdrant_collection)).scalars())
        for document in connection.execute(select(schema.namespaces.c.document)).scalars():
            names.add(document["infrastructure"]["qdrant_collection"])
    with stores.vectors() as vectors:
        for name in names:
            vectors.delete(name)


def everything() -> dict[str, bool]:
    """`include_resources` with all of them."""
    return {"collections": True, "retrievers": True, "taxonomies": True}


def same_organizations(source: Stores, target: Stores, internal_id: str) -> None:
    """Makes the organizations of one catalog in another, where they are not there yet;
    `internal_id` makes their internal ids of the old ones."""
    query = select(schema.organizations)
    with source.catalog.read() as connection:
        found = connection.execute(query).mappings().all()
    with target.catalog.write() as connection:
        there = {row["organization_id"] for row in connection.execute(query).mappings()}
        for row in found:
            own = {**row, "internal_id": internal_id.format(row["internal_id"])}
            if row["organization_id"] not in there:
                connection.execute(insert(schema.organizations).values(own))
