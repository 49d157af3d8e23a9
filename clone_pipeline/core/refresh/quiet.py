"""Whether a source was quiet since it was read whole: then a refresh need not read its points.

A server's word for it is the number of its last write. A collection that was deleted and made anew,
or put back from a snapshot, may have been written to just as often, but its segments are others, or
were loaded later. So both have to be what they were, from before it was read; and once in a while
the source is read all the same, as it is by another version of this program, which may know of more
places to rewrite.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from .marks import is_told

if TYPE_CHECKING:
    from ..outputs import SourceRead
    from ..vectors.port import VectorStore

READ_ANEW_AFTER = timedelta(days=7)


class Disturbed(Exception):
    """What was taken for unchanged without reading its points is not: they have to be read."""


def as_read(
    source: VectorStore,
    target: VectorStore,
    collection: str,
    mark: str,
    segments: str | None,
    now: datetime,
) -> SourceRead | None:
    """What is kept of a source that was read whole at that mark, which is still its mark;
    `segments` are those of before it was read. None where they are others by now, or not told."""
    if segments is None or not is_told(mark) or source.segments(collection) != segments:
        return None
    return {
        "mark": mark,
        "segments": segments,
        "target": target.identity(),
        "read_at": now.isoformat(),
        "read_by": _program(),
    }


def _program() -> str:
    return version("clone-pipeline")


def is_quiet(
    source: VectorStore,
    target: VectorStore,
    collection: str,
    mark: str,
    read: SourceRead,
    now: datetime,
) -> bool:
    """Whether nobody seems to have written to the source, whose mark is `mark` now, since it was
    read; and whether the target's server tells of writes since then, which it does not where it was
    restarted: it may count some anew (1.18: `applied_seq.rs`)."""
    age = abs(now - datetime.fromisoformat(read["read_at"]))
    if mark != read["mark"] or age >= READ_ANEW_AFTER or read["read_by"] != _program():
        return False
    if target.identity() != read["target"]:
        return False
    return source.segments(collection) == read["segments"]
