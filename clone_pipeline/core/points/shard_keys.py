"""Shard keys that come and go while a source with custom sharding is copied."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select, update

from ..catalog.schema import clone_slices, clones, namespaces
from ..ledger.work import Work
from ..vectors.slices import Slice, shard_keys
from .sides import Sides
from .stream import read_slices, slice_of


def follow_shard_keys(work: Work, sides: Sides) -> bool:
    """Gives the target the shard keys that the source has now, and says whether it had others: an
    added one has a slice from now on, which is not copied yet; one that is gone is taken away with
    its points.

    The plan's configuration says so too, so that the proof expects them. Nothing happens where
    there is no custom sharding. Raises what the stores raise, LeaseLost.
    """
    if shard_keys(work.clone.plan["qdrant_config"]) is None:
        return False
    name, rows = work.clone.qdrant_collection, read_slices(work)
    planned = {slice_of(row).shard_key for row in rows}
    config = sides.retry(lambda: sides.source.read_config(sides.source_name))
    entries = config.get("shard_keys", [])
    now = {entry["shard_key"]: entry for entry in entries}
    if now.keys() == planned:
        return False
    work.lease.check()
    sides.retry(lambda: sides.target.set_shard_keys(name, entries))
    gone = [row["slice"] for row in rows if slice_of(row).shard_key not in now]
    free = max((row["slice"] for row in rows), default=-1) + 1
    added = [
        Slice(index, shard_key=key)
        for index, key in enumerate((key for key in now if key not in planned), free)
    ]
    mine = clone_slices.c.clone_id == work.clone.clone_id
    with work.lease.write() as connection:
        connection.execute(delete(clone_slices).where(mine, clone_slices.c.slice.in_(gone)))
        if added:
            connection.execute(
                insert(clone_slices), [one.to_row(work.clone.clone_id) for one in added]
            )
        this = clones.c.clone_id == work.clone.clone_id
        plan: Any = connection.execute(select(clones.c.plan).where(this)).scalar_one()
        plan["qdrant_config"] = _following(plan["qdrant_config"], now)
        connection.execute(update(clones).where(this).values(plan=plan))
        connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == work.clone.namespace_key)
            .values(qdrant_config=plan["qdrant_config"])
        )
    return True


def _following(config: dict[str, Any], now: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """The configuration with the keys that there are now; a key that was there already has as many
    shards as it was made with."""
    made = {entry["shard_key"]: entry for entry in config.get("shard_keys", [])}
    return config | {"shard_keys": [made.get(key, entry) for key, entry in now.items()]}
