"""The server's store: what it applies, gives back and counts."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from clone_pipeline.core.errors import (
    InvalidRequest,
)
from clone_pipeline.core.vectors.digest import Digest
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.rest import Rest
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.core.vectors.settle import reread
from clone_pipeline.core.vectors.side_by_side import pages

from .points import make_point
from .spelling import with_flipped_bit
from .test_stores import FULL

Name = Callable[[], str]


def test_the_whole_configuration_is_applied(server: ServerStore, name: Name) -> None:
    collection = name()
    server.create(collection, FULL)
    known = server.read_config(collection)
    assert known["vectors"]["text"]["hnsw_config"] == {"m": 24}
    assert known["vectors"]["text"]["on_disk"] is True
    assert known["vectors"]["text"]["quantization_config"] == {
        "scalar": {"type": "int8", "always_ram": True}
    }
    assert known["sparse_vectors"] == FULL["sparse_vectors"]
    assert known["quantization_config"] == {"binary": {"always_ram": True}}
    for section in ("hnsw_config", "optimizers_config", "strict_mode_config"):
        assert FULL[section].items() <= known[section].items()  # type: ignore[attr-defined]
    assert known["on_disk_payload"] is True
    assert known["shard_number"] == 2
    assert known["metadata"] == FULL["metadata"]


def test_payload_indexes_keep_every_parameter(server: ServerStore, name: Name) -> None:
    collection = name()
    server.create(collection, FULL)
    schema = server.read_config(collection)["payload_schema"]
    assert schema == {
        "tenant": {"data_type": "keyword", "params": {"type": "keyword", "is_tenant": True}},
        "plain": {"data_type": "keyword", "params": {"type": "keyword"}},
        "reported": {"data_type": "integer", "params": {"type": "integer"}},
        "body": {
            "data_type": "text",
            "params": {
                "type": "text",
                "tokenizer": "word",
                "lowercase": True,
                "min_token_len": 2,
                "phrase_matching": True,
            },
        },
        "where": {"data_type": "geo", "params": {"type": "geo", "on_disk": True}},
        "when": {"data_type": "datetime", "params": {"type": "datetime"}},
    }


def test_strict_mode_is_obeyed_by_smaller_requests(server: ServerStore, name: Name) -> None:
    collection = name()
    strict = {"enabled": True, "max_query_limit": 7, "upsert_max_batchsize": 3}
    server.create(collection, {"vectors": {}, "strict_mode_config": strict})
    server.upsert(collection, [Point(id, {}, {"n": id}) for id in range(20)])
    read = [[point.id for point in page] for page in pages(server, collection, 1000)]
    assert [len(page) for page in read] == [7, 7, 6]
    assert [id for page in read for id in page] == list(range(20))


def test_what_is_too_much_for_a_servers_memory_is_counted_by_reading_ids(
    server: ServerStore, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clone_pipeline.core.vectors.server.MOST_COUNTED_AT_ONCE", 20)
    monkeypatch.setattr("clone_pipeline.core.vectors.server.MAX_IDS", 7)
    asked: list[tuple[str, bytes | None]] = []
    ask = Rest.ask

    def noting(self: Rest, method: str, path: str, collection: str, *rest: Any, **more: Any) -> Any:
        asked.append((path, rest[0] if rest else None))
        return ask(self, method, path, collection, *rest, **more)

    collection = name()
    server.create(collection, {"vectors": {}})
    server.upsert(collection, [Point(id, {}, {}) for id in range(20)])
    monkeypatch.setattr(Rest, "ask", noting)
    assert server.count(collection) == 20
    assert ("/points/count", b'{"exact":true}') in asked
    server.delete_points(collection, [3])
    server.upsert(collection, [Point(id, {}, {}) for id in range(20, 25)])
    asked.clear()
    assert server.count(collection) == 24
    assert [path for path, _ in asked] == ["/points/count", "", *4 * ["/points/scroll"]]
    assert asked[0] == ("/points/count", b'{"exact":false}')


@pytest.mark.parametrize("at_once", [100, 5])
def test_points_are_counted_exactly_by_a_filter(
    server: ServerStore, name: Name, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are too many for the server to count."""
    monkeypatch.setattr("clone_pipeline.core.vectors.server.MOST_COUNTED_AT_ONCE", at_once)
    monkeypatch.setattr("clone_pipeline.core.vectors.server.MAX_IDS", 4)
    collection = name()
    server.create(collection, {"vectors": {}})
    server.upsert(collection, [Point(id, {}, {"n": id}) for id in range(30)])
    assert server.count(collection, {"must": [{"key": "n", "range": {"lt": 7}}]}) == 7


