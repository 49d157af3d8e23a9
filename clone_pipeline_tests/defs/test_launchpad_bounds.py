"""The Launchpad's door has the bounds of the others: one sentence, and no step is tried again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.words import as_text
from clone_pipeline.launch import clone_job
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.core.test_request_bounds import OUT_OF_BOUNDS

__all__ = ["dagster_home", "home", "made_home"]  # fixtures

REQUEST = {"namespace_identifier": "prod", "namespace_name": "copy"}
NUMBERS: list[tuple[str, Any]] = [
    (field, value)
    for field in ("ttl_seconds", "max_points_per_second", "concurrent_slices")
    for value in (0, -1, -(10**12), 10**12, 2**63, 10**400)
]
# What is no whole number is refused before there is a run.
NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), 60.5, "60", True, [60]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "CRITICAL")


@pytest.mark.parametrize(("field", "value"), [*OUT_OF_BOUNDS, *NUMBERS])
def test_what_is_out_of_bounds_is_the_same_sentence_as_elsewhere(
    field: str, value: Any, home: Path
) -> None:
    config = REQUEST | {field: value}
    with pytest.raises(InvalidRequest) as elsewhere:
        parse_request(config)
    result = clone_job().execute_in_process(run_config=config, raise_on_error=False)
    (failed,) = [one for one in result.all_node_events if one.is_step_failure]
    data = failed.step_failure_data
    assert failed.node_name == "plan_clone"
    assert data.user_failure_data is not None
    assert data.user_failure_data.description == as_text(elsewhere.value.said)
    assert not [one for one in result.all_events if one.is_step_up_for_retry]
    names = [row["namespace_name"] for row in run("list", "--json").json]
    assert "copy" not in names


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("field", ["ttl_seconds", "max_points_per_second", "concurrent_slices"])
def test_what_is_no_whole_number_does_not_become_a_run(field: str, value: Any) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        dg.validate_run_config(clone_job(), REQUEST | {field: value})
    assert f"at path root:{field}" in str(caught.value)


@pytest.mark.parametrize(("field", "value"), NUMBERS)
def test_the_command_line_says_it_too(field: str, value: int, home: Path) -> None:
    option = f"--{field.replace('_', '-')}"
    if option == "--ttl-seconds":
        option = "--ttl"
    answer = run("plan", "prod", "copy", f"{option}={value}", "--json")
    assert answer.code == 2
    assert json.loads(answer.stdout)["error"]["code"]
