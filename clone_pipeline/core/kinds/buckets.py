"""Buckets and their objects.

Objects come in millions. Their rows are copied inside the database, and only those whose document
holds something to rewrite travel through us; both in one transaction, from one snapshot.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    cast,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
)

from ..catalog.engine import dumps
from ..catalog.schema import clone_resources, objects
from ..references import OBJECT_KEYS, Rewriter
from ..report import StepReport
from ..vectors.digest import Digest
from ..work import Work
from .base import ResourceKind, insert_planned, small_report

_BATCH = 1000


@dataclass(frozen=True)
class Copying:
    """What it takes to read a namespace's objects as they must stand in a clone."""

    source_key: int
    rewriter: Rewriter


def clone(work: Work, kind: ResourceKind) -> StepReport:
    with work.lease.write(snapshot=True) as connection:
        insert_planned(connection, work, kind)
        report = small_report(connection, work, kind)
        digest, size, references = _copy_objects(connection, work)
        report = replace(
            report,
            counts={**report.counts, "objects": digest.count},
            bytes=report.bytes + size,
            details={
                "objects_digest": digest.to_json(),
                "object_references": [
                    {"path": path, "outcome": outcome, "count": count}
                    for (path, outcome), count in sorted(references.items())
                ],
            },
        )
        return work.store(connection, report)


BUCKET = ResourceKind(
    name="bucket", plural="buckets", step="clone_buckets", switch=None, clone=clone
)


def copying(work: Work) -> Copying:
    return Copying(work.clone.source_namespace_key, work.rewriter)


def object_digest(object_id: str, bucket_id: str, document: str) -> int:
    """A digest of one object's row; `document` is its JSON text."""
    hashed = blake2b(digest_size=16)
    for part in (object_id, bucket_id, document):
        encoded = part.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(8, "little"))
        hashed.update(encoded)
    return int.from_bytes(hashed.digest(), "little")


def _copy_objects(
    connection: Connection, work: Work
) -> tuple[Digest, int, Counter[tuple[str, str]]]:
    """Copies all objects; digests them as they must stand in the target, from what was read."""
    connection.execute(_insert_unchanged(work))
    digest, size = Digest(), 0
    references: Counter[tuple[str, str]] = Counter()
    batch: list[dict[str, Any]] = []
    for row, text, rewritten in read_rewritten(connection, copying(work), references):
        digest.add(object_digest(row["object_id"], row["bucket_id"], text))
        size += len(text)
        if rewritten:
            batch.append(row | {"namespace_key": work.clone.namespace_key})
        if len(batch) == _BATCH:
            connection.execute(insert(objects), batch)
            batch = []
    if batch:
        connection.execute(insert(objects), batch)
    return digest, size, references


def read_rewritten(
    connection: Connection, copying: Copying, references: Counter[tuple[str, str]]
) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """The source's objects as they must stand in the clone, by object id; those of a bucket that
    came after the plan are not part of it.

    Each with its row, the text of its document, and whether its document had to be touched.
    """
    rewriter = copying.rewriter
    new_bucket = rewriter.ids.ids["bucket"]
    for row in connection.execute(_read_source(copying.source_key)).mappings():
        if row["bucket_id"] not in new_bucket:
            continue
        values = {
            "object_id": row["object_id"],
            "bucket_id": new_bucket[row["bucket_id"]],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
        text = row["text"]
        if not row["touched"]:
            yield values, text, False
            continue
        document, found = rewriter.rewrite_object(json.loads(text))
        references.update(found)
        yield values | {"document": document}, dumps(document), True


def read_target(connection: Connection, namespace_key: int) -> Iterator[tuple[str, str, str]]:
    """(object id, bucket id, document text) of every object of a namespace, by object id."""
    query = (
        select(objects.c.object_id, objects.c.bucket_id, cast(objects.c.document, Text))
        .where(objects.c.namespace_key == namespace_key)
        .order_by(objects.c.object_id)
        .execution_options(yield_per=_BATCH)
    )
    for row in connection.execute(query):
        yield row[0], row[1], row[2]


def _touched() -> Any:
    """Whether a document may hold something to rewrite: one of the keys stands in its text.

    Text, not JSON functions: those fail on an escaped NUL, which is valid in a document. A key in
    user data only costs that object the slower way.
    """
    text: Any = cast(objects.c.document, Text)
    return or_(*(_holds(text, key) for key in sorted(OBJECT_KEYS)))


def _holds(text: Any, key: str) -> Any:
    """Whether the key is there with a value; most objects have an empty `source_details`."""
    rest = text
    for nothing in (":[]", ": []", ":null", ": null"):
        rest = func.replace(rest, f'"{key}"{nothing}', "")
    return and_(
        text.contains(f'"{key}"', autoescape=True), rest.contains(f'"{key}"', autoescape=True)
    )


def _insert_unchanged(work: Work) -> Any:
    planned = clone_resources.c
    rows = (
        select(
            literal(work.clone.namespace_key),
            objects.c.object_id,
            planned.target_id,
            objects.c.document,
            objects.c.created_at,
            objects.c.updated_at,
        )
        .join(clone_resources, planned.source_id == objects.c.bucket_id)
        .where(planned.clone_id == work.clone.clone_id, planned.kind == "bucket")
        .where(objects.c.namespace_key == work.clone.source_namespace_key)
        .where(not_(_touched()))
    )
    columns = ["namespace_key", "object_id", "bucket_id", "document", "created_at", "updated_at"]
    return insert(objects).from_select(columns, rows)


def _read_source(namespace_key: int) -> Select[Any]:
    return (
        select(
            objects.c.object_id,
            objects.c.bucket_id,
            cast(objects.c.document, Text).label("text"),
            _touched().label("touched"),
            objects.c.created_at,
            objects.c.updated_at,
        )
        .where(objects.c.namespace_key == namespace_key)
        .order_by(objects.c.object_id)
        .execution_options(yield_per=_BATCH)
    )
