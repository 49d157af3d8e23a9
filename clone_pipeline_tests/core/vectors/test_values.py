"""Payload values in their one spelling: nothing is lost in it, and no two values share it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import grpc

from clone_pipeline.core.vectors.values import encode, may_be_large, needs_json

from .spelling import JSON, LARGE, SMALL, VALUES, spelled, value_of


def exact(value: Any) -> str:
    """A form that tells 1, 1.0, true and -0.0 apart, and not the order of keys."""
    return json.dumps(value, sort_keys=True)


def nested(depth: int, *, value: Any = "end") -> Any:
    for level in range(depth):
        value = {"in": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, -1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -(2**63), -(2**63) - 1, -(10**30)),
        *(0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, 2.0**63, 2.0**64),
        *(None, True, False, "", "\0", "a\0b", "𝄞", "x" * 5000, [], {}, [None], [[]], [{}]),
        *({"": 1}, {"": ""}, {"": None}, {"\0": {"\0": []}}, {"k" * 200: 1}, {"k" * 127: 1}),
        list(range(50_000)),
        {str(number): number / 7 for number in range(20_000)},
        nested(60),
        nested(150),
    ],
    ids=lambda value: str(value)[:20].replace("\0", "NUL"),
)
def test_qdrant_reads_values_at_the_edge_as_what_they_are(value: Any) -> None:
    if not needs_json(value):
        assert exact(value_of(grpc.Value.FromString(encode(value)))) == exact(value)


@given(VALUES)
def test_it_is_what_qdrant_reads_as_that_value(value: Any) -> None:
    try:
        read = grpc.Value.FromString(encode(value))
    except Exception:  # Python's own decoder gives up at a hundred messages within each other
        assert needs_json(value)
        return
    assert exact(value_of(read)) == exact(value)


@given(JSON, st.randoms(use_true_random=False))
@pytest.mark.outside
def test_the_order_of_keys_does_not_count(value: Any, chance: random.Random) -> None:
    assert encode(reordered(value, chance)) == encode(value)


def reordered(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [reordered(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: reordered(value[key], chance) for key in keys}


@given(st.data())
def test_values_share_a_spelling_only_where_they_are_equal(data: st.DataObject) -> None:
    one = data.draw(JSON)
    other = data.draw(JSON | st.just(one))
    assert (encode(one) == encode(other)) == (exact(one) == exact(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((1, 1.0), (1, True), (0, False), (0, None), (0, 0.0), (0.0, -0.0), (False, None)),
        *((1, "1"), ("", None), ([], None), ({}, None), ([], {}), ([[]], []), ({"": {}}, {})),
        *(([1, 2], [2, 1]), ([1, [2]], [[1], 2]), ([1], 1), ([None], []), ([0], [None])),
        *(({"a": None}, {}), ({"a": 1}, {"b": 1}), ({"a": {"b": 1}}, {"a.b": 1})),
        *(({"a": 1, "b": 2}, {"a": 2, "b": 1}), ({"a": "b"}, {"b": "a"}), ("a", "a\0")),
        *((2**63, 2.0**63), (2**64 - 1, -1), (2**64 - 1, 2.0**64), (2**64, 0)),
        *((-(2**63) - 1, 2**63 - 1), (2**64 + 5, 5), (2**63, -(2**63)), (2**53, 2**53 + 1)),
        *(("é", "e\u0301"), (0.1, 0.1 + 2**-56), (nested(60), nested(61))),
    ],
)
def test_values_that_are_nearly_equal_are_not(one: Any, other: Any) -> None:
    for wrap in (lambda value: value, lambda value: [value], lambda value: {"a": [{"b": value}]}):
        assert encode(wrap(one)) != encode(wrap(other))


@given(st.lists(LARGE | SMALL, max_size=5), LARGE)
def test_an_integer_that_a_server_gives_out_as_a_float_is_noticed(
    others: list[Any], large: int
) -> None:
    """Over gRPC it cannot be told from one; so all that may be one are read again as JSON."""
    chance = random.Random(0)
    for value in (large, [*others, large], {"a": [{"b": large}], "c": others}):
        assert may_be_large(spelled(value, chance))
        assert needs_json(value)


@given(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text())
def test_what_is_no_float_is_not_read_again(value: Any) -> None:
    assert not may_be_large(encode(value))
    assert not needs_json(value)


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda one: abs(one) < 2**62))
def test_ordinary_floats_are_not_read_again(value: float) -> None:
    chance = random.Random(0)
    for one in (value, -(2.0**63), 2.0**65):
        assert not may_be_large(spelled(one, chance))
        assert not needs_json([one])


@pytest.mark.parametrize("value", [object(), {1, 2}, (1, 2), {"a": [object()]}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)
