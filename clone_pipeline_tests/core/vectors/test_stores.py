"""What both stores do alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clone_pipeline.core.errors import InvalidRequest, NotFound, WorkError
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.ids import id_order
from clone_pipeline.core.vectors.point import Point, Vector
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.core.vectors.side_by_side import pages

from .points import CONFIG, PAYLOAD, PLAIN, UUID, make_point, plain_points

Name = Callable[[], str]

FULL = {
    "vectors": {
        "text": {
            "size": 4,
            "distance": "Cosine",
            "on_disk": True,
            "hnsw_config": {"m": 24},
            "quantization_config": {"scalar": {"type": "int8", "always_ram": True}},
        },
        "half": {"size": 4, "distance": "Euclid", "datatype": "float16"},
        "tokens": {
            "size": 2,
            "distance": "Dot",
            "multivector_config": {"comparator": "max_sim"},
        },
    },
    "sparse_vectors": {"words": {"modifier": "idf", "index": {"on_disk": True}}},
    "hnsw_config": {"m": 8, "ef_construct": 64, "payload_m": 8},
    "quantization_config": {"binary": {"always_ram": True}},
    "optimizers_config": {"indexing_threshold": 5000, "default_segment_number": 2},
    "on_disk_payload": True,
    "strict_mode_config": {"enabled": True, "max_query_limit": 100, "upsert_max_batchsize": 3},
    "shard_number": 2,
    "metadata": {"made by": "test", "nothing": None},
    "payload_schema": {
        "tenant": {"type": "keyword", "is_tenant": True},
        "plain": "keyword",
        "reported": {"data_type": "integer", "params": None, "points": 7},
        "body": {
            "data_type": "text",
            "params": {
                "type": "text",
                "tokenizer": "word",
                "lowercase": True,
                "min_token_len": 2,
                "phrase_matching": True,
            },
            "points": 0,
        },
        "where": {"type": "geo", "on_disk": True},
        "when": "datetime",
    },
}


def test_every_kind_of_vector_id_and_payload_comes_back(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, CONFIG)
    points = [
        make_point(0, PAYLOAD, text=[1.0, 2.0, 3.0, 4.0], image=[0.1, -0.0, 1e-3]),
        make_point(2**64 - 1, words={"indices": [7, 3], "values": [0.5, 2.0]}),
        make_point(5),
        make_point(UUID, {"a": 1}, tokens=[[1.0, 0.0], [0.6, 0.8]], parts=[[1.5, 2.0]]),
    ]
    store.upsert(collection, points)

    expected = sorted(points, key=lambda point: id_order(point.id))
    actual = store.scroll(collection, 10).points
    assert [point.id for point in actual] == [0, 5, 2**64 - 1, UUID]
    for before, after in zip(expected, actual, strict=True):
        assert differences(before, after, rule(True, CONFIG)) == []
    assert actual[1].vectors == {}
    assert actual[2].vectors == {"words": {"indices": [3, 7], "values": [2.0, 0.5]}}
    assert store.count(collection) == 4


def test_a_lone_unnamed_vector_has_the_empty_name(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    store.upsert(collection, [Point(1, {"": [0.5, 2]}, {}), Point(2, {}, {})])
    assert store.scroll(collection, 10).points == [Point(1, {"": [0.5, 2.0]}, {}), Point(2, {}, {})]
    assert store.read_config(collection)["vectors"] == PLAIN["vectors"]


def test_an_unnamed_vector_may_stand_beside_a_sparse_one(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, {**PLAIN, "sparse_vectors": {"words": {}}})
    words: Vector = {"indices": [1], "values": [2.0]}
    points = [Point(1, {"": [0.5, 2.0], "words": words}, {}), Point(2, {"": [1.0, 1.0]}, {})]
    store.upsert(collection, points)
    assert store.scroll(collection, 10).points == points


def test_only_sparse_vectors(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, {"vectors": {}, "sparse_vectors": {"words": {}}})
    point = make_point(1, words={"indices": [1], "values": [2.0]})
    store.upsert(collection, [point])
    assert store.scroll(collection, 10).points == [point]


def test_pages_cover_all_points_in_id_order(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    ids = [*range(0, 40, 2), UUID]
    store.upsert(collection, [Point(id, {}, {}) for id in reversed(ids)])
    read = [[point.id for point in page] for page in pages(store, collection, 8)]
    assert [len(page) for page in read] == [8, 8, 5]
    assert [id for page in read for id in page] == ids
    assert [point.id for point in store.scroll(collection, 2, offset=3).points] == [4, 6]


def test_an_empty_collection_has_no_pages(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    assert list(pages(store, collection, 8)) == []


def test_upsert_writes_over_a_point_whole(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, CONFIG)
    store.upsert(collection, [make_point(1, {"old": 1, "both": 1}, image=[1.0, 2.0, 3.0])])
    store.upsert(collection, [make_point(1, {"both": 2}, parts=[[1.0, 2.0]])])
    assert store.scroll(collection, 5).points == [make_point(1, {"both": 2}, parts=[[1.0, 2.0]])]


def test_retrieve_gives_the_points_asked_for_in_that_order(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    store.upsert(collection, plain_points(1, 5))
    assert [point.id for point in store.retrieve(collection, [4, 99, 2])] == [4, 2]
    assert store.retrieve(collection, []) == []
    assert store.retrieve(collection, [3]) == plain_points(3, 1)


def test_deleted_points_are_gone_and_may_come_again(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    store.upsert(collection, plain_points(1, 5))
    store.delete_points(collection, [2, 4, 77])
    store.delete_points(collection, [])
    assert [point.id for point in store.scroll(collection, 9).points] == [1, 3, 5]
    store.upsert(collection, plain_points(2, 1))
    assert store.count(collection) == 4


def test_nothing_to_upsert_is_no_error(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    store.upsert(collection, [])
    assert store.count(collection) == 0


def test_create_starts_empty_whatever_had_the_name(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, CONFIG)
    store.upsert(collection, [make_point(1)])
    store.create(collection, PLAIN)
    assert store.count(collection) == 0
    assert store.read_config(collection)["vectors"] == PLAIN["vectors"]


def test_delete_removes_and_may_be_repeated(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    assert store.exists(collection)
    store.delete(collection)
    store.delete(collection)
    assert not store.exists(collection)


def test_a_missing_collection_is_not_found(store: VectorStore, name: Name) -> None:
    collection = name()
    for use in (
        lambda: store.count(collection),
        lambda: store.scroll(collection, 1),
        lambda: store.retrieve(collection, [1]),
        lambda: store.read_config(collection),
        lambda: store.upsert(collection, plain_points(1, 1)),
        lambda: store.delete_points(collection, [1]),
    ):
        with pytest.raises(NotFound, match=collection):
            use()


def test_a_vector_of_the_wrong_size_is_refused(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    with pytest.raises(WorkError, match="dim"):
        store.upsert(collection, [*plain_points(1, 1), Point(2, {"": [1.0, 2.0, 3.0]}, {})])
    assert store.count(collection) == 0


@pytest.mark.parametrize("id", [-1, 2**64, True, 1.5, "doc-1", None, ""])
def test_ids_that_a_server_refuses_are_refused(store: VectorStore, name: Name, id: object) -> None:
    collection = name()
    store.create(collection, PLAIN)
    with pytest.raises(InvalidRequest, match="Point id"):
        store.upsert(collection, [Point(id, {}, {})])  # type: ignore[arg-type]
    assert store.count(collection) == 0


def test_spellings_of_a_uuid_are_one_point(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, PLAIN)
    for spelling in (UUID, UUID.upper(), UUID.replace("-", ""), f"urn:uuid:{UUID}", f"{{{UUID}}}"):
        store.upsert(collection, [Point(spelling, {}, {"spelling": spelling})])
    assert [point.id for point in store.scroll(collection, 9).points] == [UUID]
    assert len(store.retrieve(collection, [UUID.upper()])) == 1
    store.delete_points(collection, [UUID.upper()])
    assert store.count(collection) == 0


@pytest.mark.parametrize(
    "vector",
    [[1.0, float("nan")], [1.0, float("inf")], [1.0, 1e39], ["a", "b"], {"indices": [1]}],
)
def test_what_is_no_vector_is_refused(store: VectorStore, name: Name, vector: object) -> None:
    collection = name()
    store.create(collection, PLAIN)
    with pytest.raises(InvalidRequest, match="Point 7: vector ``"):
        store.upsert(collection, [Point(7, {"": vector}, {})])  # type: ignore[dict-item]


def test_create_takes_a_full_configuration(store: VectorStore, name: Name) -> None:
    collection = name()
    store.create(collection, FULL)
    known = store.read_config(collection)
    assert known["vectors"]["tokens"] == FULL["vectors"]["tokens"]  # type: ignore[index]
    assert known["vectors"]["half"]["datatype"] == "float16"
    assert known["sparse_vectors"]["words"]["modifier"] == "idf"
    assert known["metadata"] == FULL["metadata"]
    store.upsert(collection, [make_point(n, half=[1.0, 2.0, 3.0, 4.0]) for n in range(5)])
    assert store.count(collection) == 5


def test_what_read_config_gives_create_takes_and_gives_again(
    store: VectorStore, name: Name
) -> None:
    first, second = name(), name()
    store.create(first, FULL)
    store.create(second, store.read_config(first))
    assert store.read_config(second) == store.read_config(first)
