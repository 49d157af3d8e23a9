"""The job as Dagster runs it: what each op shows, how it retries, fails, stops and goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import dagster as dg
import pytest

from clone_pipeline.core.report import STEPS
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.counting import counted
from clone_pipeline_tests.cli.prod import COUNTS

from .launching import (
    EVERYTHING,
    OF_STEP,
    breaks,
    in_process,
    instance,
    launch,
    ledger,
    quiet,
    request,
    shown,
    table,
)

__all__ = ["breaks", "dagster_home", "home", "instance", "made_home", "quiet"]  # fixtures


# ---- what the ops show -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "include",
    [
        dict(zip(EVERYTHING, values, strict=True))
        for values in itertools.product([True, False], repeat=3)
    ],
    ids=lambda include: "+".join(name for name, on in include.items() if on) or "nothing",
)
def test_what_is_not_asked_for_is_shown_as_skipped_and_nothing_else_is_lost(
    include: dict[str, bool], home: Path
) -> None:
    result = in_process(include_resources=include)
    assert result.success
    metadata = shown(result)
    assert set(metadata) == set(STEPS)
    expected = {
        name: count if include.get("collections" if name == "points" else name, True) else 0
        for name, count in COUNTS.items()
    }
    for step, names in OF_STEP.items():
        for name in names:
            assert metadata[step][f"created_{name}"] == expected[name]
        wanted = any(expected[name] for name in names)
        assert metadata[step]["status"] == ("done" if wanted else "skipped: not requested")
    response = result.output_for_node("publish_clone")
    assert response["cloned_resources"] == expected == counted(home, "new")
    # The sums of the ops' own numbers, and what the proof counted.
    assert sum(metadata[step]["created"] for step in OF_STEP) == sum(expected.values())
    assert table(metadata["verify_clone"]["counted"].records) == [expected]


def test_each_op_shows_its_numbers_and_its_resources(home: Path) -> None:
    result = in_process(include_resources=EVERYTHING)
    metadata = shown(result)
    for step in STEPS:
        one = metadata[step]
        assert one["clone_id"] == ledger(home, "clone_id")[0]
        assert isinstance(one["seconds"], float)
        assert isinstance(one["bytes"], int)
        assert one["created"] >= 0
    assert metadata["clone_buckets"]["bytes"] > 0
    assert metadata["copy_points"]["points_per_second"] > 0
    [collections] = [metadata["clone_collections"]["resources"]]
    rows = {row["source_id"]: row for row in table(collections.records)}
    assert set(rows) == {"col_scenes0001", "col_lines00001"}
    assert rows["col_scenes0001"]["name"] == "scenes"
    assert rows["col_scenes0001"]["target_id"].startswith("col_")
    assert rows["col_scenes0001"]["target_id"] != "col_scenes0001"
    planned = {row["kind"] for row in table(metadata["plan_clone"]["resources"].records)}
    assert planned == {"namespace", "bucket", "collection", "retriever", "taxonomy"}
    assert "S3 files" in metadata["plan_clone"]["warnings"]
    # The summary repeats what a person has to know, and sums up.
    summary = metadata["publish_clone"]
    assert "S3 files" in summary["warnings"]
    assert summary["bytes"] == sum(metadata[step]["bytes"] for step in OF_STEP)
    steps_shown = {row["step"]: row for row in table(summary["steps"].records)}
    for step in OF_STEP:
        assert steps_shown[step]["created"] == metadata[step]["created"]


def test_the_clone_is_an_asset_with_numbers_to_plot(home: Path) -> None:
    result = in_process()
    [made] = result.asset_materializations_for_node("publish_clone")
    assert made.asset_key == dg.AssetKey(["clone", "org_acme", "new"])
    numbers = {key: value.value for key, value in made.metadata.items()}
    assert {name: numbers[name] for name in COUNTS} == {**COUNTS, "taxonomies": 0}
    assert numbers["bytes"] > 0
    assert isinstance(numbers["seconds"], float)


def test_a_run_says_in_its_tags_what_it_makes(home: Path, instance: dg.DagsterInstance) -> None:
    result = launch(instance, request())
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (
        run.tags.items()
        >= {
            "clone/id": ledger(home, "clone_id")[0],
            "clone/source": "ns_prod000001",
            "clone/target_namespace": "new",
        }.items()
    )
