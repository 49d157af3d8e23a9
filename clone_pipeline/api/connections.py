"""Connections: how many there may be, and how long one may stay idle.

uvicorn closes a connection that is idle after an answer, and waits for ever for a first request.
Sockets that say nothing would use up the files that a process may have, and nobody else would be
let in.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen at run time
    """One connection. A new one beyond the most there may be takes the place of the one that has
    kept us waiting for longest; where all are at work it is refused."""

    # Below the 1,024 files that a process may have by default; the stores need some, too.
    most = 512
    idle_seconds = 10.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._rest()
        there = [one for one in self.connections if not one.transport.is_closing()]
        if len(there) > self.most:
            waited_for = [one for one in there if one is not self and one.is_waited_for]
            min(waited_for, key=lambda one: one.idle_since, default=self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._timer.cancel()
        self._rest()

    @property
    def is_idle(self) -> bool:
        """No request of it is at work: none has come, as far as the end of its head."""
        return self.cycle is None or bool(self.cycle.response_complete)

    @property
    def is_waited_for(self) -> bool:
        """Nothing is at work before it says more: it is idle, or its request has yet to end."""
        return self.is_idle or bool(self.cycle.more_body)

    def _rest(self) -> None:
        self.idle_since = time.monotonic()
        self._timer: asyncio.TimerHandle = self.loop.call_later(self.idle_seconds, self._end)

    def _end(self) -> None:
        if self.is_idle:
            self.transport.abort()
