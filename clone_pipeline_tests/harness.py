"""A whole clone without Dagster: the stores of a folder, and every step of the core in turn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from clone_pipeline.core import bundle, ledger, reserve
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.ledger import Clone
from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal
from clone_pipeline.core.report import STEPS
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores, VectorAddress

_runs = itertools.count(1)


@contextmanager
def open_stores(home: Path, catalog_url: str | None = None, **more: Any) -> Iterator[Stores]:
    """Stores below a folder, as the embedded defaults have them; the catalog may be elsewhere."""
    catalog = Catalog.open(catalog_url or f"sqlite:///{home / 'catalog.db'}")
    try:
        where = {"vector_address": VectorAddress(folder=home / "qdrant")}
        yield Stores(catalog=catalog, **{**where, **more})
    finally:
        catalog.close()


def load(stores: Stores, folder: Path) -> str:
    """Loads a bundle and returns its namespace's id."""
    with stores.vectors() as vectors:
        now = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
        return bundle.load(folder, stores.catalog, vectors, now).namespace_id


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
    begun = reserve.begin(stores, request, principal, run_id, policy=policy)
    for step in STEPS[1:]:
        if step == until:
            break
        try:
            run_step(stores, begun.clone_id, run_id, step, process_goes_on=True)
        except CloneError as error:
            ledger.fail(stores, begun.clone_id, run_id, error.message)
            raise
    with stores.catalog.read() as connection:
        return ledger.get(connection, begun.clone_id)


def everything() -> dict[str, bool]:
    """`include_resources` with all of them."""
    return {"collections": True, "retrievers": True, "taxonomies": True}
