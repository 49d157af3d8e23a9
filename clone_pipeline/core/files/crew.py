"""Many files at once, and never more than a few at hand."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TypeVar

from ..errors import StoreUnavailable
from ..points.retry import Retry

Item = TypeVar("Item")
Result = TypeVar("Result")

# Most of the time is spent waiting for the store.
CONCURRENT = 16
# So that the main thread hears of a cancel, in seconds.
_HEARS_EVERY = 0.5


def several(
    items: Iterable[Item], function: Callable[[Item], Result], retry: Retry
) -> Generator[tuple[Item, Result], None, None]:
    """Each item with what the function makes of it, as they come. An item is tried again while the
    store is unavailable; what one raises ends all."""
    waiting = iter(items)
    # What has ended hands itself in: to ask all that are at work would cost more than a request.
    ended: SimpleQueue[Future[Result]] = SimpleQueue()
    at_work: dict[Future[Result], Item] = {}

    def once(item: Item) -> Result:
        retry.go_on()
        try:
            return function(item)
        except StoreUnavailable:
            return retry(lambda: function(item))

    with ThreadPoolExecutor(CONCURRENT, thread_name_prefix="file") as pool:

        def begin(count: int) -> None:
            for item in islice(waiting, count):
                future = pool.submit(once, item)
                at_work[future] = item
                future.add_done_callback(ended.put)

        try:
            begin(2 * CONCURRENT)
            while at_work:
                try:
                    future = ended.get(timeout=_HEARS_EVERY)
                except Empty:
                    continue
                yield at_work.pop(future), future.result()
                begin(1)
        except BaseException:
            retry.stop.set()
            for future in at_work:
                future.cancel()
            raise
