"""The API clones from other environments into its own, for whoever may see the source in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.conftest import NOWHERE
from clone_pipeline_tests.api.world import World, opened
from clone_pipeline_tests.environments.two import PRODUCTION, Known
from clone_pipeline_tests.sources import one_of_each

pytestmark = pytest.mark.outside

PLAN = "/v1/namespaces/far/clone/plan"


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Stores]:
    far = one_of_each(namespace={"namespace_name": "far", "namespace_id": "ns_far"})
    with harness.holding(tmp_path / PRODUCTION, far) as stores:
        yield replace(stores, reader=Principal("org_acme", "read", "key_1"))


@pytest.fixture
def between(home: Path, production: Stores) -> Iterator[World]:
    with opened(home, Runs(NOWHERE), elsewhere=Known(PRODUCTION, production)) as world:
        yield world


def test_a_plan_names_both_environments(between: World) -> None:
    body = {"namespace_name": "near", "source_environment": PRODUCTION}
    answer = between.ask("POST", PLAN, json=body)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    where = (plan["source"]["environment"], plan["target"]["environment"])
    assert where == (PRODUCTION, "default")
    assert plan["source"]["namespace_id"] == "ns_far"


def test_it_has_to_be_asked_for(between: World) -> None:
    answer = between.ask("POST", PLAN, json={"namespace_name": "near"})
    assert answer.status_code == 404


@pytest.mark.parametrize("who", ["stranger", "member"])
def test_both_sides_must_allow_it_to_be_seen(home: Path, production: Stores, who: str) -> None:
    """An admin of another organization here has no right there, where only org_other is read."""
    other = replace(production, reader=Principal("org_other", "read", "key_2"))
    with opened(home, Runs(NOWHERE), elsewhere=Known(PRODUCTION, other)) as world:
        body = {
            "namespace_name": "near",
            "source_environment": PRODUCTION,
            "source_organization_id": "org_acme",
        }
        answer = world.ask("POST", PLAN, who, json=body)
    assert answer.status_code == 404, answer.text


def test_it_makes_clones_in_its_own_environment_alone(between: World) -> None:
    body = {"namespace_name": "near", "target_environment": "elsewhere"}
    for path in (PLAN, "/v1/namespaces/prod/clone"):
        answer = between.ask("POST", path, json=body)
        assert answer.status_code == 422, answer.text
        assert "land in the environment 'elsewhere', and this is 'default'" in answer.text
    assert between.ledger("near") is None
