"""Loops that do nothing else: upserts of points that are in memory already, and scrolls whose
answers nobody looks at. What the server lets any client have."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from clone_pipeline.core.points.pages import CONCURRENT, LARGEST_PAGE, PAGE_BYTES
from clone_pipeline.core.vectors.channel import Channel
from clone_pipeline.core.vectors.encoded import received, split_page
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.vectors.slices import Slice, cut

from .meter import Meter, Used
from .server import Server


class Upserts:
    """The points of a collection, held in memory, to be written to another one of the server."""

    def __init__(self, server: Server, collection: str, target: str) -> None:
        self._store, self._channel = _open(server)
        self._target = target
        self._config = self._store.read_config(collection)
        self._batches = [
            [point.encoded for point in map(received, results) if point.id in part]
            for part in _slices(self._store, server, collection)
            for results in _answers(self._channel, collection, part)
        ]

    def run(self) -> None:
        self._store.create(self._target, self._config, for_loading=True)
        with ThreadPoolExecutor(CONCURRENT) as pool:
            list(pool.map(lambda some: self._channel.upsert(self._target, some), self._batches))
        self._store.finish_loading(self._target, self._config)


def scroll_all(sides: list[tuple[Server, str]]) -> Used:
    """Every page of these collections, side by side, each by as many threads as the product has."""
    work = [(channel, name, part) for channel, name, parts in map(_opened, sides) for part in parts]
    meter = Meter()
    with ThreadPoolExecutor(CONCURRENT * len(sides)) as pool:
        list(pool.map(_scroll, work))
    return meter.read()


def _opened(side: tuple[Server, str]) -> tuple[Channel, str, list[Slice]]:
    server, collection = side
    store, channel = _open(server)
    return channel, collection, _slices(store, server, collection)


def _scroll(work: tuple[Channel, str, Slice]) -> None:
    for _ in _answers(*work):
        pass


def _answers(channel: Channel, collection: str, part: Slice) -> Iterator[list[bytes]]:
    """The points of each page of the slice, and what the last one has beyond it."""
    limit, offset = LARGEST_PAGE, part.first
    while True:
        answer = channel.scroll(collection, limit, offset)
        results, following = split_page(answer)
        yield results
        if following is None or following not in part:
            return
        limit = max(1, min(LARGEST_PAGE, PAGE_BYTES * len(results) // len(answer)))
        offset = following


def _slices(store: ServerStore, server: Server, collection: str) -> list[Slice]:
    return cut(store, collection, server.count(collection))


def _open(server: Server) -> tuple[ServerStore, Channel]:
    host = f"{urlsplit(server.url).hostname}:{server.grpc_port}"
    channel = Channel(host, tls=False, api_key=None, where="Qdrant", timeout_seconds=600)
    return ServerStore.open(server.url, grpc_port=server.grpc_port), channel
