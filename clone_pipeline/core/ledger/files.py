"""The rows of `clone_files`: what a clone copies, and how far each file is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..catalog.engine import Catalog
from ..catalog.schema import clone_files
from ..references import IdMap

State = Literal["pending", "copied", "missing", "refused"]
# By what a copy was proven. Of `size` there is no more evidence than that.
Proof = Literal["checksum", "etag", "size"]
PROOFS: tuple[Proof, ...] = ("checksum", "etag", "size")

_BATCH = 1000


@dataclass(frozen=True)
class FileRow:
    """One file: where it is, the key of its copy, and what is known of both."""

    file_id: str
    source: str
    key: str
    sha256: str | None
    state: State
    size: int | None
    source_etag: str | None
    etag: str | None
    proof: Proof | None
    error: str | None


@dataclass(frozen=True)
class Totals:
    """How many files there are in each state, the bytes of those that are copied, and by what they
    were proven."""

    states: Mapping[str, int]
    bytes: int
    proofs: Mapping[str, int]

    @property
    def count(self) -> int:
        return sum(self.states.values())


def note_files(
    connection: Connection, clone_id: str, ids: IdMap, files: Mapping[str, str | None]
) -> None:
    """Puts files on record as to be copied, by location, each with its SHA-256 where an object says
    that; in the transaction that writes what refers to them. Those that are known stay as they
    are."""
    if ids.files is None or not files:
        return
    rows = [
        {
            "clone_id": clone_id,
            "file_id": sha256(location.encode()).hexdigest()[:32],
            "source": location,
            "key": ids.files.key(location),
            "sha256": digest,
            "state": "pending",
        }
        for location, digest in sorted(files.items())
    ]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(clone_files).on_conflict_do_nothing(), rows)


def read_files(
    catalog: Catalog, clone_id: str, *states: State, proofs: Collection[str | None] = ()
) -> Iterator[FileRow]:
    """The files in one of these states, in the order of their ids; with `proofs`, those that were
    proven so. A few at a time, each by a look of its own: marks may be written meanwhile."""
    columns = [clone_files.c[name] for name in FileRow.__dataclass_fields__]
    query = select(*columns).where(
        clone_files.c.clone_id == clone_id, clone_files.c.state.in_(states)
    )
    last = ""
    while True:
        part = query.where(clone_files.c.file_id > last).order_by(clone_files.c.file_id)
        with catalog.read() as connection:
            rows = connection.execute(part.limit(_BATCH)).mappings().all()
        for row in rows:
            one = FileRow(**row)
            if not proofs or one.proof in proofs:
                yield one
        if len(rows) < _BATCH:
            return
        last = rows[-1]["file_id"]


def read_totals(connection: Connection, clone_id: str) -> Totals:
    kinds = (clone_files.c.state, clone_files.c.proof)
    query = (
        select(*kinds, func.count(), func.coalesce(func.sum(clone_files.c.size), 0))
        .where(clone_files.c.clone_id == clone_id)
        .group_by(*kinds)
    )
    states: dict[str, int] = {}
    proofs: dict[str, int] = {}
    size = 0
    for state, proof, count, bytes_ in connection.execute(query):
        states[state] = states.get(state, 0) + count
        if state == "copied":
            size += int(bytes_)
            proofs[proof or "nothing"] = proofs.get(proof or "nothing", 0) + count
    return Totals(states, size, proofs)


def mark_files(
    connection: Connection, clone_id: str, marks: Iterable[tuple[str, Mapping[str, Any]]]
) -> None:
    """Writes what has become of files: (file_id, values of columns)."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for file_id, values in marks:
        row = {f"new_{name}": value for name, value in values.items()} | {"of_file": file_id}
        by_columns.setdefault(tuple(values), []).append(row)
    for columns, rows in by_columns.items():
        statement = (
            update(clone_files)
            .where(
                clone_files.c.clone_id == clone_id, clone_files.c.file_id == bindparam("of_file")
            )
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        connection.execute(statement, rows)


def forget_copies(connection: Connection, clone_id: str, *states: State) -> None:
    """Files in these states count as not copied any more."""
    mine = clone_files.c.clone_id == clone_id
    connection.execute(
        update(clone_files)
        .where(mine, clone_files.c.state.in_(states))
        .values(state="pending", etag=None, proof=None, error=None)
    )
