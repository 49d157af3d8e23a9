"""A namespace comes over from another environment, which is only read."""

from __future__ import annotations

from pathlib import Path

from .. import harness
from ..sources import one_of_each
from .two import PRODUCTION, two_deployments


def test_a_namespace_comes_over_from_another_environment(tmp_path: Path) -> None:
    with two_deployments(tmp_path, one_of_each()) as (_, staging):
        clone = harness.clone(staging, "prod", "copy", source_environment=PRODUCTION)
    assert (clone.status, clone.source_environment) == ("ready", PRODUCTION)
