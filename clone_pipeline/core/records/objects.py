"""Buckets with their objects.

Objects come in millions. PostgreSQL copies and digests the rows that stay as they are by itself,
and only those whose document holds something to rewrite travel through us. SQLite lives in this
process, where reading, digesting and writing a row costs no more than its own copy does.
Whatever is read comes from one snapshot, and whatever is written is one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    cast,
    false,
    func,
    insert,
    literal,
    not_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..catalog.bulk import hash_of, inserting, read_batches, reading_beside, sums_of, total_of
from ..catalog.documents import read_object
from ..catalog.engine import dumps
from ..catalog.schema import objects
from ..kinds import ResourceKind
from ..ledger.files import note_files
from ..ledger.work import Work
from ..outputs import CopiedObjects
from ..references import Rewriter, SourceIds
from ..report import StepReport
from ..vectors.digest import Digest
from .may_hold import document_text, may_hold, sql_may_hold, sql_may_hold_or_name
from .small import insert_planned, small_report

References = Counter[tuple[str, str]]

_SAMPLE = 1000
_COLUMNS = ("object_id", "bucket_id", "document", "created_at", "updated_at")
# An object as the database has it, everything as text, so that nothing is spelled anew: object id,
# bucket id, document, both times.
ObjectRow = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Copying:
    """What it takes to read a namespace's objects as they must stand in a clone. `into` is the
    database that the rows are for, where it is another one than they are read from."""

    source_key: int
    rewriter: Rewriter
    into: str = ""


@dataclass
class _Copied:
    """What was read, as it must stand in the clone."""

    digest: Digest = field(default_factory=Digest)
    size: int = 0
    references: References = field(default_factory=Counter)

    def add(self, rows: Sequence[ObjectRow]) -> None:
        self.digest.merge(digest_of(rows))
        self.size += sum([_size(row[2]) for row in rows])


def clone_buckets(work: Work, kind: ResourceKind) -> StepReport:
    """Writes buckets and objects, in one transaction."""
    with work.lease.write(snapshot=True) as connection:
        insert_planned(connection, work, kind)
        report = small_report(connection, work, kind)
        copied = _copy_objects(connection, work)
        report = replace(
            report,
            counts={**report.counts, "objects": copied.digest.count},
            bytes=report.bytes + copied.size,
            output=CopiedObjects(copied.digest.to_json()),
            details={
                "object_references": [
                    {"path": path, "outcome": outcome, "count": count}
                    for (path, outcome), count in sorted(copied.references.items())
                ],
            },
        )
        return work.store(connection, report)


def copying(work: Work) -> Copying:
    into = work.stores.catalog.dialect if work.is_elsewhere else ""
    return Copying(work.clone.source_namespace_key, work.noting_rewriter(), into)


# ---- digests ---------------------------------------------------------------------------------


def object_digest(object_id: str, bucket_id: str, document: str) -> int:
    """A digest of one object's row; `document` is its JSON text. PostgreSQL takes the same one."""
    # With the lengths in front, no part can run into the next.
    text = f"{len(object_id)}:{len(bucket_id)}:{object_id}{bucket_id}{document}"
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:14], "big")


def digest_of(rows: Sequence[Sequence[str]]) -> Digest:
    """Of rows that begin with object id, bucket id and document text."""
    # They come in millions: one addition to the digest for all of them.
    digest = Digest()
    digest.merge(Digest(sum([object_digest(row[0], row[1], row[2]) for row in rows]), len(rows)))
    return digest


def digest_target(connection: Connection, namespace_key: int) -> Digest:
    """The digest of every object of a namespace, as it stands there."""
    mine = objects.c.namespace_key == namespace_key
    if not _is_sqlite(connection):
        return _digest_inside(connection, select(*_hashed(objects.c.bucket_id)).where(mine))[0]
    digest = Digest()
    query = select(objects.c.object_id, objects.c.bucket_id, document_text()).where(mine)
    for batch in read_batches(connection, query.order_by(objects.c.object_id)):
        digest.merge(digest_of(batch))
    return digest


def digest_source(connection: Connection, work: Work) -> Digest:
    """The digest of the source's objects as they would have to stand in the clone now."""
    copied = _Copied()
    left = _read_source(connection, copying(work))
    if _is_mostly_unchanged(connection, work):
        left = _add_unchanged(connection, work, copied)
    with closing(read_batches(connection, left)) as batches:
        for batch in batches:
            copied.add(_rewrite_all(batch, work.rewriter, copied.references))
    return copied.digest


