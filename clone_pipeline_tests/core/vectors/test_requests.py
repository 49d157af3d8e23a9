"""Upserts as requests of a bounded size."""

from __future__ import annotations

import json

from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.requests import upsert_bodies


def test_requests_stay_under_the_limit() -> None:
    points = [Point(n, {}, {"text": "ü" * 100 * n}) for n in range(12)]
    bodies = list(upsert_bodies(points, 3000))
    assert len(bodies) > 3
    assert all(len(body) <= 3000 for body in bodies)
    sent = [item["id"] for body in bodies for item in json.loads(body)["points"]]
    assert sent == list(range(12))


def test_a_point_that_is_too_large_goes_alone() -> None:
    points = [Point(1, {}, {}), Point(2, {}, {"text": "x" * 5000}), Point(3, {}, {})]
    sizes = [len(json.loads(body)["points"]) for body in upsert_bodies(points, 1000)]
    assert sizes == [1, 1, 1]


def test_no_points_make_no_request() -> None:
    assert list(upsert_bodies([], 1000)) == []


def test_each_request_says_the_shard_key_and_stays_under_the_limit() -> None:
    points = [Point(n, {}, {"text": "x" * 100}) for n in range(12)]
    for key in (7, "7", 'tenant "ü"'):
        bodies = list(upsert_bodies(points, 500, shard_key=key))
        assert {json.loads(body)["shard_key"] for body in bodies} == {key}
        assert all(len(body) <= 500 for body in bodies)
        assert sum(len(json.loads(body)["points"]) for body in bodies) == 12
