"""The catalog's records of a clone against what they must be, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS, Document, RecordTable, assemble, read_object
from ..catalog.namespace import Namespace
from ..catalog.reading import loads
from ..catalog.schema import clone_resources, objects
from ..difference import Differences, differing_fields, merged
from ..kinds import KINDS, ResourceKind
from ..ledger.files import note_files
from ..ledger.work import Work
from ..plan.restore import Parked, of_document, restore_document
from ..records.objects import (
    Copying,
    ObjectRow,
    copying,
    digest_of,
    digest_target,
    insert_objects,
    read_rewritten,
    read_target,
    read_touched,
)
from ..references import Places, Rewriter, folded
from ..source import Snapshots
from ..vectors.digest import Digest, canonical

Key = tuple[str, int]

_BATCH = 1000  # of objects that are repaired in one transaction


@dataclass(frozen=True)
class Records:
    """What was found of the catalog's side: how many, and their digests for the seal."""

    counts: dict[str, int]
    digests: dict[str, Any]


def read_planned(connection: Connection, clone_id: str, kind: str) -> dict[Key, Document]:
    """The raw documents that the clone must have, by id and version."""
    planned = clone_resources.c
    query = select(clone_resources).where(planned.clone_id == clone_id, planned.kind == kind)
    record = RECORDS[kind]
    found = {}
    for row in connection.execute(query).mappings():
        values = {
            record.id_field: row["target_id"],
            str(record.name_field): row["name"],
            "version": row["version"],
            "document": row["document"],
        }
        found[row["target_id"], row["version"]] = assemble(values, record)
    return found


def read_actual(connection: Connection, namespace_key: int, kind: str) -> dict[Key, Document]:
    """The raw documents of a namespace, by id and version."""
    record = RECORDS[kind]
    rows = catalog.read_records(connection, namespace_key, kind)
    return {(row[record.id_field], record.version_of(row)): assemble(row, record) for row in rows}


def read_expected(
    connection: Connection,
    namespace_key: int,
    kind: str,
    rewriter: Rewriter,
    put_back: Sequence[Parked],
) -> dict[Key, Document]:
    """The raw documents of a source as a clone of it must have them now, by new id and version;
    `put_back` is what a restore has put back in them."""
    found = {}
    for key, document in read_actual(connection, namespace_key, kind).items():
        raw, _ = restore_document(document, of_document(put_back, kind, *key))
        rewritten, _ = rewriter.rewrite(kind, raw)
        found[rewritten[RECORDS[kind].id_field], key[1]] = rewritten
    return found


def compare_documents(
    kind: str,
    expected: Mapping[Key, Document],
    actual: Mapping[Key, Document],
    found: Differences,
) -> list[Key]:
    """Names what differs. Returns the keys that do."""
    differing = []
    for key in dict.fromkeys([*expected, *actual]):
        name = key[0] if key[1] == 0 else f"{key[0]} version {key[1]}"
        if key not in actual:
            fields = ["is missing"]
        elif key not in expected:
            fields = ["is extra"]
        else:
            fields = list(differing_fields(expected[key], actual[key]))
        if fields:
            found.add(kind, name, *fields)
            differing.append(key)
    return differing


def check_small(work: Work, kind: ResourceKind, *, repair: bool) -> Differences:
    """Compares a kind of which there are few with the plan; `repair` writes what differs again."""
    found = Differences()
    with work.stores.catalog.read() as connection:
        expected = read_planned(connection, work.clone.clone_id, kind.name)
        actual = read_actual(connection, work.clone.namespace_key, kind.name)
    differing = compare_documents(kind.name, expected, actual, found)
    if repair and differing:
        _repair_small(work, kind, differing, expected, actual)
    return found


def _repair_small(
    work: Work,
    kind: ResourceKind,
    differing: Sequence[Key],
    expected: Mapping[Key, Document],
    actual: Mapping[Key, Document],
) -> None:
    """Writes what differs as the plan has it. Names are unique, so room for them is made first."""
    record = RECORDS[kind.name]
    name = str(record.name_field)
    with work.lease.write() as connection:
        for number, key in enumerate(differing):
            place = _place(work, record, key)
            if key not in expected:
                connection.execute(delete(record.table).where(*place))
            elif key in actual and actual[key][name] != expected[key][name]:
                free = {name: f"{number} of {work.clone.clone_id}"}
                connection.execute(update(record.table).where(*place).values(free))
        for key in differing:
            if key not in expected:
                continue
            values = _planned_values(connection, work, record, key)
            if key in actual:
                place = _place(work, record, key)
                connection.execute(update(record.table).where(*place).values(values))
            else:
                values["namespace_key"] = work.clone.namespace_key
                connection.execute(insert(record.table).values(values))


def _place(work: Work, record: RecordTable, key: Key) -> list[ColumnElement[bool]]:
    place = [
        record.table.c.namespace_key == work.clone.namespace_key,
        record.table.c[record.id_field] == key[0],
    ]
    return [*place, record.table.c.version == key[1]] if record.versioned else place


def _planned_values(
    connection: Connection, work: Work, record: RecordTable, key: Key
) -> dict[str, Any]:
    planned = clone_resources.c
    query = select(clone_resources).where(
        planned.clone_id == work.clone.clone_id,
        planned.kind == record.kind,
        planned.target_id == key[0],
        planned.version == key[1],
    )
    row = connection.execute(query).mappings().one()
    identity = {record.id_field: key[0], str(record.name_field): row["name"]}
    if record.versioned:
        identity["version"] = key[1]
    copied = {name: row[name] for name in ("document", "created_at", "updated_at")}
    return identity | copied


