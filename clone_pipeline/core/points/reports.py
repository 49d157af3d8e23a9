"""What the step `copy_points` reports: how many points of which collections, and how they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, select

from ..catalog.schema import clone_resources
from ..ledger.work import Work
from ..ledger.worked import together, told
from ..outputs import Consistency, CopiedPoints
from ..report import LISTED, StepReport
from .progress import Progress
from .stream import read_progress, read_slices

if TYPE_CHECKING:
    from ..vectors.native import Copied


def native_report(work: Work, points: int, copied: Copied | None) -> StepReport:
    made = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": points},
        bytes=work.clone.plan["bytes"]["points"],
        resources=[
            {"name": row["name"], "source_id": row["source_id"], "target_id": row["target_id"]}
            for row in collections_of(work).values()
        ][:LISTED],
        output=CopiedPoints(points),
        details={
            "lane": "native",
            "transport": work.clone.plan["transport"],
            **_inside(copied),
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, made)


def report(
    work: Work,
    points: int,
    consistency: Consistency,
    how: dict[str, Any],
    copied: Copied | None,
) -> StepReport:
    """`points` is how many this run has gone through, `copied` what was copied inside Qdrant."""
    total, rows = read_progress(work), read_slices(work)
    collections = collections_of(work)
    made = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": total.digest.count},
        bytes=work.clone.plan["bytes"]["points"],
        resources=_resources(total, collections),
        warnings=[
            *_slow(how["transport"]),
            *warnings_of(total, collections, consistency),
        ],
        output=CopiedPoints(points, consistency=consistency, changes=_changes(work, total)),
        details={
            "lane": work.clone.plan["lane"],
            "slices": len(rows),
            **how,
            "workers": told(together(row["worked"] for row in rows)),
            **_inside(copied),
            "payload_references": [
                {"path": path, "outcome": outcome, "count": count}
                for (path, outcome), count in sorted(total.references.items())
            ],
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, made)


def _inside(copied: Copied | None) -> dict[str, Any]:
    """Of a copy inside Qdrant, where this run has made one."""
    if copied is None:
        return {}
    # Without a reason the server pulled from itself, and nothing came our way.
    return {"shards": copied.shards, "relayed_because": copied.reason}


def _changes(work: Work, total: Progress) -> dict[str, int] | None:
    if work.clone.plan["lane"] != "delta":
        return None
    found = total.changes
    return {
        "inserted": found["inserted"],
        "changed": found["changed"],
        "deleted": found["deleted"],
        "unchanged": total.digest.count - found["inserted"] - found["changed"],
    }


def collections_of(work: Work) -> dict[str, RowMapping]:
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


def warnings_of(
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
