"""The stream lane: points are read page by page, rewritten, and written.

A page's checkpoint is stored after its points are durable in the target. Killed in between, the
page is written once more, over itself: points keep their ids.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import RowMapping, select, update

from ..catalog.schema import clone_resources, clone_slices, clones
from ..report import LISTED, StepReport
from ..work import Work
from .digest import Digest, point_digest
from .equality import rule
from .port import Page, Point, PointId, VectorStore

# The embedded store sorts all ids for each page, so its pages are large; a server's are of the
# size Qdrant advises for upserts.
EMBEDDED_PAGE = 1000
SERVER_PAGE = 256

# How many points of a collection `verify: sample` looks at: those with the lowest digests.
SAMPLED = 100


def page_size(store: VectorStore) -> int:
    return EMBEDDED_PAGE if store.embedded else SERVER_PAGE


@dataclass
class Progress:
    """What a slice has copied so far, as its checkpoint stores it."""

    digest: Digest = field(default_factory=Digest)
    collections: Counter[str] = field(default_factory=Counter)
    references: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: dict[str, list[tuple[int, PointId]]] = field(default_factory=dict)

    def add(self, point: Point, digest: int, *, sampled: bool) -> None:
        self.digest.add(digest)
        collection = collection_of(point.payload)
        self.collections[collection] += 1
        if sampled:
            lowest = self.sample.setdefault(collection, [])
            lowest.append((digest, point.id))
            lowest.sort()
            del lowest[SAMPLED:]

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest.to_json(),
            "collections": dict(self.collections),
            "references": [[*key, count] for key, count in self.references.items()],
            "sample": {
                name: [[str(digest), id] for digest, id in lowest]
                for name, lowest in self.sample.items()
            },
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        if not values:
            return cls()
        return cls(
            digest=Digest.from_json(values["digest"]),
            collections=Counter(values["collections"]),
            references=Counter({(path, what): n for path, what, n in values["references"]}),
            sample={
                name: [(int(digest), id) for digest, id in lowest]
                for name, lowest in values["sample"].items()
            },
        )

    def merge(self, other: Progress) -> None:
        self.digest.merge(other.digest)
        self.collections += other.collections
        self.references += other.references
        for name, lowest in other.sample.items():
            self.sample[name] = sorted(self.sample.get(name, []) + lowest)[:SAMPLED]


def collection_of(payload: dict[str, Any]) -> str:
    """The collection a point belongs to, in either payload layout; "" where it says none."""
    internal = payload.get("_internal")
    inner = internal.get("collection_id") if isinstance(internal, dict) else None
    return str(payload.get("collection_id") or inner or "")


def copy_points(work: Work) -> StepReport:
    """Makes the target's Qdrant collection and copies the points of every slice that is not done.

    Raises LeaseLost when another run has taken over, StoreUnavailable, StorageFailed.
    """
    with work.stores.vectors() as target:
        _ensure_collection(work, target)
        if not work.request.include_resources.collections:
            return work.skip("copy_points", {"points": 0})
        with work.source_vectors(target) as store:
            copier = _Copier(work, store, work.source.qdrant_collection, target)
            for row in _read_slices(work):
                if not row["done"]:
                    copier.copy_slice(row)
        return _report(work, copier)


def read_progress(work: Work) -> Progress:
    """What all slices together have copied."""
    total = Progress()
    for row in _read_slices(work):
        total.merge(Progress.from_json(row["progress"]))
    return total


class _Copier:
    def __init__(self, work: Work, source: VectorStore, name: str, target: VectorStore) -> None:
        self.work = work
        self.source = source
        self.name = name
        self.target = target
        self.exact = rule(target.embedded, work.clone.plan["qdrant_config"]).exact
        self.sampled = work.request.verify == "sample"
        self.copied = 0
        self.started = work.stores.clock()

    def copy_slice(self, row: RowMapping) -> None:
        progress = Progress.from_json(row["progress"])
        offset: PointId | None = row["cursor"]
        done = False
        while not done:
            page = self.source.scroll(self.name, page_size(self.source), offset)
            self._write(page, progress)
            offset, done = page.next, page.next is None
            self._checkpoint(row["slice"], offset, progress, done=done)
            self._throttle()

    def _write(self, page: Page, progress: Progress) -> None:
        rewritten = []
        for point in page.points:
            payload, references = self.work.rewriter.rewrite_payload(point.payload)
            point = point._replace(payload=payload)
            progress.references.update(references)
            progress.add(point, point_digest(point, vectors=self.exact), sampled=self.sampled)
            rewritten.append(point)
        if rewritten:
            self.work.lease.check()
            self.target.upsert(self.work.clone.qdrant_collection, rewritten)
        self.copied += len(rewritten)

    def _checkpoint(
        self, index: int, offset: PointId | None, progress: Progress, *, done: bool
    ) -> None:
        with self.work.lease.write() as connection:
            connection.execute(
                update(clone_slices)
                .where(
                    clone_slices.c.clone_id == self.work.clone.clone_id,
                    clone_slices.c.slice == index,
                )
                .values(
                    cursor=offset,
                    points=progress.digest.count,
                    progress=progress.to_json(),
                    done=done,
                )
            )

    def _throttle(self) -> None:
        limit = self.work.request.max_points_per_second
        if limit is None:
            return
        ahead = self.copied / limit - self.seconds
        while ahead > 0:
            # Short sleeps, so that a cancel is heard.
            self.work.stores.sleep(min(ahead, 0.5))
            ahead = self.copied / limit - self.seconds

    @property
    def seconds(self) -> float:
        return (self.work.stores.clock() - self.started).total_seconds()


def _ensure_collection(work: Work, target: VectorStore) -> None:
    """Creates the collection unless this clone has; payload indexes stand before the load."""
    name = work.clone.qdrant_collection
    if work.clone.qdrant_created and target.exists(name):
        return
    work.lease.check()
    target.create(name, work.clone.plan["qdrant_config"])
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


def _read_slices(work: Work) -> list[RowMapping]:
    query = (
        select(clone_slices)
        .where(clone_slices.c.clone_id == work.clone.clone_id)
        .order_by(clone_slices.c.slice)
    )
    with work.stores.catalog.read() as connection:
        return list(connection.execute(query).mappings())


def _report(work: Work, copier: _Copier) -> StepReport:
    total = read_progress(work)
    collections = _collections(work)
    rate = round(copier.copied / copier.seconds) if copier.seconds > 0 else None
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_points",
        counts={"points": total.digest.count},
        bytes=work.clone.plan["bytes"]["points"],
        resources=_resources(total, collections),
        warnings=_warnings(total, collections),
        details={
            "points_per_second": rate,
            "points_in_this_run": copier.copied,
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


def _warnings(total: Progress, collections: dict[str, RowMapping]) -> list[str]:
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
    return found
