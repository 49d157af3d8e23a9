"""What goes on beside a step that is at work: heartbeats, and telling how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(name: str, seconds: float, turn: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `turn` is called every so many seconds, in a thread of that name."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(seconds):
            turn()

    thread = threading.Thread(target=go_on, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
