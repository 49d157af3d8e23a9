"""Points travel over gRPC and over REST, and are the same points."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from qdrant_client.grpc import HealthCheckReply, UpsertPoints

from clone_pipeline.core.errors import WorkError
from clone_pipeline.core.vectors import channel
from clone_pipeline.core.vectors import transport as transport_module
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point, PointId
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline_tests.faults.qdrant import running

from .corpus import KINDS, PAYLOADS, stored

Name = Callable[[], str]
MIB = 1024 * 1024
MOST = 16 * MIB


@pytest.fixture
def rest(qdrant_url: str) -> Iterator[ServerStore]:
    """The same server, of which gRPC cannot be reached."""
    with closing(ServerStore.open(qdrant_url, grpc_port=closed_port())) as store:
        yield store


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_all(store: ServerStore, collection: str, limit: int = 100) -> dict[PointId, EncodedPoint]:
    found: dict[PointId, EncodedPoint] = {}
    offset: PointId | None = None
    while True:
        page = store.read(collection, limit, offset)
        for point in page.points:
            assert point.id not in found
            found[point.id] = point
        if page.next is None:
            return found
        offset = page.next


def digests(store: ServerStore, collection: str, limit: int = 100) -> dict[PointId, int]:
    return {id: one.digest() for id, one in read_all(store, collection, limit).items()}


def exact(points: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {id: json.dumps(point, sort_keys=True) for id, point in points.items()}


@contextmanager
def recorded(
    store: ServerStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[tuple[int, int]]]:
    """(points, bytes) of every request that writes points, over either way."""
    requests: list[tuple[int, int]] = []
    upsert, request = store._channel._upsert, store.rest.ask

    def over_grpc(encoded: bytes, **options: Any) -> Any:
        requests.append((len(UpsertPoints.FromString(encoded).points), len(encoded)))
        return upsert(encoded, **options)

    def over_rest(method: str, path: str, collection: str, *rest: Any, **options: Any) -> Any:
        if (method, path) == ("PUT", "/points"):
            requests.append((len(json.loads(rest[0])["points"]), len(rest[0])))
        return request(method, path, collection, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(store._channel, "_upsert", over_grpc)
        patched.setattr(store.rest, "ask", over_rest)
        yield requests


# ---- every kind of point ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_read_and_write_the_same_points(
    server: ServerStore, rest: ServerStore, qdrant_url: str, name: Name, kind: str
) -> None:
    assert server.transport == "gRPC"
    assert rest.transport.startswith("REST, because no Qdrant answers over gRPC at 127.0.0.1:")
    source = name()
    server.create(source, KINDS[kind].config)
    points = KINDS[kind].points()
    server.upsert(source, points)
    wanted = digests(server, source)
    assert len(wanted) == len(points)
    assert digests(rest, source, 7) == wanted
    expected = exact(stored(qdrant_url, source))
    for reader in (server, rest):
        for writer in (server, rest):
            target = name()
            server.create(target, server.read_config(source))
            writer.write(target, list(read_all(reader, source, 33).values()))
            assert exact(stored(qdrant_url, target)) == expected
            assert digests(server, target, 64) == digests(rest, target) == wanted


def test_what_was_given_is_what_is_stored(server: ServerStore, qdrant_url: str, name: Name) -> None:
    """That the corpus is what it says: the server has not rounded an integer off."""
    source = name()
    server.create(source, {"vectors": {}})
    server.upsert(source, [Point(n, {}, payload) for n, payload in enumerate(PAYLOADS)])
    read = stored(qdrant_url, source)
    for number, payload in enumerate(PAYLOADS):
        given = json.dumps(read[str(number)]["payload"], sort_keys=True)
        assert given == json.dumps(payload, sort_keys=True)
    for number, point in enumerate(read_all(server, source).values()):
        plain = json.dumps(point.plain().payload, sort_keys=True)
        assert plain == json.dumps(PAYLOADS[number], sort_keys=True)


def test_a_point_that_goes_before_it_is_read_again_as_json_is_left_out(
    server: ServerStore, name: Name
) -> None:
    """What is known of it is not all of it."""
    source = name()
    server.create(source, {"vectors": {}})
    deep: Any = "end"
    for _ in range(40):
        deep = {"in": deep}
    payloads = [{"n": 0}, {"n": 2**64 - 1}, {"n": deep}, {"n": 3}]
    server.upsert(source, [Point(n, {}, payload) for n, payload in enumerate(payloads)])
    page = server.read(source, 10)
    server.delete_points(source, [1])
    assert [point.plain().payload for point in page.points] == [{"n": 0}, {"n": deep}, {"n": 3}]


def test_pages_of_any_size_hold_every_point_once(server: ServerStore, name: Name) -> None:
    source = name()
    server.create(source, KINDS["unnamed"].config)
    points = KINDS["unnamed"].points()
    server.write(source, [EncodedPoint.of(point) for point in points])
    wanted = digests(server, source, 1000)
    assert wanted == {point.id: wanted[point.id] for point in points}
    for limit in (1, 3, len(points), len(points) - 1):
        assert digests(server, source, limit) == wanted


# ---- sizes -----------------------------------------------------------------------------------


def test_large_points_travel_in_requests_below_the_limit(
    server: ServerStore,
    rest: ServerStore,
    qdrant_url: str,
    name: Name,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = {"size": 256, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
    rows = [[(row * column) % 251 / 7 for column in range(256)] for row in range(1000)]
    source = name()
    server.create(source, {"vectors": {"late": late}})
    points = [
        *(Point(number, {}, {"text": "ü" * (4 * MIB), "n": number}) for number in range(3)),
        Point(3, {"late": rows}, {"also": "x" * 5 * MIB}),
        *(Point(number, {}, {"n": number}) for number in range(4, 50)),
    ]
    server.upsert(source, points)
    wanted = digests(server, source)
    assert digests(rest, source) == wanted
    expected = exact(stored(qdrant_url, source, page=2))
    for writer in (server, rest):
        target = name()
        server.create(target, server.read_config(source))
        with recorded(writer, monkeypatch) as requests:
            writer.write(target, list(read_all(server, source).values()))
        assert sum(number for number, _ in requests) == len(points)
        assert max(size for _, size in requests) <= MOST
        # As few as can be: two of 8 MB and something are more than 16 MiB.
        assert len(requests) <= 5
        assert exact(stored(qdrant_url, target, page=2)) == expected
        assert digests(server, target) == wanted


def test_an_answer_that_is_too_large_is_asked_for_in_parts(
    server: ServerStore, qdrant_url: str, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A point that is larger still comes as JSON."""
    source = name()
    server.create(source, {"vectors": {}})
    sizes = [10, 300_000, 300_000, 900_000, 2_000_000, 10, 600_000]
    server.upsert(source, [Point(n, {}, {"text": "x" * size}) for n, size in enumerate(sizes)])
    options = [pair for pair in channel._OPTIONS if pair[0] != "grpc.max_receive_message_length"]
    small = [*options, ("grpc.max_receive_message_length", MIB)]
    monkeypatch.setattr(channel, "_OPTIONS", small)
    with closing(ServerStore.open(qdrant_url)) as store:
        assert store.transport == "gRPC"
        assert digests(store, source) == digests(server, source)


