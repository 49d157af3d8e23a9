"""Many files at once, and never more than a few at hand."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from ..points.retry import Retry, Stopped

Item = TypeVar("Item")
Result = TypeVar("Result")

# Most of the time is spent waiting for the store.
CONCURRENT = 16


def several(
    items: Iterable[Item], function: Callable[[Item], Result], retry: Retry
) -> Generator[tuple[Item, Result], None, None]:
    """Each item with what the function makes of it, as they come. An item is tried again while the
    store is unavailable; what one raises ends all."""
    waiting = iter(items)
    with ThreadPoolExecutor(CONCURRENT, thread_name_prefix="file") as pool:
        at_work: dict[Future[Result], Item] = {}

        def attempt(item: Item) -> Result:
            return retry(lambda: function(item))

        def begin(count: int) -> None:
            for item in islice(waiting, count):
                at_work[pool.submit(attempt, item)] = item

        try:
            begin(2 * CONCURRENT)
            while at_work:
                # Not for ever, so that the main thread hears of a cancel.
                done, _ = wait(at_work, timeout=0.5, return_when=FIRST_COMPLETED)
                _raise_first(done)
                for future in done:
                    yield at_work.pop(future), future.result()
                begin(len(done))
        except BaseException:
            retry.stop.set()
            for future in at_work:
                future.cancel()
            raise


def _raise_first(done: Iterable[Future[Result]]) -> None:
    errors = [error for future in done if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, Stopped):
            raise error
    for error in errors:
        raise error
