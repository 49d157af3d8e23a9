"""Whether a source was quiet since it was read whole: then a refresh need not read its points.

A server's word for it is the number of its last write. A collection that was deleted and made anew,
or put back from a snapshot, may have been written to just as often, but its segments are others, or
were loaded later. So both have to be what they were; and once in a while the source is read all the
same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from .marks import is_told

if TYPE_CHECKING:
    from ..outputs import SourceRead
    from ..vectors.port import VectorStore

READ_ANEW_AFTER = timedelta(days=7)


class Disturbed(Exception):
    """What was taken for unchanged without reading its points is not: they have to be read."""


def as_read(
    store: VectorStore, collection: str, mark_read: str | None, now: datetime
) -> SourceRead | None:
    """What is kept of a source that was read whole at that mark, which is still its mark."""
    if mark_read is None or not is_told(mark_read):
        return None
    segments = store.segments(collection)
    if segments is None:
        return None
    return {"mark": mark_read, "segments": segments, "read_at": now.isoformat()}


def is_quiet(
    store: VectorStore, collection: str, mark: str, read: SourceRead, now: datetime
) -> bool:
    """Whether nobody seems to have written to the source, whose mark is `mark` now, since it was
    read."""
    age = abs(now - datetime.fromisoformat(read["read_at"]))
    if mark != read["mark"] or age >= READ_ANEW_AFTER:
        return False
    return store.segments(collection) == read["segments"]
