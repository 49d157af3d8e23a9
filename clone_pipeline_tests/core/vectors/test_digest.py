from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.vectors.digest import Digest, canonical
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point

from .points import UUID, make_point, point_lists


def digest_of(point: Point, *, settled: bool = False) -> int:
    return EncodedPoint.of(point).digest(settled=settled)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        (0, None),
        (0.0, -0.0),
        ([1, 2], [2, 1]),
        ({"a": None}, {}),
        (2**64 - 1, float(2**64)),
        ("é", "e\u0301"),
    ],
)
def test_different_values_differ(one: object, other: object) -> None:
    assert canonical(one) != canonical(other)
    assert digest_of(make_point(1, {"x": one})) != digest_of(make_point(1, {"x": other}))


def test_the_order_of_keys_does_not_count() -> None:
    one, other = {"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}
    assert canonical(one) == canonical(other)


def test_every_part_of_a_point_counts() -> None:
    points = [
        make_point(1),
        make_point(2),
        make_point(UUID),
        make_point(1, {"a": 1}),
        make_point(1, v=[1.0, 2.0]),
        make_point(1, w=[1.0, 2.0]),
        make_point(1, v=[2.0, 1.0]),
        make_point(1, v=[[1.0, 2.0]]),
        make_point(1, v=[[1.0], [2.0]]),
        make_point(1, v={"indices": [1], "values": [2.0]}),
        make_point(1, v={"indices": [2], "values": [1.0]}),
        make_point(1, v=[1.0], w=[2.0]),
    ]
    assert len({digest_of(point) for point in points}) == len(points)


def test_components_count_as_float32() -> None:
    """A reopened embedded store gives 0.1 where it gave the nearest float32 before."""
    assert digest_of(make_point(1, v=[0.1])) == digest_of(make_point(1, v=[0.10000000149]))


def test_the_order_of_a_sparse_vector_does_not_count() -> None:
    one = make_point(1, v={"indices": [7, 3], "values": [0.5, 2.0]})
    other = make_point(1, v={"indices": [3, 7], "values": [2.0, 0.5]})
    assert digest_of(one) == digest_of(other)


@settings(max_examples=30, deadline=None)
@given(point_lists(), st.randoms())
def test_order_and_grouping_do_not_count(points: list[Point], chance: random.Random) -> None:
    whole, parts = Digest(), [Digest(), Digest()]
    for point in points:
        whole.add(digest_of(point))
    chance.shuffle(points)
    for number, point in enumerate(points):
        parts[number % 2].add(digest_of(point))
    parts[0].merge(Digest.from_json(json.loads(json.dumps(parts[1].to_json()))))
    assert parts[0] == whole
    assert whole.count == len(points)
    assert len(whole.hexdigest()) == 32


def test_a_lost_a_doubled_and_a_swapped_point_are_seen() -> None:
    digests = [digest_of(make_point(n, {"n": n})) for n in range(4)]
    swapped = [digest_of(make_point(n, {"n": 3 - n})) for n in range(4)]
    sums = set()
    for some in (digests, digests[:3], [*digests, digests[0]], swapped):
        digest = Digest()
        for one in some:
            digest.add(one)
        sums.add(digest.hexdigest())
    assert len(sums) == 4
