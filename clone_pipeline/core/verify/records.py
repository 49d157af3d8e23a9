"""The catalog's records of a clone against what they must be, one by one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS, Document, RecordTable, assemble
from ..catalog.namespaces import Namespace
from ..catalog.schema import clone_resources, objects
from ..kinds import KINDS, ResourceKind
from ..kinds.buckets import copying, object_digest, read_rewritten, read_target
from ..references import OBJECT_KEYS, Rewriter
from ..vectors.digest import Digest, canonical
from ..work import Work
from .difference import Differences, differing_fields

Key = tuple[str, int]


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
        found[row["target_id"], row["version"]] = assemble(values, record.columns)
    return found


def read_actual(connection: Connection, namespace_key: int, kind: str) -> dict[Key, Document]:
    """The raw documents of a namespace, by id and version."""
    record = RECORDS[kind]
    rows = catalog.read_records(connection, namespace_key, kind)
    return {
        (row[record.id_field], row["version"] if kind == "taxonomy" else 0): assemble(
            row, record.columns
        )
        for row in rows
    }


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
    return [*place, record.table.c.version == key[1]] if "version" in record.columns else place


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
    if "version" in record.columns:
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
        actual = digest_objects(connection, work.clone.namespace_key)
    if actual == expected:
        return found, expected
    with work.stores.catalog.read() as connection:
        now, differing = _compare_objects(connection, work, found)
    if repair and differing:
        _repair_objects(work, differing)
    return found, now


def digest_objects(connection: Connection, namespace_key: int) -> Digest:
    digest = Digest()
    for object_id, bucket_id, text in read_target(connection, namespace_key):
        digest.add(object_digest(object_id, bucket_id, text))
    return digest


def _compare_objects(
    connection: Connection, work: Work, found: Differences
) -> tuple[Digest, dict[str, dict[str, Any] | None]]:
    """Both sides in one order, merged. Returns what must be there, and each that is not so."""
    digest = Digest()
    differing: dict[str, dict[str, Any] | None] = {}
    source = read_rewritten(connection, copying(work), Counter())
    target = read_target(connection, work.clone.namespace_key)
    for expected, actual in merge_objects(source, target):
        if expected is not None:
            row, text, _ = expected
            digest.add(object_digest(row["object_id"], row["bucket_id"], text))
        if expected is None and actual is not None:
            found.add("object", actual[0], "is extra")
            differing[actual[0]] = None
        elif expected is not None and not same_object(expected, actual, found):
            row, text, _ = expected
            differing[row["object_id"]] = row | {"document": json.loads(text)}
    return digest, differing


def same_object(
    expected: tuple[dict[str, Any], str, bool],
    actual: tuple[str, str, str] | None,
    found: Differences,
) -> bool:
    """Whether an object stands in the target as it must; names what differs."""
    row, text, _ = expected
    if actual is None:
        found.add("object", row["object_id"], "is missing")
        return False
    if (actual[1], actual[2]) == (row["bucket_id"], text):
        return True
    before = {"bucket_id": row["bucket_id"], **json.loads(text)}
    fields = list(differing_fields(before, {"bucket_id": actual[1], **json.loads(actual[2])}))
    found.add("object", row["object_id"], *(fields or ["differs in how its JSON is written"]))
    return False


def merge_objects(
    source: Iterator[tuple[dict[str, Any], str, bool]], target: Iterator[tuple[str, str, str]]
) -> Iterator[tuple[tuple[dict[str, Any], str, bool] | None, tuple[str, str, str] | None]]:
    """Pairs of the same object id; both sides come in the order of the database."""
    left, right = next(source, None), next(target, None)
    # The databases' orders may differ from Python's, so only equality is relied on: an id that is
    # on one side only is told by what the other side still has to come.
    pending_left: dict[str, tuple[dict[str, Any], str, bool]] = {}
    pending_right: dict[str, tuple[str, str, str]] = {}
    while left is not None or right is not None:
        if left is not None:
            pending_left[left[0]["object_id"]] = left
        if right is not None:
            pending_right[right[0]] = right
        for key in [k for k in _keys(left, right) if k in pending_left and k in pending_right]:
            yield pending_left.pop(key), pending_right.pop(key)
        left, right = next(source, None), next(target, None)
    for rest in pending_left.values():
        yield rest, None
    for other in pending_right.values():
        yield None, other


def _keys(
    left: tuple[dict[str, Any], str, bool] | None, right: tuple[str, str, str] | None
) -> list[str]:
    keys = [] if left is None else [left[0]["object_id"]]
    if right is not None and right[0] not in keys:
        keys.append(right[0])
    return keys


def _repair_objects(work: Work, differing: Mapping[str, dict[str, Any] | None]) -> None:
    key = work.clone.namespace_key
    with work.lease.write() as connection:
        for object_id, row in differing.items():
            connection.execute(
                delete(objects).where(
                    objects.c.namespace_key == key, objects.c.object_id == object_id
                )
            )
            if row is not None:
                connection.execute(insert(objects).values(row | {"namespace_key": key}))


def source_ids_left(work: Work, found: Differences) -> None:
    """Names every id of the source that still stands at a mapped place of the clone's records."""
    rewriter = work.rewriter
    with work.stores.catalog.read() as connection:
        namespace = catalog.by_key(connection, work.clone.namespace_key)
        _left(rewriter, "namespace", namespace.namespace_id, namespace.raw, found)
        for kind in KINDS:
            actual = read_actual(connection, work.clone.namespace_key, kind.name)
            for key, document in actual.items():
                _left(rewriter, kind.name, key[0], document, found)
        for object_id, bucket_id, text in read_target(connection, work.clone.namespace_key):
            if any(f'"{name}"' in text for name in OBJECT_KEYS):
                document = {"object_id": object_id, "bucket_id": bucket_id, **json.loads(text)}
                _left(rewriter, "object", object_id, document, found)


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
    objects_digest = digest_objects(connection, namespace.key)
    digests["object"] = objects_digest.to_json()
    counts["objects"] = objects_digest.count
    return Records(counts, digests)


def _hash(value: Any) -> int:
    return int.from_bytes(blake2b(canonical(value), digest_size=16).digest(), "little")
