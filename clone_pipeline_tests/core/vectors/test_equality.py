from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clone_pipeline.core.vectors.digest import Digest
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.equality import differences, rule
from clone_pipeline.core.vectors.ids import id_order
from clone_pipeline.core.vectors.point import CollectionConfig, Page, Point, PointId
from clone_pipeline.core.vectors.side_by_side import pages, pairs

from .points import CONFIG, UUID, make_point, point_lists

ONE = {"vectors": {"v": {"size": 3, "distance": "Dot"}}}
COSINE = {"vectors": {"v": {"size": 3, "distance": "Cosine"}}}


def config(distance: str, **params: object) -> CollectionConfig:
    return {"vectors": {"v": {"size": 3, "distance": distance, **params}}}


@pytest.mark.parametrize(
    ("embedded", "asked", "how"),
    [
        (True, config("Cosine"), "normalised"),
        (True, config("Cosine", datatype="uint8"), "normalised"),
        (True, config("Dot"), "exact"),
        (True, config("Euclid", datatype="float16"), "exact"),
        (True, config("Manhattan", datatype="turbo4"), "exact"),
        (False, config("Cosine"), "rescaled"),
        (False, config("Cosine", quantization_config={"scalar": {"type": "int8"}}), "rescaled"),
        (False, config("Cosine", datatype="uint8"), "exact"),
        (False, config("Euclid"), "exact"),
        (False, config("Dot", datatype="uint8"), "exact"),
        (False, config("Cosine", datatype="float16"), "normalised"),
        (False, config("Dot", datatype="turbo4"), "refused"),
        (False, config("Dot", datatype="a later one"), "refused"),
    ],
)
def test_the_table(embedded: bool, asked: CollectionConfig, how: str) -> None:
    found = rule(embedded, asked)
    assert found.rows["v"].how == how
    assert found.exact == (how == "exact")
    assert found.refused == (["v"] if how == "refused" else [])


def test_the_sentence_says_how_each_vector_is_compared() -> None:
    sentence = rule(True, CONFIG).sentence
    assert sentence.startswith("Id exactly; payload exactly (the embedded store keeps payloads")
    assert "; words exactly, as float32 (" in sentence
    assert "; text, tokens within 1e-06 after normalising (" in sentence
    assert "; image, parts exactly, as float32 (" in sentence
    sentence = rule(False, {"vectors": {}}).sentence
    assert sentence.startswith(
        "Id exactly; payload exactly, but for floats that the server takes for one another ("
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (make_point(1), make_point(2), ["id"]),
        (make_point(1, {"title": "a"}), make_point(1, {"title": "b"}), ["payload.title"]),
        (make_point(1, {"n": 1}), make_point(1, {"n": 1.0}), ["payload.n"]),
        (make_point(1, {"n": None}), make_point(1), ["payload.n missing"]),
        (make_point(1), make_point(1, {"n": None}), ["extra payload.n"]),
        (
            make_point(1, {"a": {"b": [1, {"c": 2}], "d": 1}}),
            make_point(1, {"a": {"b": [1, {"c": 3}], "d": 2}}),
            ["payload.a.b[1].c", "payload.a.d"],
        ),
        (make_point(1, {"a": [1]}), make_point(1, {"a": [1, 2]}), ["payload.a"]),
        (make_point(1, v=[1.0, 2.0, 3.0]), make_point(1, v=[1.0, 2.5, 3.5]), ["vector v[1]"]),
        (make_point(1, v=[0.0]), make_point(1, v=[-0.0]), ["vector v[0]"]),
        (make_point(1, v=[1.0]), make_point(1, v=[1.0, 2.0]), ["vector v has another size"]),
        (make_point(1, v=[1.0]), make_point(1), ["vector v missing"]),
        (make_point(1), make_point(1, v=[1.0]), ["extra vector v"]),
        (
            make_point(1, v=[[1.0, 2.0], [3.0, 4.0]]),
            make_point(1, v=[[1.0, 2.0], [3.0, 5.0]]),
            ["vector v[1][1]"],
        ),
        (
            make_point(1, v={"indices": [3, 9], "values": [1.0, 2.0]}),
            make_point(1, v={"indices": [9, 3], "values": [2.5, 1.0]}),
            ["vector v[9]"],
        ),
        (
            make_point(1, v={"indices": [3], "values": [1.0]}),
            make_point(1, v={"indices": [3, 4], "values": [1.0, 1.0]}),
            ["vector v[4]"],
        ),
        (
            make_point(1, v={"indices": [3], "values": [1.0]}),
            make_point(1, v=[1.0]),
            ["vector v is of another kind"],
        ),
    ],
)
def test_a_difference_is_named(before: Point, after: Point, expected: list[str]) -> None:
    assert differences(before, after, rule(False, ONE)) == expected
    assert differences(before, before, rule(False, ONE)) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([0.2, 0.4, 0.6], []),
        ([0.1000001, 0.2, 0.3], []),
        ([0.10001, 0.2, 0.3], ["vector v[0]"]),
        ([-0.1, -0.2, -0.3], ["vector v[0]"]),
        ([0.0, 0.0, 0.0], ["vector v[0]"]),
    ],
)
def test_cosine_vectors_of_one_direction_are_equal(other: list[float], expected: list[str]) -> None:
    before, after = make_point(1, v=[0.1, 0.2, 0.3]), make_point(1, v=other)
    assert differences(before, after, rule(True, COSINE)) == expected


SERVERS_COSINE = rule(False, {"vectors": {"v": {"size": 3072, "distance": "Cosine"}}})


