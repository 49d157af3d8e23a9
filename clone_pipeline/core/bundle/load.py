"""A namespace from a bundle: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from ..catalog.documents import NAMESPACE_COLUMNS, RECORDS, split
from ..catalog.engine import Catalog
from ..catalog.namespaces import count_records
from ..catalog.schema import namespaces, organizations
from ..difference import differing_fields
from ..errors import BundleError, InvalidRequest, NotFound, VerificationFailed
from ..ledger.meter import Meter
from ..principal import LOCAL_OPERATOR, Principal
from ..vectors.point import Point, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import within
from ..words import Option
from .check import Bundle, check
from .claim import Reservation, discard_dead_loads, refuse_taken, reserve, resume
from .files import (
    CONFIG,
    POINTS,
    RECORD_FILES,
    BundleFiles,
    Files,
    Line,
    Wrong,
    batches,
    identified,
)
from .kept import Kept
from .owner import Owner
from .points import parse_point
from .rename import AS_IT_IS, Target, rename

# What is being written (a key of `LoadReport.counts`), and how many of it are written so far.
Progress = Callable[[str, int], None]


def _silent(_what: str, _done: int) -> None:
    return None


@dataclass(frozen=True)
class LoadReport:
    """`counts`: buckets objects collections retrievers taxonomies points. Versions of one taxonomy
    count once. `warnings`: what was loaded otherwise than the bundle has it. `references` and
    `by_hand`: as `Renamed` has them."""

    organization_id: str
    namespace_id: str
    namespace_name: str
    counts: dict[str, int]
    warnings: list[str]
    references: list[dict[str, Any]] = field(default_factory=list)
    by_hand: list[dict[str, Any]] = field(default_factory=list)


class Proof(Protocol):
    """Looks at what was written, before it can be seen. Raises VerificationFailed.

    `first_difference` is that of the points, where a store may have its reasons for one.
    """

    first_difference: str | None

    def find_stored(self, bundle: Bundle, reservation: Reservation, meter: Meter) -> int: ...

    def forget_stored(self) -> None: ...

    def wrote(self, line: Line, point: Point) -> None: ...

    def points(self, bundle: Bundle, reservation: Reservation, meter: Meter) -> None: ...

    def records(self, bundle: Bundle, connection: Connection, namespace_key: int) -> None: ...


def load(
    source: Path | Files,
    catalog: Catalog,
    vectors: VectorStore,
    now: datetime,
    on_progress: Progress | None = None,
    principal: Principal = LOCAL_OPERATOR,
    meter: Meter | None = None,
    proof: Proof | None = None,
    target: Target = AS_IT_IS,
) -> LoadReport:
    """Makes the bundle's namespace, and its organization where that is new; `source` is its folder,
    or its files wherever they are. `target` may want it under another name.

    Everything is checked before anything is written; the meter counts the points of both. Whatever
    ends a load before its end, also the death of its process, leaves nothing that the next load
    does not remove.

    Raises BundleError (file, line, reason), NotFound where the bundle's organization is none that
    `principal` may know of, Conflict where the namespace's id or name or its
    Qdrant collection exists, InProgress where another load is making it, and what the stores raise.
    `now` is the time of what has none in the bundle.
    """
    meter = meter or Meter(lambda: now)
    if proof is None:
        discard_dead_loads(catalog, vectors)
    bundle = check(BundleFiles(source) if isinstance(source, Path) else source, meter)
    if bundle.shapes.shard_keys and not vectors.keeps_shard_keys():
        reason = "has shard keys, which only a Qdrant server with `cluster.enabled: true` keeps"
        raise BundleError(f"{reason}; set QDRANT_URL to one", CONFIG)
    organization = target.organization_id or bundle.organization_id
    if not principal.may_read(organization):
        raise NotFound(
            f"There is no organization {organization!r} for the bundle to land in; name yours by ",
            Option("organization_id"),
            ", or change `organization_id` in namespace.json.",
        )
    renamed = rename(catalog, bundle, target)
    bundle = renamed.bundle
    reservation = _reserve(catalog, vectors, bundle, may_resume=proof is not None)
    progress = on_progress or _silent
    try:
        kept, owner = Kept(bundle.shapes), Owner.of(bundle.namespace)
        points = _Filling(bundle, reservation, kept, owner, meter, proof).fill()
        warnings = owner.warnings + ([] if vectors.embedded else kept.warnings)
        if proof is not None:
            proof.points(bundle, reservation, meter)
            warnings += _judged(proof, warnings)
        progress("points", points)
        counts = _write_catalog(bundle, reservation, now, progress, proof)
    except BaseException:
        reservation.give_up()
        raise
    return LoadReport(
        bundle.organization_id,
        bundle.namespace["namespace_id"],
        bundle.namespace["namespace_name"],
        {**counts, "points": points},
        renamed.warnings + warnings,
        renamed.references,
        renamed.by_hand,
    )


def _judged(proof: Proof, warnings: list[str]) -> list[str]:
    """What is said of a difference that is told of already. Raises VerificationFailed for any
    other one."""
    if proof.first_difference is None:
        return []
    if not warnings:
        raise VerificationFailed(
            f"What Qdrant gives back differs from what was loaded: {proof.first_difference}; "
            "nothing was kept."
        )
    return [f"So the points are not proven; the first that differs: {proof.first_difference}."]


def _reserve(
    catalog: Catalog, vectors: VectorStore, bundle: Bundle, *, may_resume: bool
) -> Reservation:
    if may_resume:
        discard_dead_loads(catalog, vectors, keep=bundle.qdrant_collection)
        if (reservation := resume(catalog, vectors, bundle)) is not None:
            return reservation
    return reserve(catalog, vectors, bundle)


@dataclass(frozen=True)
class _Filling:
    """The Qdrant collection of one load."""

    bundle: Bundle
    reservation: Reservation
    kept: Kept
    owner: Owner
    meter: Meter
    proof: Proof | None

    def fill(self) -> int:
        """Makes the collection with its points, or goes on with the one that a killed load made."""
        bundle, vectors, proof = self.bundle, self.reservation.vectors, self.proof
        begin = ("Loaded", bundle.points, bundle.files.measure(POINTS)[1])
        self.meter.begin(*begin)
        if proof is not None and self._is_resumed(proof):
            points = self._write()
            if vectors.count(bundle.qdrant_collection) == bundle.points:
                return points
            # Something else was loaded there before: it has points that this bundle has not.
            proof.forget_stored()
            self.meter.begin(*begin)
        try:
            vectors.create(bundle.qdrant_collection, bundle.config)
        except InvalidRequest as error:
            raise BundleError(error.message, CONFIG) from error
        return self._write()

    def _is_resumed(self, proof: Proof) -> bool:
        """Whether the collection of a killed load can be gone on with."""
        bundle, vectors = self.bundle, self.reservation.vectors
        if not self.reservation.resumed or not vectors.exists(bundle.qdrant_collection):
            return False
        asked = vectors.kept_config(bundle.config)
        there = vectors.read_config(bundle.qdrant_collection)
        # A server tells of settings that nobody asked for.
        if any(not field.endswith(" is extra") for field in differing_fields(asked, there)):
            return False
        return proof.find_stored(bundle, self.reservation, self.meter) > 0

    def _write(self) -> int:
        for batch in batches(self.bundle.files, POINTS):
            self.reservation.heartbeat()
            page: dict[ShardKey | None, list[Point]] = {}
            for line in batch:
                page.setdefault(line.document.get("shard_key"), []).append(self._point(line))
            for shard_key, points in page.items():
                store = within(self.reservation.vectors, shard_key)
                store.upsert(self.bundle.qdrant_collection, points)
                for point in points:
                    self.kept.look(point)
            self.meter.add(len(batch))
        return self.meter.done

    def _point(self, line: Line) -> Point:
        try:
            point = parse_point(line.document, self.bundle.shapes)
        except Wrong as wrong:  # the file changed under us
            raise line.error(wrong) from None
        point = point._replace(payload=self.owner.own(point.payload))
        if self.proof is not None:
            self.proof.wrote(line, point)
        return point


def _write_catalog(
    bundle: Bundle,
    reservation: Reservation,
    now: datetime,
    progress: Progress,
    proof: Proof | None,
) -> dict[str, int]:
    """The one transaction that makes the namespace exist."""
    catalog = reservation.catalog
    try:
        with catalog.write() as connection:
            reservation.finish(connection)
            refuse_taken(connection, bundle)
            key = _insert_namespace(connection, bundle, now)
            counts = {
                Path(file).stem: _insert_records(connection, bundle, key, kind, now, progress)
                for kind, file in RECORD_FILES.items()
            }
            bundle.files.check_unchanged()
            if proof is not None:
                proof.records(bundle, connection, key)
            return counts
    except IntegrityError:
        # Somebody took the id or the name since we looked, or the files are no longer the ones that
        # were checked: it is told as that.
        bundle.files.check_unchanged()
        with catalog.read() as connection:
            refuse_taken(connection, bundle)
        raise


def _insert_namespace(connection: Connection, bundle: Bundle, now: datetime) -> int:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(organizations)
        .values(
            organization_id=bundle.organization_id,
            internal_id=bundle.organization_id,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    row = split(bundle.namespace, NAMESPACE_COLUMNS, now)
    inserted = connection.execute(
        namespaces.insert().values(
            **row,
            organization_id=bundle.organization_id,
            role="live",
            generation=1,
            loaded_at=now,
            qdrant_config=bundle.config,
        )
    )
    assert inserted.inserted_primary_key is not None  # noqa: S101
    return int(inserted.inserted_primary_key[0])


def _insert_records(
    connection: Connection,
    bundle: Bundle,
    key: int,
    kind: str,
    now: datetime,
    progress: Progress,
) -> int:
    file = RECORD_FILES[kind]
    record = RECORDS[kind]
    statement = record.table.insert()
    done = 0
    for batch in batches(bundle.files, file):
        rows = [
            {"namespace_key": key, **split(identified(record, line.document), record.columns, now)}
            for line in batch
        ]
        connection.execute(statement, rows)
        done += len(rows)
        progress(Path(file).stem, done)
    # Versions of one taxonomy count once.
    return count_records(connection, key, kind) if record.versioned else done
