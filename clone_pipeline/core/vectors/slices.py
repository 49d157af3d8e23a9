"""Slices: fixed parts of a collection's id space, worked on side by side.

They are cut when a clone is planned and stand in the ledger: a resumed run, with however many
workers, goes on in the same ones. Together they cover every id there is or will be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, TypeVar

from .encoded import EncodedPage
from .ids import id_number, id_order
from .patience import Patience, Stopped
from .port import PointId, VectorStore

T = TypeVar("T")

# Small enough for every worker to have some, large enough for a checkpoint to be worth its row.
_POINTS_PER_SLICE = 5_000
_MOST_SLICES = 256

# More at once does not make one server faster.
CONCURRENT = 4

# The embedded store sorts all ids for each page, so its pages are large.
EMBEDDED_PAGE = 1000
# A server's pages are of about this size, whatever the size of a point; the first one finds out.
_PAGE_BYTES = 4 * 1024 * 1024
FIRST_PAGE, LARGEST_PAGE = 128, 1000
_FEWEST = 16


@dataclass(frozen=True)
class Slice:
    """The ids from `first` (None: the lowest) to before `until` (None: to the end)."""

    index: int
    first: PointId | None = None
    until: PointId | None = None

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "until": self.until}

    def __contains__(self, point_id: PointId) -> bool:
        place = id_order(point_id)
        return (self.first is None or id_order(self.first) <= place) and (
            self.until is None or place < id_order(self.until)
        )

    def __str__(self) -> str:
        if self.first is None and self.until is None:
            return "all points"
        first = "the first point" if self.first is None else f"point {self.first}"
        return f"from {first} " + ("on" if self.until is None else f"to before {self.until}")


def cut(store: VectorStore, collection: str, points: int) -> list[Slice]:
    """Slices of about one size, for a collection of so many points; one at least."""
    parts = min(_MOST_SLICES, -(-points // _POINTS_PER_SLICE))
    return from_firsts(store.split(collection, parts))


def from_firsts(firsts: Iterable[PointId]) -> list[Slice]:
    """The slices that begin at these ids (ascending), and the one before them."""
    edges: list[PointId | None] = [None, *firsts, None]
    return [Slice(index, first, until) for index, (first, until) in enumerate(pairwise(edges))]


def read_slice(
    store: VectorStore,
    collection: str,
    part: Slice,
    patience: Patience,
    offset: PointId | None = None,
) -> Iterator[EncodedPage]:
    """The slice's pages, from `offset` (inclusive) on; the last one's `next` is None.

    There is one page at least, which may be empty.
    """
    limit = EMBEDDED_PAGE if store.embedded else FIRST_PAGE
    offset = part.first if offset is None else offset
    while True:
        page = store.read(collection, limit, offset, patience)
        if part.until is not None and (page.next is None or page.next not in part):
            inside = takewhile(lambda point: point.id in part, page.points)
            page = EncodedPage(inside, page.count, None, page.bytes)
        yield page
        patience.pace(page.count)
        if page.next is None:
            return
        if page.bytes and page.count:
            limit = max(1, min(LARGEST_PAGE, _PAGE_BYTES * page.count // page.bytes))
            limit = min(limit, _left(part, offset, page))
        offset = page.next


def _left(part: Slice, offset: PointId | None, page: EncodedPage) -> int:
    """How many points the slice may have from `page.next` on, a few more than are expected: what is
    read beyond its end is read for nothing."""
    if part.until is None or page.next is None:
        return LARGEST_PAGE
    first = 0 if offset is None else id_number(offset)
    following = id_number(page.next)
    expected = (id_number(part.until) - following) * page.count // max(1, following - first)
    return expected + expected // 16 + _FEWEST


def for_each(
    items: Iterable[T], function: Callable[[T], None], workers: int, patience: Patience
) -> None:
    """Calls the function for every item, so many at a time. What one raises, ends all of them.

    With one worker all is done in the calling thread.
    """
    if workers <= 1:
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="slice") as pool:
        pending: set[Future[None]] = set()
        try:
            pending.update(pool.submit(function, item) for item in items)
            while pending:
                # Not for ever, so that the main thread hears of a cancel.
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                _raise_first(done)
        except BaseException:
            patience.stop.set()
            for future in pending:
                future.cancel()
            raise


def _raise_first(done: set[Future[None]]) -> None:
    errors = [error for future in done if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, Stopped):
            raise error