@pytest.mark.parametrize("datatype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid", "Manhattan"])
def test_a_copy_is_equal_by_the_rule_whatever_the_storage(
    server: ServerStore, name: Name, distance: str, datatype: str
) -> None:
    config = {"vectors": {"v": {"size": 5, "distance": distance, "datatype": datatype}}}
    source, target = name(), name()
    server.create(source, config)
    vectors = [[n * 1.37 % 9 + 0.1, n % 7, 3.3, 250 - n, n * n % 11] for n in range(200)]
    points = [make_point(n, {"f": n / 7}, v=vector) for n, vector in enumerate(vectors)]
    server.upsert(source, points)
    server.create(target, server.read_config(source))
    for page in pages(server, source, 64):
        server.upsert(target, page)

    how = rule(False, config)
    before, after = Digest(), Digest()
    for ours, theirs in zip(
        server.scroll(source, 500).points, server.scroll(target, 500).points, strict=True
    ):
        assert differences(ours, theirs, how) == []
        before.add(EncodedPoint.of(ours).digest(settled=how.settled))
        after.add(EncodedPoint.of(theirs).digest(settled=how.settled))
    assert before.count == after.count == 200
    assert before == after or (distance, datatype) == ("Cosine", "float16")


def all_sizes(chance: random.Random) -> list[float]:
    """Floats with every power of ten, most of them with seventeen digits."""
    return [
        chance.choice([-1.0, 1.0]) * float(f"{chance.uniform(1, 10)!r}e{power}")
        for power in range(-310, 308)
        for _ in range(3)
    ]


def test_payload_floats_come_back_as_the_rule_foretells(server: ServerStore, name: Name) -> None:
    """Written over gRPC they are read once, and over REST when they come in, too."""
    over_grpc, over_rest = name(), name()
    points = [Point(n, {}, {"f": all_sizes(random.Random(n))}) for n in range(10)]
    for collection in (over_grpc, over_rest):
        server.create(collection, {"vectors": {}})
    server.write(over_grpc, [EncodedPoint.of(point) for point in points])
    server.upsert(over_rest, points)
    for collection, times in ((over_grpc, 1), (over_rest, 2)):
        read = server.scroll(collection, 20).points
        for point, given in zip(points, read, strict=True):
            expected = point.payload["f"]
            for _ in range(times):
                expected = list(map(reread, expected))
            assert given.payload["f"] == expected
            assert given.payload["f"] != point.payload["f"]


def test_a_copy_of_a_copy_of_floats_is_equal_by_the_rule(server: ServerStore, name: Name) -> None:
    """However often it is copied; and a score of another size is a difference."""
    how = rule(False, {"vectors": {}})
    points = [Point(n, {}, {"f": all_sizes(random.Random(n)), "g": 1e-9}) for n in range(10)]
    digests = set()
    for _ in range(4):
        collection = name()
        server.create(collection, {"vectors": {}})
        server.write(collection, [EncodedPoint.of(point) for point in points])
        read = server.scroll(collection, 20).points
        assert [differences(*pair, how) for pair in zip(points, read, strict=True)] == [[]] * 10
        digest = Digest()
        for point in read:
            digest.add(EncodedPoint.of(point).digest(settled=how.settled))
        digests.add(digest.hexdigest())
        points = read
    assert len(digests) == 1
    server.upsert(
        collection, [points[3]._replace(payload=points[3].payload | {"g": 1.00000001e-9})]
    )
    (changed,) = server.retrieve(collection, [3])
    assert differences(points[3], changed, how) == ["payload.g"]


def test_digests_last_when_the_server_moves_points(server: ServerStore, name: Name) -> None:
    """It reads and writes their payloads once more, when it rebuilds a segment."""
    collection, chance = name(), random.Random(1)
    optimizers = {
        "indexing_threshold": 1,
        "deleted_threshold": 0.1,
        "vacuum_min_vector_number": 100,
    }
    vectors = {"v": {"size": 4, "distance": "Dot"}}
    config = {"vectors": vectors, "optimizers_config": optimizers}
    # Nothing is moved before it was looked at.
    server.create(collection, config, for_loading=True)
    points = [
        make_point(n, {"f": [chance.uniform(1e-10, 1e-9) for _ in range(9)]}, v=[1.0, n, 2.0, 3.0])
        for n in range(2000)
    ]
    server.write(collection, [EncodedPoint.of(point) for point in points])
    server.delete_points(collection, range(0, 2000, 3))
    kept = digests(server, collection, settled=True)
    before = digests(server, collection, settled=False)
    server.finish_loading(collection, config)
    deadline = time.monotonic() + 300
    while digests(server, collection, settled=False) == before:
        assert time.monotonic() < deadline, "the server has moved nothing"
        time.sleep(0.1)
    assert digests(server, collection, settled=True) == kept


