"""Whether the service can do its work, looked at once for everybody who asks at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from clone_pipeline.core.errors import CloneError

_FRESH_SECONDS = 2.0


class CachedLook:
    """A look that costs something, however often it is asked for: at most one at a time, and none
    while the last one is fresh. It needs no key, so it must not be a way to stop the others."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._running: asyncio.Task[CloneError | None] | None = None
        self._seen: CloneError | None = None
        self._until = 0.0

    async def check(self) -> None:
        """Raises what the look has raised."""
        if time.monotonic() >= self._until:
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._look_now())
            # Whoever waits for it may go away; the look goes on for the others.
            self._seen = await asyncio.shield(self._running)
        if self._seen is not None:
            raise self._seen.with_traceback(None)

    async def _look_now(self) -> CloneError | None:
        found: CloneError | None = None
        try:
            await run_in_threadpool(self._look)
        except CloneError as error:
            found = error
        self._until = time.monotonic() + _FRESH_SECONDS
        return found
