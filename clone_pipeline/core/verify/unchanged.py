"""Whether a proven refresh is, to the last record, what it would replace."""

from __future__ import annotations

from ..catalog import namespaces as catalog
from ..generations.unchanged import find_live, is_same
from ..ledger.work import Work
from ..points.stream import read_progress
from .records import Records, read_records


def is_unchanged(work: Work, proven: Records) -> bool:
    """`proven` is what the clone has in the catalog. Only a clone that began with what is live (the
    lane `delta`) can be; its points are, where nothing was written to the copy of them.

    Raises StoreUnavailable.
    """
    base = work.clone.plan["base"]
    if base is None or work.request.verify != "full" or read_progress(work).changes.total():
        return False
    with work.stores.catalog.read() as connection:
        live = find_live(connection, work)
        if live is None or not is_same(live, catalog.by_key(connection, work.clone.namespace_key)):
            return False
        there = read_records(connection, live).digests
        own = {"namespace": proven.digests["namespace"]}  # compared by `is_same`
        if there | own != proven.digests or live.qdrant_config != work.clone.plan["qdrant_config"]:
            return False
    name = base["qdrant_collection"]
    with work.stores.vectors() as target:
        if not target.exists(name):
            return False
        if target.read_config(name) != target.kept_config(work.clone.plan["qdrant_config"]):
            return False
        # Last of all: what is live may be somebody's to write to.
        return target.last_write(name) == base["last_write"]
