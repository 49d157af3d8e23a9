"""Pages of a slice: how large they are, how they are read, and how many slices at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import takewhile

from ..errors import NoShardKey
from ..ledger.work import Work
from ..vectors.encoded import EncodedPage
from ..vectors.ids import id_number
from ..vectors.point import PointId
from ..vectors.port import VectorStore
from ..vectors.slices import Slice, T
from .retry import Retry, Stopped

# More at once does not make one server faster (measured with 1.18 on two cores).
CONCURRENT = 4


# The embedded store sorts all ids for each page, so its pages are large.
EMBEDDED_PAGE = 1000


# A server's pages are of about this size, whatever the size of a point; the first one finds out.
PAGE_BYTES = 4 * 1024 * 1024


FIRST_PAGE, LARGEST_PAGE = 128, 1000


_FEWEST = 16


def read_slice(
    store: VectorStore,
    collection: str,
    part: Slice,
    retry: Retry,
    offset: PointId | None = None,
) -> Iterator[EncodedPage]:
    """The slice's pages, from `offset` (inclusive) on; the last one's `next` is None.

    There is one page at least, which may be empty. Raises NoShardKey where the collection does not
    have the slice's key.
    """
    store = part.within(store)
    limit = EMBEDDED_PAGE if store.embedded else FIRST_PAGE
    offset = part.first if offset is None else offset
    while True:
        page = store.read(collection, limit, offset, retry)
        if part.until is not None and (page.next is None or page.next not in part):
            inside = takewhile(lambda point: point.id in part, page.points)
            page = EncodedPage(inside, page.count, None, page.bytes)
        yield page
        retry.pace(page.count)
        if page.next is None:
            return
        if page.bytes and page.count:
            limit = max(1, min(LARGEST_PAGE, PAGE_BYTES * page.count // page.bytes))
            limit = min(limit, _left(part, offset, page))
        offset = page.next


def read_if_there(
    store: VectorStore, collection: str, part: Slice, retry: Retry
) -> Iterator[EncodedPage]:
    """As `read_slice`; a shard key that is not there has no points."""
    with suppress(NoShardKey):
        yield from read_slice(store, collection, part, retry)


def _left(part: Slice, offset: PointId | None, page: EncodedPage) -> int:
    """How many points the slice may have from `page.next` on, a few more than are expected: what is
    read beyond its end is read for nothing."""
    if part.until is None or page.next is None:
        return LARGEST_PAGE
    first = 0 if offset is None else id_number(offset)
    following = id_number(page.next)
    expected = (id_number(part.until) - following) * page.count // max(1, following - first)
    return expected + expected // 16 + _FEWEST


def for_each(items: Iterable[T], function: Callable[[T], None], workers: int, retry: Retry) -> None:
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
            retry.stop.set()
            for future in pending:
                future.cancel()
            raise


def workers(work: Work, store: VectorStore) -> int:
    """How many slices a process works on at once."""
    return 1 if store.embedded else work.request.concurrent_slices or CONCURRENT


def _raise_first(done: set[Future[None]]) -> None:
    errors = [error for future in done if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, Stopped):
            raise error
