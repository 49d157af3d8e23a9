"""Turns: how many requests of one organization are at work at once.

Lists and plans are work for the processor, and this process has one at a time: many of one caller's
at once would make each step of everybody else's wait for all of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Literal
from weakref import WeakValueDictionary

from fastapi import Request

from clone_pipeline.api.service import Caller

# One may be long, like a plan; the other lets its caller poll meanwhile.
MOST_AT_ONCE = 2
# How long a thread that computes keeps the interpreter while others want it. A short request asks
# for it ten times and more, and would wait as often for what Python has by default: 5 ms.
_SWITCH_SECONDS = 0.0005


class Turns:
    """The turns of all keys and organizations that have a request now."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[str, str | None], asyncio.Semaphore] = (
            WeakValueDictionary()
        )

    def of(self, whose: Literal["key", "organization"], id: str | None) -> asyncio.Semaphore:
        """To be held while a request of the key or the organization is at work."""
        return self._held.setdefault((whose, id), asyncio.Semaphore(MOST_AT_ONCE))


async def turn(request: Request, caller: Caller) -> AsyncIterator[None]:
    """Holds a turn of the caller's key, then one of its organization, until there is an answer. The
    body has come before: one that does not come holds none.

    Many keys give an organization no more turns, and of its keys none waits for all that another
    one has asked for.
    """
    turns: Turns = request.app.state.turns
    async with turns.of("key", caller.key_id), turns.of("organization", caller.organization_id):
        yield


def switch_often() -> None:
    """For the whole process: what one thread computes makes the short work of others wait less."""
    sys.setswitchinterval(_SWITCH_SECONDS)