def digests(server: ServerStore, collection: str, *, settled: bool) -> list[int]:
    return [point.digest(settled=settled) for point in server.read(collection, 5000).points]


@pytest.mark.parametrize("size", [768, 1536, 3072, 3584, 4096, 20_000])
@pytest.mark.parametrize("number", [0.1, 1e-3, 7.0])
def test_cosine_vectors_of_one_number_are_equal_after_every_copy(
    server: ServerStore, name: Name, size: int, number: float
) -> None:
    """Of many of them the server finds the length to be none that it would leave alone."""
    config = {"vectors": {"v": {"size": size, "distance": "Cosine"}}}
    how = rule(False, config)
    point = Point(1, {"v": [number] * size}, {})
    for copy in range(4):
        collection = name()
        server.create(collection, config)
        server.write(collection, [EncodedPoint.of(point)])
        (read,) = server.scroll(collection, 5).points
        assert copy == 0 or differences(point, read, how) == []
        point = read
    for place in (0, size // 2, size - 1):
        other = with_flipped_bit(point.vectors["v"], place)
        assert differences(point, Point(1, {"v": other}, {}), how) == [f"vector v[{place}]"]


NOT_FINITE = [float("nan"), float("inf"), float("-inf"), 1.0]


@pytest.mark.parametrize("datatype", ["float32", "float16"])
@pytest.mark.parametrize("distance", ["Cosine", "Dot"])
def test_what_is_no_number_is_read_and_copied(
    server: ServerStore, name: Name, distance: str, datatype: str
) -> None:
    """Whoever has written it did so over gRPC; over REST its point is named."""
    config = {"vectors": {"v": {"size": 4, "distance": distance, "datatype": datatype}}}
    source, target = name(), name()
    for collection in (source, target):
        server.create(collection, config)
    points = [make_point(1, v=NOT_FINITE), make_point(2, v=[1.0, 2.0, 3.0, 4.0])]
    server.write(source, [EncodedPoint.of(point) for point in points])
    page = list(server.read(source, 5).points)
    server.write(target, page)
    digests = [
        [point.digest() for point in server.read(collection, 5).points]
        for collection in (source, target)
    ]
    assert digests[0] == digests[1]
    how = rule(False, config)
    for one, other in zip(
        server.retrieve(source, [1, 2]), server.retrieve(target, [1, 2]), strict=True
    ):
        assert differences(one, other, how) == []
    assert differences(*server.retrieve(source, [1]), points[1]._replace(id=1), how) != []
    for ask in (
        lambda: server.scroll(source, 5),
        lambda: list(over_rest(server).read(source, 5).points),
    ):
        with pytest.raises(InvalidRequest, match=r"Point 1: vector `v` holds NaN or an infinity"):
            ask()


def test_what_is_no_number_beside_a_large_integer_is_read_whole(
    server: ServerStore, name: Name
) -> None:
    collection = name()
    server.create(collection, {"vectors": {"v": {"size": 4, "distance": "Dot"}}})
    server.write(collection, [EncodedPoint.of(make_point(1, v=NOT_FINITE))])
    body = json.dumps({"payload": {"n": 2**64 - 1}, "points": [1]}).encode()
    server.rest.ask("POST", "/points/payload", collection, body, wait=True)
    (read,) = server.read(collection, 5).points
    (retrieved,) = server.retrieve(collection, [1])
    assert read.plain().payload == retrieved.payload == {"n": 2**64 - 1}
    assert read.digest() == EncodedPoint.of(retrieved).digest()
    assert str(retrieved.vectors["v"]) == str(NOT_FINITE)
    with pytest.raises(InvalidRequest, match="Point 1: vector `v`"):
        server.write(collection, [read])


def over_rest(server: ServerStore) -> ServerStore:
    """The same server, as if nothing answered over gRPC."""
    store = ServerStore(server.rest, server._channel)
    store._transport._fallback = "it is so in this test"
    return store
