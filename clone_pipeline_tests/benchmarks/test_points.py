"""The benchmark's own arithmetic, and that its points are what their datasets say."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.points import loading, table
from benchmarks.points.datasets import COLLECTIONS, DATASETS, LARGE, MIXED, SMALL, Dataset
from benchmarks.points.rounds import Outcome
from clone_pipeline.core.references import IdMap, Rewriter
from clone_pipeline.demo.making import ids


def made(method: str, number: int, seconds: float, **more: object) -> Outcome:
    return Outcome(method, number, searchable=seconds, cpu_seconds=seconds, **more)  # type: ignore[arg-type]


def test_ratios_compare_only_what_ran_in_the_same_round() -> None:
    outcomes = [
        *(made("migrate", number, seconds) for number, seconds in enumerate((10.0, 40.0, 90.0))),
        *(made("stream", number, seconds) for number, seconds in ((0, 1.0), (2, 3.0))),
        made("stream", 1, 0.0, problem="failed: no"),
    ]
    found = table.ratio(outcomes, ("migrate", table.searchable), ("stream", table.searchable))
    assert found == table.Spread(median=20.0, least=10.0, most=30.0)


def test_a_method_that_failed_has_no_figures_and_says_why() -> None:
    outcomes = [made("native", number, 1.0, problem="not available: why") for number in range(2)]
    (row,) = table.rows(outcomes, points=100)
    assert row["note"] == "not available: why"
    assert all(row[column] is None for column in table.COLUMNS)
    assert table.bar_rows(outcomes) == []


def test_a_method_that_failed_once_says_so_beside_its_figures() -> None:
    outcomes = [made("stream", 0, 2.0), made("stream", 1, 1.0, problem="failed: 99 of 100 points")]
    (row,) = table.rows(outcomes, points=100)
    assert row["points_per_second"] == table.Spread(50, 50, 50)
    assert row["note"] == "1 times: failed: 99 of 100 points"


@pytest.mark.parametrize(("seconds", "reached"), [(1.0, True), (1.1, False)])
def test_a_bar_is_reached_by_the_median(seconds: float, reached: bool) -> None:
    outcomes = [made("migrate", 0, 10.0), made("stream", 0, seconds)]
    first = table.bar_rows(outcomes)[0]
    assert (first["bar"], first["reached"]) == ("at least 10", reached)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_points_are_the_same_in_every_run_and_as_large_as_said(dataset: Dataset) -> None:
    numbers = range(500, 506)
    points = loading.make_points(dataset, numbers)
    assert points == loading.make_points(dataset, numbers)
    again = Dataset(**json.loads(json.dumps(asdict(dataset))))  # as a worker is given it
    assert points == loading.make_points(again, numbers)
    assert len({str(point.id) for point in points}) == len(points)
    assert len(points[0].payload) == {"one": 1, "seven": 7}[dataset.payload]


def test_vectors_have_their_dimensions() -> None:
    (small,) = loading.make_points(SMALL, range(1))
    values = np.array(small.vectors.vector.dense.data)
    assert values.shape == (256,)
    assert 0.5 < values.std() < 1.5
    named = [set(point.vectors.vectors.vectors) for point in loading.make_points(MIXED, range(3))]
    assert named == [{"dense", "terms"}, {"dense", "tokens"}, {"dense", "terms", "tokens"}]
    tokens = loading.make_points(MIXED, range(1, 2))[0].vectors.vectors.vectors["tokens"]
    assert [len(row.data) for row in tokens.multi_dense.vectors] == [128] * 8


def test_a_clone_has_to_rewrite_two_of_the_seven_fields() -> None:
    payload = loading.make_payload(LARGE, 3)
    kinds = {"bucket": [ids.GUIDES], "collection": COLLECTIONS}
    id_map = IdMap(
        namespace=(ids.NAMESPACE, "ns_clone00000"),
        organization=(ids.ORGANIZATION, ids.ORGANIZATION),
        ids={kind: {old: f"{old[:-1]}_" for old in some} for kind, some in kinds.items()},
        names={},
        left_out={},
    )
    rewritten, _ = Rewriter(id_map).rewrite_payload(payload)
    assert len(payload) == 7
    changed = {field for field in payload if payload[field] != rewritten[field]}
    assert changed == {"collection_id", "_internal"}