def long_vector(seed: int, size: int = 3072) -> NDArray[np.float32]:
    """Of length 1, as far as float32 goes."""
    vector = np.random.default_rng(seed).normal(size=size)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(st.integers(0, 99), st.integers(-90, 90), st.booleans())
def test_a_cosine_vector_that_a_server_normalised_once_more_is_equal(
    seed: int, places: int, arm: bool
) -> None:
    """Whatever order its processor adds up in: one length for all numbers."""
    before = long_vector(seed)
    length = np.float32(1 + places * 2.0**-23)
    after = before * (np.float32(1) / length) if arm else before / length
    assert differences(*pair_of(before, after), SERVERS_COSINE) == []


@given(st.integers(0, 99), st.integers(0, 3071), st.integers(-90, 90))
def test_one_bit_more_is_a_difference(seed: int, place: int, places: int) -> None:
    before = long_vector(seed)
    after = before / np.float32(1 + places * 2.0**-23)
    after.view(np.uint32)[place] ^= 1
    assert differences(*pair_of(before, after), SERVERS_COSINE) != []


@pytest.mark.parametrize("factor", [1.001, 0.99, -1.0, 2.0])
def test_another_length_than_a_server_errs_by_is_a_difference(factor: float) -> None:
    before = long_vector(1)
    after = before * np.float32(factor)
    assert differences(*pair_of(before, after), SERVERS_COSINE) == ["vector v[0]"]


@pytest.mark.parametrize("other", [[0.0, 0.0], [np.nan, 0.8], [np.inf, 0.8], [0.6, 0.79999995]])
def test_a_short_vector_of_length_one_is_compared_exactly(other: list[float]) -> None:
    before, after = np.array([0.6, 0.8], np.float32), np.array(other, np.float32)
    for one, two in ((before, after), (after, before)):
        assert differences(*pair_of(one, two), SERVERS_COSINE) != []
    assert differences(*pair_of(after, after), SERVERS_COSINE) == []


@pytest.mark.parametrize("datatype", ["float32", "float16"])
def test_of_nan_a_server_makes_nothing_else(datatype: str) -> None:
    """When it normalises it. A vector that had none, or keeps numbers, is another one."""
    how = rule(False, config("Cosine", datatype=datatype))
    nan = float("nan")
    some, all_of_it, none = [nan, 0.0, 0.5], [nan, nan, nan], [0.6, 0.8, 0.0]
    assert differences(make_point(1, v=some), make_point(1, v=all_of_it), how) == []
    for before, after in ((none, all_of_it), (some, none), (all_of_it, some), (all_of_it, none)):
        assert differences(make_point(1, v=before), make_point(1, v=after), how) != []


def pair_of(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[Point, Point]:
    return make_point(1, v=before.tolist()), make_point(1, v=after.tolist())


@settings(max_examples=25, deadline=None)
@given(point_lists())
@pytest.mark.outside
def test_what_was_written_equals_what_is_read_before_and_after_a_reopen(
    points: list[Point],
) -> None:
    how = rule(True, CONFIG)
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = EmbeddedStore.open(folder, wait_seconds=0)
        store.create("c", CONFIG)
        store.upsert("c", points)
        _assert_equal(points, store, how)
        store.close()
        digests = []
        for _ in range(2):
            store = EmbeddedStore.open(folder, wait_seconds=0)
            _assert_equal(points, store, how)
            digest = Digest()
            for point in store.scroll("c", 10).points:
                digest.add(EncodedPoint.of(point).digest())
            digests.append(digest)
            store.close()
    assert digests[0] == digests[1]


def _assert_equal(points: list[Point], store: EmbeddedStore, how: Any) -> None:
    ordered = sorted(points, key=lambda point: id_order(point.id))
    for before, after in pairs([ordered], pages(store, "c", 2)):
        assert before is not None
        assert after is not None
        assert differences(before, after, how) == []


# ---- side by side ----------------------------------------------------------------------------

_some_ids = st.lists(st.integers(0, 8) | st.uuids().map(str), unique=True, max_size=8)


@settings(max_examples=50, deadline=None)
@given(_some_ids, _some_ids, st.integers(1, 4))
def test_two_streams_are_matched_by_id(
    left: list[PointId], right: list[PointId], size: int
) -> None:
    found = list(pairs(_paged(left, size), _paged(right, size)))
    ids = [point.id for pair in found for point in pair[:1] + pair[1:] if point is not None]
    assert sorted(ids, key=id_order) == sorted([*left, *right], key=id_order)
    for before, after in found:
        one = before or after
        assert one is not None
        assert (before is not None) == (one.id in left)
        assert (after is not None) == (one.id in right)
    keys = [id_order((before or after).id) for before, after in found]  # type: ignore[union-attr]
    assert keys == sorted(keys)


def _paged(ids: list[PointId], size: int) -> Iterator[list[Point]]:
    ordered = [make_point(id) for id in sorted(ids, key=id_order)]
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def test_side_by_side_holds_one_page_of_each_side() -> None:
    read: list[int] = []

    class Counting:
        def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
            start = int(offset or 0)
            read.append(start)
            following = start + limit if start + limit < 100 else None
            return Page([make_point(n) for n in range(start, start + limit)], following)

    stream = pairs(pages(Counting(), "a", 10), pages(Counting(), "b", 10))  # type: ignore[arg-type]
    for _ in range(11):
        next(stream)
    assert read == [0, 0, 10, 10]
    assert len(list(stream)) == 89


def test_uuids_come_after_all_integers() -> None:
    found = list(pairs([[make_point(2**64 - 1), make_point(UUID)]], [[make_point(UUID)]]))
    assert [(a and a.id, b and b.id) for a, b in found] == [(2**64 - 1, None), (UUID, UUID)]
