"""From any namespace in one environment, the clone in another is what the oracle says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..environments.two import PRODUCTION, two_deployments
from .loaded import LONG_EXAMPLES
from .namespaces import Source, everything, namespaces
from .test_clones import WAYS, check_clone

pytestmark = pytest.mark.outside

# Organizations are known by other internal ids there, or by the same ones.
INTERNAL_IDS = st.sampled_from(("{}", "{}_there"))


def check(source: Source, way: dict[str, Any], internal_id: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        written = source.write(home / "source")
        with two_deployments(home, written, internal_id=internal_id) as (production, staging):
            way = {**way, "source_environment": PRODUCTION}
            check_clone(staging, home, source, source_in=production, **way)


@settings(max_examples=10, derandomize=True, database=None, deadline=None)
@given(source=namespaces(), way=WAYS, internal_id=INTERNAL_IDS)
def test_a_clone_in_another_environment_is_its_source_with_its_references_rewritten(
    source: Source, way: dict[str, Any], internal_id: str
) -> None:
    check(source, way, internal_id)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces(), way=WAYS, internal_id=INTERNAL_IDS)
def test_many_clones_in_another_environment_are_their_sources_rewritten(
    source: Source, way: dict[str, Any], internal_id: str
) -> None:
    check(source, way, internal_id)


@pytest.mark.parametrize("internal_id", ["{}", "{}_there"])
def test_into_another_environment_nothing_of_the_organization_goes_along(internal_id: str) -> None:
    way = {"include_resources": {"collections": True, "retrievers": True, "taxonomies": True}}
    check(everything(), way, internal_id)
