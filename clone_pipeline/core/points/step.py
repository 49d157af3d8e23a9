"""The step `copy_points`: every point of the source, as it must stand in the clone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, select, update

from ..catalog.documents import in_collection
from ..catalog.schema import clone_resources, clone_slices, clones, namespaces
from ..errors import WorkError
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.lease import Lease
from ..ledger.work import Work
from ..outputs import Consistency, CopiedPoints
from ..report import LISTED, StepReport
from ..vectors.equality import rule
from ..vectors.port import VectorStore
from .catchup import catch_up
from .progress import Progress
from .retry import Retry
from .shard_keys import follow_shard_keys
from .sides import Sides
from .stream import Copier, read_progress, read_slices, workers

if TYPE_CHECKING:
    from ..vectors.native import Copied


def copy_points(work: Work) -> StepReport:
    """Makes the target's Qdrant collection and copies the points of every slice that is not done;
    then once more what the source has changed meanwhile.

    Raises LeaseLost when another run has taken over, StoreUnavailable, StorageFailed.
    """
    retry = retry_of(work)
    with work.stores.vectors() as target, work.source_vectors(target) as source:
        if not work.request.include_resources.collections:
            work, _ = _ensure_collection(work, target)
            return work.skip("copy_points", {"points": 0})
        work, copied = _ensure_collection(work, target)
        name = work.clone.qdrant_collection
        if work.is_native:
            return _native_report(work, retry(lambda: target.count(name)), copied)
        both = sides(work, source, target, retry)
        follow_shard_keys(work, both)
        copier = Copier(work, both)
        work.begin_points("Copied", sum(row["points"] for row in read_slices(work)))
        copier.copy_all()
        consistency = catch_up(work, both)
        retry(lambda: target.finish_loading(name, work.clone.plan["qdrant_config"]))
        how = {
            "transport": source.transport,
            "slices_at_once": workers(work, source),
            "waits": retry.waits,
            "seconds_waited": round(retry.seconds_waited, 1),
        }
        return _report(work, copier, consistency, how)


def read_natively_copied(work: Work, both: Sides) -> tuple[Consistency, list[str]]:
    """For the proof of a native copy: reads the source, which the copy itself did not, and copies
    what has changed there since. Returns how consistent that was, and warnings."""
    work.begin_points("Read")
    Copier(work, both, only_read=True).copy_all()
    consistency = catch_up(work, both)
    return consistency, _warnings(read_progress(work), _collections(work), consistency)


def retry_of(work: Work) -> Retry:
    return Retry(work.stores, work.lease, work.request.max_points_per_second)


def sides(work: Work, source: VectorStore, target: VectorStore, retry: Retry) -> Sides:
    """The two collections of a clone, to be compared."""
    return Sides(
        source=source,
        source_name=work.source_collection,
        target=target,
        target_name=work.clone.qdrant_collection,
        rewriter=work.new_rewriter(),
        rule=rule(target.embedded or source.embedded, work.clone.plan["qdrant_config"]),
        retry=retry,
        meter=work.meter,
    )


def _ensure_collection(work: Work, target: VectorStore) -> tuple[Work, Copied | None]:
    """Makes the collection unless this clone has; payload indexes stand before the load.

    Returns the work with the collection's name, which may be another one now, and what a native
    copy did, unless an earlier run has made it.
    """
    copied = None
    name = work.clone.qdrant_collection
    if work.clone.qdrant_created and target.exists(name):
        return work, copied
    work.lease.check()
    if work.is_native:
        work.begin_points("Copied inside Qdrant")
        work, copied = _copy_inside(work, target)
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
    return work, copied


def _copy_inside(work: Work, target: VectorStore) -> tuple[Work, Copied]:
    """The native lane: Qdrant copies the whole collection, index and all."""
    if target.native is None:
        raise WorkError("The native lane needs a Qdrant server, and this is the embedded one.")
    if target.exists(work.clone.qdrant_collection):
        # An attempt that did not end: the server may go on filling whatever has that name.
        target.native.remove(work.clone.qdrant_collection)
        work = replace(work, clone=rename_collection(work.lease, work.clone))
    copied = target.native.copy(
        work.source_collection,
        work.clone.qdrant_collection,
        work.clone.plan["qdrant_config"],
        sleep=work.stores.sleep,
        check=work.lease.check,
    )
    return work, copied


def _native_report(work: Work, points: int, copied: Copied | None) -> StepReport:
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": points},
        bytes=work.clone.plan["bytes"]["points"],
        resources=[
            {"name": row["name"], "source_id": row["source_id"], "target_id": row["target_id"]}
            for row in _collections(work).values()
        ][:LISTED],
        output=CopiedPoints(points),
        details={
            "lane": "native",
            "transport": "inside Qdrant",
            "shards": copied and copied.shards,
            # Else the server pulled from itself, and nothing came our way.
            "relayed_because": copied and copied.reason,
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, report)


def _report(
    work: Work, copier: Copier, consistency: Consistency, how: dict[str, Any]
) -> StepReport:
    total = read_progress(work)
    collections = _collections(work)
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": total.digest.count},
        bytes=work.clone.plan["bytes"]["points"],
        resources=_resources(total, collections),
        warnings=[
            *_slow(how["transport"]),
            *_warnings(total, collections, consistency),
        ],
        output=CopiedPoints(copier.points, consistency=consistency),
        details={
            "lane": work.clone.plan["lane"],
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
    """Points of collections that the catalog does not have. Where it has none at all, points need
    not say one."""
    known = collections.keys() or {""}
    return [item for item in sorted(total.collections.items()) if item[0] not in known]


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
    total: Progress, collections: dict[str, RowMapping], consistency: Consistency
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


def rename_collection(lease: Lease, clone: Clone) -> Clone:
    """Gives an unfinished clone's Qdrant collection, which is not made yet, another name."""
    stem, _, attempt = clone.qdrant_collection.partition(".")
    name = f"{stem}.{int(attempt or 1) + 1}"
    planned, mine = clone_resources.c, namespaces.c.namespace_key == clone.namespace_key
    is_planned = (planned.clone_id == clone.clone_id, planned.kind == "namespace")
    with lease.write() as connection:
        connection.execute(
            update(clones)
            .where(clones.c.clone_id == clone.clone_id)
            .values(qdrant_collection=name, qdrant_created=False)
        )
        for table, where in ((clone_resources, is_planned), (namespaces, (mine,))):
            document = connection.execute(select(table.c.document).where(*where)).scalar_one()
            connection.execute(
                update(table).where(*where).values(document=in_collection(document, name))
            )
        return ledger.get(connection, clone.clone_id)
