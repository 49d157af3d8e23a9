"""The step `copy_points`: every point of the source, as it must stand in the clone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping, select, update

from .catalog.schema import clone_resources, clone_slices, clones
from .errors import WorkError
from .report import LISTED, StepReport
from .reserve import rename_collection
from .vectors.catchup import catch_up
from .vectors.compare import Sides
from .vectors.equality import rule
from .vectors.patience import Patience
from .vectors.port import VectorStore
from .vectors.progress import Progress
from .vectors.stream import Copier, read_progress, read_slices, workers
from .work import Work


def copy_points(work: Work) -> StepReport:
    """Makes the target's Qdrant collection and copies the points of every slice that is not done;
    then once more what the source has changed meanwhile.

    Raises LeaseLost when another run has taken over, StoreUnavailable, StorageFailed.
    """
    patience = patience_of(work)
    with work.stores.vectors() as target, work.source_vectors(target) as source:
        if not work.request.include_resources.collections:
            work = _ensure_collection(work, target)
            return work.skip("copy_points", {"points": 0})
        work = _ensure_collection(work, target)
        name = work.clone.qdrant_collection
        if work.is_native:
            return _native_report(work, patience(lambda: target.count(name)))
        copier = Copier(work, source, target, patience)
        copier.copy_all()
        consistency = catch_up(work, sides(work, source, target, patience))
        patience(lambda: target.finish_loading(name, work.clone.plan["qdrant_config"]))
        how = {
            "transport": source.transport,
            "slices_at_once": workers(work, source),
            "waits": patience.waits,
            "seconds_waited": round(patience.seconds_waited, 1),
            "consistency": consistency,
        }
        return _report(work, copier, how)


def read_natively_copied(work: Work, both: Sides) -> tuple[dict[str, Any], list[str]]:
    """For the proof of a native copy: reads the source, which the copy itself did not, and copies
    what has changed there since. Returns how consistent that was, and warnings."""
    Copier(work, both.source, None, both.patience).copy_all()
    consistency = catch_up(work, both)
    return consistency, _warnings(read_progress(work), _collections(work), consistency)


def patience_of(work: Work) -> Patience:
    return Patience(work.stores, work.lease, work.request.max_points_per_second)


def sides(work: Work, source: VectorStore, target: VectorStore, patience: Patience) -> Sides:
    """The two collections of a clone, to be compared."""
    return Sides(
        source=source,
        source_name=work.source_collection,
        target=target,
        target_name=work.clone.qdrant_collection,
        rewriter=work.new_rewriter(),
        rule=rule(target.embedded, work.clone.plan["qdrant_config"]),
        patience=patience,
    )


def _ensure_collection(work: Work, target: VectorStore) -> Work:
    """Makes the collection unless this clone has; payload indexes stand before the load.

    Returns the work with the collection's name, which may be another one now.
    """
    name = work.clone.qdrant_collection
    if work.clone.qdrant_created and target.exists(name):
        return work
    work.lease.check()
    if work.is_native:
        work = _copy_inside(work, target)
    else:
        config = work.clone.plan["qdrant_config"]
        target.create(name, config, for_loading=work.request.include_resources.collections)
    with work.lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == work.clone.clone_id)
            .values(qdrant_created=True)
        )
        # Had it been there and vanished, nothing of the slices is true any more.
        connection.execute(
            update(clone_slices)
            .where(clone_slices.c.clone_id == work.clone.clone_id)
            .values(cursor=None, points=0, progress={}, done=False)
        )
    return work


def _copy_inside(work: Work, target: VectorStore) -> Work:
    """The native lane: Qdrant copies the whole collection, index and all."""
    from .vectors import native
    from .vectors.server import ServerStore

    if not isinstance(target, ServerStore):
        raise WorkError("The native lane needs a Qdrant server, and this is the embedded one.")
    if target.exists(work.clone.qdrant_collection):
        # An attempt that did not end: the server may go on filling whatever has that name.
        native.remove_collection(target, work.clone.qdrant_collection)
        work = replace(work, clone=rename_collection(work.lease, work.clone))
    native.copy_collection(
        target,
        work.source_collection,
        work.clone.qdrant_collection,
        work.clone.plan["qdrant_config"],
        sleep=work.stores.sleep,
        check=work.lease.check,
    )
    return work


def _native_report(work: Work, points: int) -> StepReport:
    seconds = (work.stores.clock() - work.started).total_seconds()
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": points},
        bytes=work.clone.plan["bytes"]["points"],
        resources=[
            {"name": row["name"], "source_id": row["source_id"], "target_id": row["target_id"]}
            for row in _collections(work).values()
        ][:LISTED],
        details={
            "lane": "native",
            "points_per_second": round(points / seconds) if seconds > 0 else None,
            "transport": "inside Qdrant",
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, report)


def _report(work: Work, copier: Copier, how: dict[str, Any]) -> StepReport:
    total = read_progress(work)
    collections = _collections(work)
    seconds = copier.seconds
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": total.digest.count},
        bytes=work.clone.plan["bytes"]["points"],
        resources=_resources(total, collections),
        warnings=[
            *_slow(how["transport"]),
            *_warnings(total, collections, how["consistency"]),
        ],
        details={
            "lane": work.clone.plan["lane"],
            "points_per_second": round(copier.points / seconds) if seconds > 0 else None,
            "points_in_this_run": copier.points,
            "slices": len(read_slices(work)),
            **how,
            "payload_references": [
                {"path": path, "outcome": outcome, "count": count}
                for (path, outcome), count in sorted(total.references.items())
            ],
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, report)


def _collections(work: Work) -> dict[str, RowMapping]:
    """The planned collections by their new id, in the order of their names."""
    planned = clone_resources.c
    query = (
        select(planned.source_id, planned.target_id, planned.name, planned.document)
        .where(planned.clone_id == work.clone.clone_id, planned.kind == "collection")
        .order_by(planned.name)
    )
    with work.stores.catalog.read() as connection:
        return {row["target_id"]: row for row in connection.execute(query).mappings()}


def _unknown(total: Progress, collections: dict[str, RowMapping]) -> list[tuple[str, int]]:
    return [item for item in sorted(total.collections.items()) if item[0] not in collections]


def _resources(total: Progress, collections: dict[str, RowMapping]) -> list[dict[str, Any]]:
    """The points of each collection, also of those that the catalog does not have."""
    columns = ("name", "source_id", "target_id")
    listed = [
        {column: row[column] for column in columns} | {"points": total.collections[key]}
        for key, row in collections.items()
    ]
    listed += [
        dict(zip(columns, ("(no such collection)", None, key), strict=True)) | {"points": count}
        for key, count in _unknown(total, collections)
    ]
    return listed[:LISTED]


def _slow(transport: str) -> list[str]:
    return [f"Points went the slow way: {transport}."] if transport.startswith("REST") else []


def _warnings(
    total: Progress, collections: dict[str, RowMapping], consistency: dict[str, Any]
) -> list[str]:
    found = [
        f"{count} points belong to {key or 'no collection'}, which the catalog does not have."
        for key, count in _unknown(total, collections)
    ]
    for key, row in collections.items():
        claimed = row["document"].get("document_count")
        if isinstance(claimed, int) and claimed != total.collections[key]:
            found.append(
                f"Collection {row['name']!r} claims {claimed} documents; {total.collections[key]} "
                "points of it are in Qdrant."
            )
    if consistency["state"] == "moving":
        found.append(f"The source is being written to: {consistency['outcome']}.")
    return found
