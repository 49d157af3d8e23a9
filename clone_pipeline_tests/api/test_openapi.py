"""The app against its own OpenAPI document, with requests that nobody here thought of."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.generation import GenerationMode

from clone_pipeline.api.errors import TYPES
from clone_pipeline.api.runs import Runs
from clone_pipeline_tests.api.world import World, opened
from clone_pipeline_tests.sdk import mixpeek

pytestmark = pytest.mark.outside

ROOT = Path(__file__).parents[2]
# So many for each operation, of what it accepts and of what it does not.
FEW = 10
MANY = int(os.environ.get("CLONE_PIPELINE_TEST_EXAMPLES", "300"))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
# Chance would never find what is there.
THERE = {
    "namespace_identifier": "prod",
    "namespace_id": "prod",
    "bucket_identifier": "videos",
    "collection_identifier": "scenes",
    "retriever_id": "search",
    "taxonomy_identifier": "kinds",
}


@pytest.fixture(scope="module")
def world(
    made_world: Path, tmp_path_factory: pytest.TempPathFactory, queue: str
) -> Iterator[World]:
    home = Path(shutil.copytree(made_world, tmp_path_factory.mktemp("openapi") / "home"))
    with opened(home, Runs(queue)) as world:
        yield world


def check_all(world: World, examples: int) -> dict[str, set[int]]:
    """The statuses that each operation has answered with."""
    task = world.ask("POST", "/v1/tasks/list").json()["results"][0]["task_id"]
    body = {"template_name": "t"}
    made = world.ask("POST", "/v1/templates/namespaces/from-namespace/prod", json=body).json()
    there = THERE | {"task_id": task, "template_id": made["template_id"]}
    headers = {"Authorization": f"Bearer {world.keys['admin']}", "X-Namespace": "prod"}
    schema = schemathesis.openapi.from_url(f"{world.url}/openapi.json")
    seen: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        # The operations that follow need the template.
        hidden = {"template_id"} if operation.method.upper() == "DELETE" else set()
        known = {name: value for name, value in there.items() if name not in hidden}
        for mode in GenerationMode:
            seen.setdefault(operation.label, set())
            _check(operation, mode, known, headers, examples, seen[operation.label])
    return seen


def _check(
    operation: Any,
    mode: GenerationMode,
    there: dict[str, str],
    headers: dict[str, str],
    examples: int,
    seen: set[int],
) -> None:
    asked = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        nonlocal asked
        asked += 1
        if asked % 2:
            known = {name: there.get(name, value) for name, value in case.path_parameters.items()}
            case.path_parameters = known
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        seen.add(answer.status_code)

    try:
        check()
    except Unsatisfiable:
        # There is nothing to be wrong about where nothing is asked for.
        assert (mode, asked) == (GenerationMode.NEGATIVE, 0)


def test_every_answer_is_documented(world: World) -> None:
    seen = check_all(world, FEW)
    assert len(seen) == sum(map(len, world.app.openapi()["paths"].values()))
    # Not only refusals were seen.
    assert {label for label, statuses in seen.items() if statuses & {200, 201}} >= {
        label for label in seen if "DELETE" not in label
    }


@pytest.mark.long
def test_every_answer_to_many_requests_is_documented(world: World) -> None:
    assert check_all(world, MANY)


def test_docs_api_md_has_every_path_and_every_kind_of_error(world: World) -> None:
    def plain(text: str) -> str:
        return re.sub(r"\{[^}]*\}", "{}", text)

    page = plain((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    for path, operations in world.app.openapi()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {plain(path)}`" in page
    for status, kind in TYPES.items():
        assert f"| {status} | `{kind}` |" in page


def test_a_namespace_is_documented_with_every_field_of_the_contract(world: World) -> None:
    shown = world.app.openapi()["components"]["schemas"]["NamespaceModel"]["properties"]
    assert {*mixpeek.models.NamespaceModel.model_fields} <= {*shown}


def test_the_page_that_shows_it_is_there(world: World) -> None:
    assert "swagger" in world.client.get("/docs").text
    document = world.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            if path.startswith("/v1"):
                assert operation["security"], path
                assert "HTTPValidationError" not in str(operation["responses"])
