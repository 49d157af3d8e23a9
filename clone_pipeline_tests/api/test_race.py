"""Many requests for one name at once: one is accepted, the others are told so."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clone_pipeline.api.runs import Runs
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.test_clones import runs_of
from clone_pipeline_tests.api.world import World, opened
from clone_pipeline_tests.cli.prod import prod

REQUESTS = 200


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, made_world: Path, tmp_path: Path, queue: str
) -> Iterator[World]:
    if request.param == "sqlite":
        home = Path(shutil.copytree(made_world, tmp_path / "home"))
        with opened(home, Runs(queue)) as world:
            yield world
        return
    url = request.getfixturevalue("postgres_url")
    with opened(tmp_path, Runs(queue), catalog_url=url) as world:
        harness.load(world.stores, prod())
        yield world


async def ask_at_once(url: str, api_key: str, name: str) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {api_key}"}
    limits = httpx.Limits(max_connections=REQUESTS)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=120) as client:
        body = {"namespace_name": name}
        asked = (client.post(f"{url}/v1/namespaces/prod/clone", json=body) for _ in range(REQUESTS))
        return await asyncio.gather(*asked)


def test_exactly_one_of_many_requests_for_a_name_is_accepted(
    shared: World, queue: str, request: pytest.FixtureRequest
) -> None:
    name = f"race_{request.node.callspec.params['shared']}"
    answers = asyncio.run(ask_at_once(shared.url, shared.keys["member"], name))
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {200: 1, 409: REQUESTS - 1}
    codes = {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409}
    assert codes <= {"namespace_name_taken", "clone_in_progress"}
    (accepted,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert [run["runId"] for run in runs_of(queue, name)] == [accepted["task_id"]]
    polled = shared.ask("GET", f"/v1/namespaces/{name}").json()
    assert polled["namespace_id"] == accepted["namespace"]["namespace_id"]