def check_objects(work: Work, expected: Digest, *, repair: bool) -> tuple[Differences, Digest]:
    """The target's objects against the digest of what was copied.

    Only when it differs are they compared with the source one by one; `repair` then writes those
    that differ again, as the source has them now. Returns what differed and the digest of what
    must be there.
    """
    found = Differences()
    with work.stores.catalog.read() as connection:
        if digest_target(connection, work.clone.namespace_key) == expected:
            return found, expected
    now, source = Digest(), copying(work)
    with work.reading() as snapshots:
        differing = _compare_objects(snapshots, work, source, now, found)
        while batch := dict(islice(differing, _BATCH)):
            if repair:
                _repair_objects(work, batch)
    _note_files(work, source)
    return found, now


def _note_files(work: Work, source: Copying, at_least: int = 1) -> None:
    """Puts on record what the objects refer to that the clone has to have."""
    if source.rewriter.files and len(source.rewriter.files) >= at_least:
        files = source.rewriter.take_files()
        with work.lease.write() as connection:
            note_files(connection, work.clone.clone_id, source.rewriter.ids, files)


def _compare_objects(
    snapshots: Snapshots, work: Work, copying: Copying, now: Digest, found: Differences
) -> Iterator[tuple[str, ObjectRow | None]]:
    """Both sides in one order, merged: each object that is not what it must be, and that (None: it
    must not be there). Adds to `now` what must be there."""
    source = read_rewritten(snapshots.source, copying, Counter())
    target = read_target(snapshots.own, work.clone.namespace_key)
    for expected, actual in merge_objects(source, target):
        _note_files(work, copying, at_least=_BATCH)
        if expected is not None:
            now.merge(digest_of([expected]))
            if not same_object(expected, actual, found):
                yield expected[0], expected
        elif actual is not None:
            found.add("object", actual[0], "is extra")
            yield actual[0], None


def same_object(
    expected: ObjectRow, actual: tuple[str, str, str] | None, found: Differences
) -> bool:
    """Whether an object stands in the target as it must; names what differs."""
    if actual is None:
        found.add("object", expected[0], "is missing")
        return False
    if actual == expected[:3]:
        return True
    before, after = (loads(text) for _, _, text in (expected[:3], actual))
    if isinstance(before, dict) and isinstance(after, dict):
        fields = list(
            differing_fields(
                {"bucket_id": expected[1], **before}, {"bucket_id": actual[1], **after}
            )
        )
        found.add("object", expected[0], *(fields or ["differs in how its JSON is written"]))
    else:
        found.add("object", expected[0], "is not the same, and not a JSON object")
    return False


def merge_objects(
    source: Iterator[ObjectRow], target: Iterator[tuple[str, str, str]]
) -> Iterator[tuple[ObjectRow | None, tuple[str, str, str] | None]]:
    """Pairs of the same object id; both sides come by object id."""
    return merged(source, target, itemgetter(0))


def _repair_objects(work: Work, differing: Mapping[str, ObjectRow | None]) -> None:
    key = work.clone.namespace_key
    with work.lease.write() as connection:
        connection.execute(
            delete(objects).where(
                objects.c.namespace_key == key, objects.c.object_id.in_(differing)
            )
        )
        insert_objects(connection, key, [row for row in differing.values() if row is not None])


def source_ids_left(work: Work, found: Differences) -> Places:
    """Names every id of the source that still stands at a mapped place of the clone's records.

    Returns where else one stands, as a whole; among objects only for `verify: full`.
    """
    rewriter, key = work.rewriter, work.clone.namespace_key
    unlisted = Places()
    with work.stores.catalog.read() as connection:
        namespace = catalog.by_key(connection, key)
        documents = [("namespace", namespace.namespace_id, namespace.raw)]
        for kind in KINDS:
            actual = read_actual(connection, key, kind.name)
            documents += [(kind.name, id, document) for (id, _), document in actual.items()]
        for kind_name, id, document in documents:
            _left(rewriter, kind_name, id, document, found)
            for one in rewriter.unlisted(kind_name, document):
                unlisted.add(kind_name, folded(one.path, one.old))
        looked_for = rewriter.source_ids if work.request.verify == "full" else None
        for object_id, bucket_id, text in read_touched(connection, key, looked_for):
            document = {
                "object_id": object_id,
                "bucket_id": bucket_id,
                **read_object(object_id, text),
            }
            _left(rewriter, "object", object_id, document, found)
            if looked_for is not None:
                for place in rewriter.unlisted_places("object", document):
                    unlisted.add("object", place)
    return unlisted


def _left(rewriter: Rewriter, kind: str, id: str, document: Document, found: Differences) -> None:
    for path, old in rewriter.source_ids_left(kind, document):
        found.add(kind, id, f"{path} still holds the source's {old}")


def read_records(connection: Connection, namespace: Namespace) -> Records:
    """Counts and digests of everything that a namespace has in the catalog."""
    counts, digests = {}, {}
    for kind in KINDS:
        digest = Digest()
        for key, document in read_actual(connection, namespace.key, kind.name).items():
            digest.add(_hash([*key, document]))
        digests[kind.name] = digest.to_json()
        counts[kind.plural] = catalog.count_records(connection, namespace.key, kind.name)
    own = Digest()
    own.add(_hash([namespace.name, namespace.document]))
    digests["namespace"] = own.to_json()
    objects_digest = digest_target(connection, namespace.key)
    digests["object"] = objects_digest.to_json()
    counts["objects"] = objects_digest.count
    return Records(counts, digests)


def _hash(value: Any) -> int:
    return int.from_bytes(blake2b(canonical(value), digest_size=16).digest(), "little")
