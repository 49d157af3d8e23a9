"""What a read key is shown, and what it can find out by asking: never a secret."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline_tests import harness
from clone_pipeline_tests.api.world import World
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.sources import ORGANIZATION

KINDS = ("buckets", "collections", "retrievers", "taxonomies")
# Fields of the planted namespace in which there is a secret, and how it begins.
HIDDEN = ("infrastructure.qdrant_api_key", "infrastructure.authorization.api_token")
OPERATORS = ("starts_with", "contains", "eq", "gt", "gte", "lt", "lte", "in", "ends_with", "ne")


@pytest.fixture(scope="module")
def made(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world with one more namespace, `prod` of ids of its own, and a clone of it; to be copied,
    not used."""
    home = Path(shutil.copytree(made_world, tmp_path_factory.mktemp("planted") / "home"))
    files, _ = planted_files(600)
    assert files["namespace.json"]["organization_id"] == ORGANIZATION
    names = {"namespace_id": "ns_planted001", "namespace_name": "planted"}
    files["namespace.json"] |= names
    with harness.holding(home, files) as stores:
        harness.clone(stores, "planted", "copied", include_resources=harness.everything())
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


@pytest.fixture
def planted(alone: World) -> World:
    return alone


def ask(world: World, method: str, path: str, **more: Any) -> Any:
    answer = world.ask(method, path, "reader", **more)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("namespace", ["planted", "copied"])
def test_no_answer_to_a_read_key_holds_a_secret(namespace: str, planted: World) -> None:
    inside = {"headers": {"X-Namespace": namespace}}
    member = planted.ask(
        "POST",
        f"/v1/templates/namespaces/from-namespace/{namespace}",
        json={"template_name": "t"},
    )
    template = member.json()["template_id"]
    answers = [
        member,
        ask(planted, "GET", f"/v1/namespaces/{namespace}"),
        ask(planted, "POST", "/v1/namespaces/list"),
        ask(planted, "POST", "/v1/tasks/list"),
        ask(planted, "GET", "/v1/templates/namespaces"),
        ask(planted, "GET", f"/v1/templates/namespaces/{template}"),
    ]
    for kind in KINDS:
        listed = ask(planted, "POST", f"/v1/{kind}/list?limit=1000", **inside)
        assert listed.json()["total_count"] > 50
        one = listed.json()["results"][1]
        identity = next(value for key, value in one.items() if key.endswith("_id"))
        answers += [listed, ask(planted, "GET", f"/v1/{kind}/{identity}", **inside)]
    for more in ({}, {"preserve_resource_ids": True}, {"include_resources": {"retrievers": False}}):
        body = {"namespace_name": "x", **more}
        path = f"/v1/namespaces/{namespace}/clone/plan"
        answers.append(ask(planted, "POST", path, json=body))
    for answer in answers:
        assert "CANARY" not in answer.text + str(answer.headers), answer.url
    assert answers[-1].json()["secrets"]["copied"] > 300


@pytest.mark.parametrize("field", HIDDEN)
@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_hidden_is_no_field_for_filters(field: str, operator: str, planted: World) -> None:
    def found(value: Any) -> list[str]:
        value = [value] if operator == "in" else value
        condition = {"field": field, "operator": operator, "value": value}
        answer = ask(planted, "POST", "/v1/namespaces/list", json={"filters": {"AND": [condition]}})
        return [one["namespace_name"] for one in answer.json()["results"]]

    guesses = ["C", "CANARY", "B", "D", "CANARY-90001-x7Qz", "CANARY-90003-x7Qz"]
    assert len({tuple(found(guess)) for guess in guesses}) == 1


def test_what_is_hidden_is_no_field_for_order_search_and_existence(planted: World) -> None:
    def names(body: dict[str, Any]) -> list[str]:
        answer = ask(planted, "POST", "/v1/namespaces/list", json=body)
        return [one["namespace_name"] for one in answer.json()["results"]]

    for field in HIDDEN:
        assert names({"sort": {"field": field}}) == names({"sort": {"field": "nothing"}})
        assert names({"filters": {"field": field, "operator": "exists", "value": True}}) == []
    # The description of the planted namespace holds a secret; what is around it can be found.
    assert names({"search": "CANARY"}) == []
    assert names({"search": "with token"}) == ["copied", "planted"]
