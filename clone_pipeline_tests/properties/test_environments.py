"""From any namespace in one environment, the clone in another is what the oracle says."""

from __future__ import annotations

import tempfile
from collections.abc import Set
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


# What the things of the organization are called in production.
THINGS = {
    "connections": "conn_1",
    "secrets": "model_key",
    "clusters": "iclstr_1",
    "storage": "vectors",
}
# Which of them have counterparts.
MAPS = st.sets(st.sampled_from(sorted(THINGS)))


def same_things(mapped: Set[str]) -> dict[str, Any]:
    """The `map` of an environments file."""
    return {
        section: [{PRODUCTION: THINGS[section], "default": f"{THINGS[section]}_here"}]
        for section in sorted(mapped)
    }


def check(
    source: Source, way: dict[str, Any], internal_id: str, mapped: Set[str] = frozenset()
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        written = source.write(home / "source")
        with two_deployments(home, written, internal_id=internal_id, map=same_things(mapped)) as (
            production,
            staging,
        ):
            way = {**way, "source_environment": PRODUCTION}
            check_clone(staging, home, source, source_in=production, **way)


@settings(max_examples=10, derandomize=True, database=None, deadline=None)
@given(source=namespaces(), way=WAYS, internal_id=INTERNAL_IDS, mapped=MAPS)
def test_a_clone_in_another_environment_is_its_source_with_its_references_rewritten(
    source: Source, way: dict[str, Any], internal_id: str, mapped: set[str]
) -> None:
    check(source, way, internal_id, mapped)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces(), way=WAYS, internal_id=INTERNAL_IDS, mapped=MAPS)
def test_many_clones_in_another_environment_are_their_sources_rewritten(
    source: Source, way: dict[str, Any], internal_id: str, mapped: set[str]
) -> None:
    check(source, way, internal_id, mapped)


EVERYTHING = {"include_resources": {"collections": True, "retrievers": True, "taxonomies": True}}


@pytest.mark.parametrize("internal_id", ["{}", "{}_there"])
def test_into_another_environment_nothing_of_the_organization_goes_along(internal_id: str) -> None:
    check(everything(), EVERYTHING, internal_id)


def test_what_has_a_counterpart_there_goes_by_its_name() -> None:
    check(everything(), EVERYTHING, "{}", set(THINGS))
