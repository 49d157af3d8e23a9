"""The table `clone_digests`: what a clone's points were when they were proven, for the refresh that
replaces it, or for the next backup."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, update

from ..catalog.schema import clone_digests


def keep_digests(connection: Connection, clone_id: str, slice_index: int, points: bytes) -> None:
    """The entries of one slice, in the place of those that there are."""
    this = {"clone_id": clone_id, "slice": slice_index}
    where = (clone_digests.c[name] == value for name, value in this.items())
    connection.execute(delete(clone_digests).where(*where))
    connection.execute(clone_digests.insert().values(**this, points=points))


def hand_over_digests(connection: Connection, clone_id: str, heir: str) -> None:
    """To a clone that has the same points in the same slices."""
    mine = clone_digests.c.clone_id == clone_id
    connection.execute(update(clone_digests).where(mine).values(clone_id=heir))


def forget_digests(connection: Connection, clone_ids: Iterable[str]) -> None:
    connection.execute(delete(clone_digests).where(clone_digests.c.clone_id.in_(list(clone_ids))))


def read_digests(connection: Connection, clone_id: str, slices: Iterable[int]) -> bytes | None:
    """The entries of these slices, one after the other; None where a slice has no row."""
    wanted = sorted(slices)
    query = (
        select(clone_digests.c.points)
        .where(clone_digests.c.clone_id == clone_id, clone_digests.c.slice.in_(wanted))
        .order_by(clone_digests.c.slice)
    )
    found = list(connection.execute(query).scalars())
    return b"".join(found) if len(found) == len(wanted) else None
