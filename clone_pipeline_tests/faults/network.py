"""A piece of network before servers, which can be cut: everything that passes is thrown away, or
every connection ends at once and no new one is let in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum


class Cut(Enum):
    SILENT = "nothing comes through, and nobody is told"
    RESET = "connections end, and none is made"


class Network:
    """Each address that it is made for can be reached by one of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._cut: Cut | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []

    def cut(self, how: Cut) -> None:
        self._loop.call_soon_threadsafe(self._set, how)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._set, None)

    def _set(self, how: Cut | None) -> None:
        self._cut = how
        if how is None:
            self._whole.set()
        elif how is Cut.SILENT:
            self._whole.clear()
        else:
            for writer in self._open:
                writer.transport.abort()

    async def listen(self, port: int, to: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connected(reader, writer, to)

        self._servers.append(await asyncio.start_server(connected, "127.0.0.1", port))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int
    ) -> None:
        if self._cut is Cut.RESET:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there[1]}
        self._open |= both
        try:
            await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))
        finally:
            self._open -= both
            for one in both:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextmanager
def network(*ways: tuple[int, int]) -> Iterator[Network]:
    """Between ports of loopback, each way as (its own port, the server's)."""
    loop = asyncio.new_event_loop()
    made = Network(loop)
    for way in ways:
        loop.run_until_complete(made.listen(*way))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(made.close())
        loop.close()