def _hashed(bucket_id: ColumnElement[str]) -> list[ColumnElement[Any]]:
    """What `_digest_inside` sums up of each object."""
    identity = objects.c.object_id
    lengths = _length(identity) + ":" + _length(bucket_id) + ":"
    text = lengths + identity + bucket_id + document_text()
    return [hash_of(text).label("hash"), func.octet_length(document_text()).label("size")]


def _length(column: ColumnElement[str]) -> ColumnElement[str]:
    return cast(func.length(column), Text)


def _digest_inside(connection: Connection, hashed: Select[Any]) -> tuple[Digest, int]:
    """The digest and the size of the documents, by the database itself."""
    # An offset keeps the planner from writing the hash out, and so taking it, once for each sum.
    rows = hashed.offset(0).subquery().c
    bytes_ = func.coalesce(func.sum(rows.size), 0)
    query = select(func.count(), bytes_, *sums_of(rows.hash))
    count, size, high, low = connection.execute(query).one()
    digest = Digest()
    digest.merge(Digest(total_of(high, low), count))
    return digest, int(size)


# ---- copying ---------------------------------------------------------------------------------


def _copy_objects(connection: Connection, work: Work) -> _Copied:
    """Copies all objects; digests them as they must stand in the target, from what was read."""
    copied = _Copied()
    if work.is_elsewhere:
        with work.source_stores.catalog.read() as reader:
            _copy_rows(connection, work, copied, reader, _read_source(reader, copying(work)))
        return copied
    left = _read_source(connection, copying(work))
    if _is_mostly_unchanged(connection, work):
        connection.execute(_insert_unchanged(work))
        left = _add_unchanged(connection, work, copied)
    with reading_beside(work.stores.catalog, connection) as reader:
        _copy_rows(connection, work, copied, reader, left)
    return copied


def _copy_rows(
    connection: Connection, work: Work, copied: _Copied, reader: Connection, left: Select[Any]
) -> None:
    """Through us, rewritten on the way."""
    rewriter = work.noting_rewriter()
    with (
        inserting(connection, objects, work.clone.namespace_key, _COLUMNS) as insert_rows,
        closing(read_batches(reader, left)) as batches,
    ):
        for batch in batches:
            rows = _rewrite_all(batch, rewriter, copied.references)
            copied.add(rows)
            if files := rewriter.take_files():
                insert_rows(())  # those that are under way have the connection
                note_files(connection, work.clone.clone_id, rewriter.ids, files)
            insert_rows(rows)


def insert_objects(connection: Connection, namespace_key: int, rows: Sequence[ObjectRow]) -> None:
    """Writes rows as they are."""
    with inserting(connection, objects, namespace_key, _COLUMNS) as insert_rows:
        insert_rows(rows)


def _is_mostly_unchanged(connection: Connection, work: Work) -> bool:
    """Whether it pays to have the database look for what is unchanged, by the first that come."""
    if _is_sqlite(connection) or work.rewriter.ids.files is not None:
        return False
    mine = objects.c.namespace_key == work.clone.source_namespace_key
    first = select(sql_may_hold().label("touched")).where(mine).limit(_SAMPLE).subquery().c
    unchanged = func.count().filter(not_(first.touched))
    touched = func.count().filter(first.touched)
    return bool(connection.execute(select(unchanged >= touched)).scalar_one())


def _add_unchanged(connection: Connection, work: Work, copied: _Copied) -> Select[Any]:
    """Adds what is unchanged, by the database itself. Returns what is left to be read."""
    hashed = _unchanged(work, *_hashed(_new_bucket(work)))
    digest, size = _digest_inside(connection, hashed)
    copied.digest.merge(digest)
    copied.size += size
    source_key = work.clone.source_namespace_key
    count = select(func.count()).where(objects.c.namespace_key == source_key)
    if connection.execute(count).scalar_one() == digest.count:
        return _read_source(connection, copying(work)).where(false())
    return _read_source(connection, copying(work)).where(sql_may_hold())


def _insert_unchanged(work: Work) -> Any:
    values = _unchanged(
        work,
        literal(work.clone.namespace_key),
        objects.c.object_id,
        _new_bucket(work),
        objects.c.document,
        objects.c.created_at,
        objects.c.updated_at,
    )
    return insert(objects).from_select(["namespace_key", *_COLUMNS], values)


