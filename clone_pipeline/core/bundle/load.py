"""A namespace from a bundle folder: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from ..catalog.documents import NAMESPACE_COLUMNS, RECORDS, split
from ..catalog.engine import Catalog
from ..catalog.namespaces import count_records
from ..catalog.schema import namespaces, organizations
from ..errors import BundleError, InvalidRequest, NotFound
from ..principal import LOCAL_OPERATOR, Principal
from ..vectors.port import VectorStore
from .check import Bundle, check, identified
from .files import CONFIG, POINTS, RECORD_FILES, BundleFiles, Wrong
from .points import parse_point
from .reservation import Reservation, discard_dead_loads, refuse_taken, reserve

# What is being written (a key of `LoadReport.counts`), and how many of it are written so far.
Progress = Callable[[str, int], None]


def _silent(_what: str, _done: int) -> None:
    return None


@dataclass(frozen=True)
class LoadReport:
    """`counts`: buckets objects collections retrievers taxonomies points. Versions of one taxonomy
    count once."""

    organization_id: str
    namespace_id: str
    namespace_name: str
    counts: dict[str, int]


def load(
    folder: Path,
    catalog: Catalog,
    vectors: VectorStore,
    now: datetime,
    on_progress: Progress | None = None,
    principal: Principal = LOCAL_OPERATOR,
) -> LoadReport:
    """Makes the bundle's namespace, and its organization where that is new.

    Everything is checked before anything is written. Whatever ends a load before its end, also the
    death of its process, leaves nothing that the next load does not remove.

    Raises BundleError (file, line, reason), NotFound where the bundle's organization is none that
    `principal` may know of, Conflict where the namespace's id or name or its
    Qdrant collection exists, InProgress where another load is making it, and what the stores raise.
    `now` is the time of what has none in the bundle.
    """
    discard_dead_loads(catalog, vectors)
    bundle = check(BundleFiles(folder))
    if not principal.may_read(bundle.organization_id):
        raise NotFound(
            f"There is no organization {bundle.organization_id!r} for the bundle to land in; "
            "change `organization_id` in namespace.json."
        )
    reservation = reserve(catalog, vectors, bundle)
    progress = on_progress or _silent
    try:
        _create(vectors, bundle)
        points = _write_points(bundle, reservation, progress)
        counts = _write_catalog(bundle, reservation, now, progress)
    except BaseException:
        reservation.give_up()
        raise
    return LoadReport(
        bundle.organization_id,
        bundle.namespace["namespace_id"],
        bundle.namespace["namespace_name"],
        {**counts, "points": points},
    )


def _create(vectors: VectorStore, bundle: Bundle) -> None:
    try:
        vectors.create(bundle.qdrant_collection, bundle.config)
    except InvalidRequest as error:
        raise BundleError(error.message, CONFIG) from error


def _write_points(bundle: Bundle, reservation: Reservation, progress: Progress) -> int:
    done = 0
    for batch in bundle.files.batches(POINTS):
        reservation.heartbeat()
        page = []
        for line in batch:
            try:
                page.append(parse_point(line.document, bundle.shapes))
            except Wrong as wrong:  # the file changed under us
                raise line.error(wrong) from None
        reservation.vectors.upsert(bundle.qdrant_collection, page)
        done += len(page)
        progress("points", done)
    return done


def _write_catalog(
    bundle: Bundle, reservation: Reservation, now: datetime, progress: Progress
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
    for batch in bundle.files.batches(file):
        rows = [
            {"namespace_key": key, **split(identified(record, line.document), record.columns, now)}
            for line in batch
        ]
        connection.execute(statement, rows)
        done += len(rows)
        progress(Path(file).stem, done)
    # Versions of one taxonomy count once.
    return count_records(connection, key, kind) if kind == "taxonomy" else done
