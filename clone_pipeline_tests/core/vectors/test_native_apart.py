"""Copying a collection out of another server, which the clone's own reads by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import WorkError
from clone_pipeline.core.vectors.native import Copied
from clone_pipeline.core.vectors.point import CollectionConfig, Point
from clone_pipeline.core.vectors.server import ServerStore

from ...environments.servers import READING, WRITING, qdrants
from .native_servers import KINDS, Proxy, everything, own_server, snapshots, standing, wide
from .points import PLAIN, plain_points

__all__ = ["qdrants"]  # fixture

pytestmark = pytest.mark.outside

# As its server calls itself where it reads a snapshot.
_QDRANT = "Qdrant/"


@pytest.fixture
def both(qdrants: tuple[str, str]) -> Iterator[tuple[ServerStore, ServerStore]]:
    """The source's server and the clone's, with the keys that may write."""
    with (
        closing(ServerStore.open(qdrants[0], WRITING)) as there,
        closing(ServerStore.open(qdrants[1], WRITING)) as here,
    ):
        yield there, here
        for server in (there, here):
            for name in server.collections():
                server.delete(name)


def made(server: ServerStore, config: CollectionConfig, points: list[Point]) -> None:
    server.create("a", config)
    server.upsert("a", points)


def copied(there: ServerStore, here: ServerStore) -> Copied:
    config = there.read_config("a")
    return here.native.copy("a", "b", config, sleep=time.sleep, out_of=there.native)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_arrives_and_no_snapshot_is_left(
    kind: str, both: tuple[ServerStore, ServerStore]
) -> None:
    there, here = both
    config, points = KINDS[kind]
    made(there, config, points)
    assert copied(there, here) == Copied(config.get("shard_number", 1), "pulled", None)
    assert everything(here, "b") == everything(there, "a")
    assert here.read_config("b") == there.read_config("a")
    assert snapshots(there, "a") == snapshots(here, "b") == []
    assert (there.collections(), here.collections()) == (["a"], ["b"])


class Recorder(Proxy):
    """`methods` and the bytes of the answers, by who asks: we or a Qdrant server."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.methods: set[str] = set()
        self.bytes = {"us": 0, "Qdrant": 0}

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        asks = "Qdrant" if handler.headers["User-Agent"].startswith(_QDRANT) else "us"
        written = handler.wfile.write

        def count(content: Any) -> int:
            self.bytes[asks] += len(content)
            return written(content)

        handler.wfile.write = count  # type: ignore[method-assign]
        self.methods.add(handler.command)
        super().serve(handler)


def test_the_points_do_not_come_our_way_and_the_source_is_only_read(
    both: tuple[ServerStore, ServerStore], qdrants: tuple[str, str]
) -> None:
    there, here = both
    made(there, {"vectors": {"": {"size": 64, "distance": "Dot"}}}, wide(64, 400))
    recorder = Recorder(qdrants[0])
    with standing(recorder, WRITING) as recorded:
        config = recorded.read_config("a")
        done = here.native.copy("a", "b", config, sleep=time.sleep, out_of=recorded.native)
    assert done.how == "pulled"
    assert recorder.methods == {"GET"}
    assert recorder.bytes["Qdrant"] > 100_000
    assert recorder.bytes["us"] < 10_000
    assert everything(here, "b") == everything(there, "a")


class TwoFaced(Proxy):
    """An address that is one server for us, and another one for Qdrant: `localhost`."""

    def __init__(self, for_us: str, for_qdrant: str) -> None:
        super().__init__(for_us)
        self.for_qdrant = for_qdrant

    def behind(self, handler: BaseHTTPRequestHandler) -> str:
        return self.for_qdrant if handler.headers["User-Agent"].startswith(_QDRANT) else self.target


@pytest.mark.parametrize("shards", [1, 2])
def test_what_the_address_leads_to_from_there_is_not_taken_for_the_source(
    shards: int, both: tuple[ServerStore, ServerStore], qdrants: tuple[str, str]
) -> None:
    """Also not where it has a collection of that name, with as many points."""
    there, here = both
    config = {**PLAIN, "shard_number": shards}
    made(there, config, plain_points(0, 20))
    made(here, config, plain_points(100, 20))
    with standing(TwoFaced(*qdrants), WRITING) as seen:
        done = here.native.copy("a", "b", config, sleep=time.sleep, out_of=seen.native)
    assert done.how == "relayed"
    assert "another server may have that address" in str(done.reason)
    assert everything(here, "b") == everything(there, "a")


def test_where_the_server_may_not_read_it_the_bytes_go_through_us(
    both: tuple[ServerStore, ServerStore], tmp_path: Path
) -> None:
    there, _ = both
    made(there, {**PLAIN, "shard_number": 2}, plain_points(0, 20))
    with own_server(tmp_path, enable_snapshot_url_recovery=False) as here:
        done = copied(there, here)
        assert (done.how, done.shards) == ("relayed", 2)
        assert "disabled in the configuration" in str(done.reason)
        assert everything(here, "b") == everything(there, "a")


def test_a_key_that_only_reads_gets_no_snapshot(
    both: tuple[ServerStore, ServerStore], qdrants: tuple[str, str]
) -> None:
    """So that the table of lanes refuses it beforehand."""
    there, here = both
    made(there, PLAIN, plain_points(0, 3))
    with closing(ServerStore.open(qdrants[0], READING)) as reading:
        with pytest.raises(WorkError, match=f"{qdrants[0]} does not let this API key do that"):
            copied(reading, here)
    here.native.remove("b")