def _unchanged(work: Work, *values: ColumnElement[Any]) -> Select[Any]:
    """The source's objects of planned buckets in which there is nothing to rewrite."""
    mine = objects.c.namespace_key == work.clone.source_namespace_key
    return select(*values).where(mine, _new_bucket(work).is_not(None), not_(sql_may_hold()))


def _new_bucket(work: Work) -> ColumnElement[str]:
    """The id that an object's bucket has in the clone; NULL for one that is not part of it."""
    # No join: the planner cannot know how many rows there will be, and takes the slowest one.
    new: Any = cast(literal(dumps(dict(work.rewriter.ids.ids["bucket"])), Text), JSONB)
    bucket_id: ColumnElement[str] = new[objects.c.bucket_id].astext
    return bucket_id


# ---- reading ---------------------------------------------------------------------------------


def read_rewritten(
    connection: Connection, copying: Copying, references: References
) -> Iterator[ObjectRow]:
    """The source's objects as they must stand in the clone, in the order of `in_order`; those of a
    bucket that came after the plan are not part of it."""
    query = _read_source(connection, copying).order_by(None)
    with closing(read_batches(connection, query.order_by(in_order(connection)))) as batches:
        for batch in batches:
            yield from _rewrite_all(batch, copying.rewriter, references)


def read_target(connection: Connection, namespace_key: int) -> Iterator[tuple[str, str, str]]:
    """(object id, bucket id, document text) of every object of a namespace, as `in_order`."""
    query = select(objects.c.object_id, objects.c.bucket_id, document_text()).where(
        objects.c.namespace_key == namespace_key
    )
    for batch in read_batches(connection, query.order_by(in_order(connection))):
        yield from map(tuple, batch)


def read_touched(
    connection: Connection, namespace_key: int, looked_for: SourceIds | None = None
) -> Iterator[tuple[str, str, str]]:
    """As `read_target`, but only those that may hold a reference or one of the ids as a whole, in
    any order."""
    query = select(objects.c.object_id, objects.c.bucket_id, document_text()).where(
        objects.c.namespace_key == namespace_key
    )
    sqlite = _is_sqlite(connection)
    query = (
        query.order_by(objects.c.object_id)
        if sqlite
        else query.where(sql_may_hold_or_name(looked_for))
    )
    for batch in read_batches(connection, query):
        yield from (
            tuple(row)
            for row in batch
            if may_hold(row[2]) or (looked_for is not None and looked_for.in_text(row[2]))
        )


def in_order(connection: Connection) -> ColumnElement[str]:
    """By object id as Python orders text, on every database."""
    identity = objects.c.object_id
    return identity if _is_sqlite(connection) else identity.collate("C")


def _rewrite_all(
    batch: Sequence[ObjectRow], rewriter: Rewriter, references: References
) -> list[ObjectRow]:
    new_bucket = rewriter.ids.ids["bucket"]
    copies_files = rewriter.ids.files is not None  # most objects have a location
    rows = []
    for object_id, bucket_id, text, created_at, updated_at in batch:
        target = new_bucket.get(bucket_id)
        if target is None:
            continue
        if copies_files or may_hold(text):
            text = _rewrite(object_id, text, rewriter, references)
        rows.append((object_id, target, text, created_at, updated_at))
    return rows


def _rewrite(object_id: str, text: str, rewriter: Rewriter, references: References) -> str:
    """The document's text for the clone: the same, to the byte, where nothing is rewritten."""
    document = read_object(object_id, text)
    rewritten, found = rewriter.rewrite_object(document)
    for place, count in found.counts.items():
        references[place] += count
    return text if rewritten is document else dumps(rewritten)


def _read_source(connection: Connection, copying: Copying) -> Select[Any]:
    columns = objects.c
    query = select(
        columns.object_id,
        columns.bucket_id,
        document_text(),
        _time(connection, columns.created_at, copying.into),
        _time(connection, columns.updated_at, copying.into),
    ).where(objects.c.namespace_key == copying.source_key)
    # By itself SQLite goes by bucket, all over the table.
    return query.order_by(objects.c.object_id) if _is_sqlite(connection) else query


def _time(connection: Connection, column: ColumnElement[Any], into: str) -> ColumnElement[str]:
    """A time as text, as the database has it that it is for. PostgreSQL reads SQLite's as UTC."""
    if into == "sqlite" and not _is_sqlite(connection):
        return func.to_char(column, "YYYY-MM-DD HH24:MI:SS.US")
    return cast(column, Text)


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
