"""Two streams side by side, and two JSON values place by place."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.difference import (
    NOTHING,
    differing_fields,
    differing_places,
    merged,
)

KEYS = st.sets(st.integers(0, 30))
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, "", "x"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


@given(KEYS, KEYS)
def test_two_streams_are_matched_by_their_keys(first: set[int], second: set[int]) -> None:
    found = list(
        merged([(key, "one") for key in sorted(first)], sorted(zip(second)), itemgetter(0))
    )
    assert found == [
        ((key, "one") if key in first else None, (key,) if key in second else None)
        for key in sorted(first | second)
    ]


def test_of_each_stream_one_is_held() -> None:
    taken: list[str] = []

    def stream(name: str) -> Any:
        for number in range(3):
            taken.append(f"{name}{number}")
            yield number

    pairs = merged(stream("a"), stream("b"), int)
    assert next(pairs) == (0, 0)
    assert taken == ["a0", "b0"]


@pytest.mark.parametrize(
    ("expected", "actual", "wrong"),
    [
        ({"a": None}, {}, ["a is missing"]),
        ({}, {"a": None}, ["a is extra"]),
        ({"a": 1}, {"a": 1.0}, ["a differs"]),
        ({"a": 1}, {"a": True}, ["a differs"]),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 2}, 3]}, ["a[0].b differs", "a[1] differs"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a differs"]),
        ([{"a": 1}], [{}], ["[0].a is missing"]),
        (1, 2, ["value differs"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_each_place_is_named(expected: Any, actual: Any, wrong: list[str]) -> None:
    assert list(differing_fields(expected, actual)) == wrong


@given(JSON, JSON)
def test_what_differs_one_way_differs_the_other_way(first: Any, second: Any) -> None:
    there = list(differing_places(first, second))
    back = list(differing_places(second, first))
    assert sorted(place for place, _, _ in there) == sorted(place for place, _, _ in back)
    assert list(differing_places(first, first)) == []


def test_what_is_the_same_is_for_the_caller_to_say() -> None:
    def roughly(one: Any, other: Any) -> bool:
        return abs(one - other) < 0.1

    first, second = {"a": 1.0, "b": 1.0}, {"a": 1.01, "c": 2.0}
    found = list(differing_places(first, second, "payload", roughly))
    assert found == [("payload.b", 1.0, NOTHING), ("payload.c", NOTHING, 2.0)]
