"""The bounds of a request are the same at every door, and each says so in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.policies import read_policies

REQUEST = {"namespace_identifier": "prod", "namespace_name": "copy"}
OUT_OF_BOUNDS: list[tuple[str, Any]] = [
    ("ttl_seconds", 59),
    ("ttl_seconds", 10**12),
    ("ttl_seconds", 10**400),
    ("max_points_per_second", 0),
    ("max_points_per_second", 10**30),
    ("concurrent_slices", 65),
    ("description", "x" * 10_001),
    ("namespace_name", "x" * 65),
    ("namespace_identifier", "x" * 129),
    ("organization_id", "x" * 129),
    ("description", "a\0b"),
    ("namespace_name", "\ud800"),
]


@pytest.mark.parametrize(("field", "value"), OUT_OF_BOUNDS)
def test_what_is_out_of_bounds_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request({**REQUEST, field: value})
    assert str(refused.value).startswith((f"`{field}` is not usable: ", f"`{field}` holds "))
    str(refused.value).encode()  # and can be printed


def test_every_number_and_every_text_of_a_request_has_an_upper_bound() -> None:
    for name, info in CloneRequest.model_fields.items():
        kinds = str(info.annotation)
        bounds = {type(one).__name__ for one in info.metadata}
        if "int" in kinds:
            assert {"Ge", "Le"} <= bounds, name
        elif "str" in kinds and "Literal" not in kinds:
            assert "MaxLen" in bounds, name


@pytest.mark.parametrize("field", ["description", "organization_id", "source_organization_id"])
def test_empty_is_the_same_as_left_out(field: str) -> None:
    assert parse_request({**REQUEST, field: ""}) == parse_request(REQUEST)


def test_a_policy_has_the_bounds_of_the_request(tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    for option in ("max_points_per_second: 99999999999", f"description: {'x' * 10_001}"):
        file.write_text(
            "refreshes:\n"
            "  - name: staging\n    source: prod\n    target: staging\n    cron: '0 3 * * *'\n"
            f"    options: {{{option}}}\n"
        )
        (problem,) = read_policies(file).problems
        assert option.partition(":")[0] in problem.sentence