# ---- strict mode -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["gRPC", "REST"])
def test_strict_mode_is_obeyed_by_smaller_requests(
    server: ServerStore,
    rest: ServerStore,
    name: Name,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    store = server if way == "gRPC" else rest
    assert store.transport.startswith(way)
    source = name()
    strict = {"enabled": True, "max_query_limit": 7, "upsert_max_batchsize": 3}
    server.create(source, {"vectors": {}, "strict_mode_config": strict})
    points = [EncodedPoint.of(Point(number, {}, {"n": number})) for number in range(20)]
    # Two of these can only travel as JSON.
    points += [EncodedPoint.of(Point(n, {}, {"n": 2**64 - 1})) for n in (20, 21)]
    with recorded(store, monkeypatch) as requests:
        store.write(source, points)
    assert max(number for number, _ in requests) == 3
    assert sum(number for number, _ in requests) == 22
    page = store.read(source, 1000)
    assert [point.id for point in page.points] == list(range(7))
    assert digests(store, source, 1000) == {point.id: point.digest() for point in points}


# ---- who answers -----------------------------------------------------------------------------


@contextmanager
def another(version: str | None) -> Iterator[int]:
    """A gRPC server that says it is a Qdrant of that version, or knows no Qdrant's calls."""
    server = grpc.server(ThreadPoolExecutor(1))
    if version is not None:
        health = grpc.unary_unary_rpc_method_handler(
            lambda request, context: HealthCheckReply(title="qdrant", version=version),
            response_serializer=HealthCheckReply.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler("qdrant.Qdrant", {"HealthCheck": health})
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def silent() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@contextmanager
def the_rest_interface(url: str) -> Iterator[int]:
    yield int(urlsplit(url).port or 0)


@pytest.mark.parametrize("who", ["another version", "no qdrant", "nobody", "silent", "REST"])
def test_who_is_not_this_server_is_not_used(
    server: ServerStore, qdrant_url: str, name: Name, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    if who == "silent":
        monkeypatch.setattr(transport_module, "_PROBE_SECONDS", 0.3)
    source, points = name(), KINDS["unnamed"].points()[:5]
    server.create(source, KINDS["unnamed"].config)
    there = {
        "another version": lambda: another("0.0.1"),
        "no qdrant": lambda: another(None),
        "nobody": lambda: the_rest_interface(f"http://x:{closed_port()}"),
        "silent": silent,
        "REST": lambda: the_rest_interface(qdrant_url),
    }[who]
    with there() as port, closing(ServerStore.open(qdrant_url, grpc_port=port)) as store:
        reason = "another Qdrant (0.0.1, not " if who == "another version" else "no Qdrant answers"
        assert store.transport.startswith(f"REST, because {reason}")
        assert f"127.0.0.1:{port}; set QDRANT_GRPC_PORT" in store.transport
        store.write(source, [EncodedPoint.of(point) for point in points])
        assert len(digests(store, source)) == 5
    assert server.count(source) == 5


@pytest.mark.outside
def test_a_server_at_an_ipv6_address_is_spoken_to_over_grpc(tmp_path: Path, name: Name) -> None:
    """And copies a collection inside itself, by the URL that it is given for that."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    source, target = name(), name()
    points = [EncodedPoint.of(point) for point in KINDS["named"].points()]
    with (
        running(tmp_path / "qdrant", host="::1") as place,
        closing(ServerStore.open(place.url)) as store,
    ):
        assert store.transport == "gRPC"
        assert store.where == f"Qdrant at {place.url}"
        store.create(source, KINDS["named"].config)
        store.write(source, points)
        config = store.read_config(source)
        done = store.native.copy(source, target, config, sleep=lambda _: None)
        assert done.how == "pulled"
        assert digests(store, target) == digests(store, source)


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


# ---- keys ------------------------------------------------------------------------------------


@pytest.mark.outside
def test_a_read_only_key_reads_over_grpc_and_writes_nothing(tmp_path: Path, name: Name) -> None:
    keys = {"SERVICE__API_KEY": "the-key", "SERVICE__READ_ONLY_API_KEY": "the-reader"}
    collection, points = name(), KINDS["named"].points()
    with (
        running(tmp_path / "qdrant", **keys) as place,
        closing(ServerStore.open(place.url, "the-key")) as writer,
        closing(ServerStore.open(place.url, "the-reader")) as reader,
        closing(ServerStore.open(place.url, "no-such-key")) as stranger,
    ):
        writer.create(collection, KINDS["named"].config)
        writer.write(collection, [EncodedPoint.of(point) for point in points])
        assert reader.transport == "gRPC"
        assert digests(reader, collection) == digests(writer, collection)
        assert len(stored(place.url, collection, key="the-reader")) == len(points)
        before = exact(stored(place.url, collection, key="the-key"))
        for store, do in (
            (reader, lambda: reader.write(collection, [EncodedPoint.of(Point(1, {}, {}))])),
            (reader, lambda: reader.upsert(collection, [Point(1, {}, {})])),
            (reader, lambda: reader.delete_points(collection, [0])),
            (stranger, lambda: stranger.read(collection, 10)),
            (stranger, lambda: stranger.write(collection, [EncodedPoint.of(points[0])])),
        ):
            with pytest.raises(WorkError) as caught:
                do()  # type: ignore[no-untyped-call]
            said = caught.value.message
            assert said.startswith(f"{store.where} does not let this API key do that: ")
            assert said.endswith(".")
            assert said.count("\n") == 0
            for key in ("the-key", "the-reader", "no-such-key"):
                assert key not in said
        assert exact(stored(place.url, collection, key="the-key")) == before
