"""An organization has a bounded number of requests at work, and never waits for another one's."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from clone_pipeline.api.listing import ListRequest, Selection
from clone_pipeline.api.turns import MOST_AT_ONCE, Turns, turn
from clone_pipeline.core.principal import Principal
from clone_pipeline_tests.api.world import World

pytestmark = pytest.mark.outside


@pytest.mark.parametrize("keys", [["reader"], ["reader", "member", "admin"]])
def test_one_organizations_requests_take_turns_and_others_do_not_wait(
    alone: World, monkeypatch: pytest.MonkeyPatch, keys: list[str]
) -> None:
    """Requests of one organization, with one key or many, are held in the middle of their work."""
    go_on, lock = threading.Event(), threading.Lock()
    at_work, most = 0, 0
    real = Selection.of

    def held(*given: Any) -> Any:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        go_on.wait(30)
        with lock:
            at_work -= 1
        return real(*given)

    monkeypatch.setattr(Selection, "of", held)

    def headers(who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {alone.keys[who]}"}

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=alone.url, timeout=60) as client:
            path = "/v1/namespaces"
            lists = [
                client.get(path, headers=headers(who))
                for who in keys
                for _ in range(60 // len(keys))
            ]
            asked = [asyncio.ensure_future(one) for one in lists]
            while at_work < MOST_AT_ONCE:
                await asyncio.sleep(0.01)
            # There are fewer threads than lists: without turns this one would have none.
            other = await client.get("/v1/namespaces/elsewhere", headers=headers("stranger"))
            go_on.set()
            return [other.status_code, *(one.status_code for one in await asyncio.gather(*asked))]

    try:
        assert set(asyncio.run(ask())) == {200}
    finally:
        go_on.set()
    assert most == MOST_AT_ONCE


def test_a_key_waits_for_few_of_another_key_of_its_organization() -> None:
    """One that asks for much stands in its own line, and not in everybody's."""
    app = SimpleNamespace(state=SimpleNamespace(turns=Turns()))
    request: Any = SimpleNamespace(app=app)
    answered = []

    async def ask(key_id: str) -> None:
        async with asynccontextmanager(turn)(request, Principal("org", "read", key_id)):
            await asyncio.sleep(0)
        answered.append(key_id)

    async def all_of_them() -> None:
        await asyncio.gather(*(ask("greedy") for _ in range(60)), ask("other"))

    asyncio.run(all_of_them())
    assert len(answered) == 61
    assert answered.index("other") <= 2 * MOST_AT_ONCE


def test_turns_are_forgotten_with_the_last_request() -> None:
    turns = Turns()
    held = turns.of("key", "a")
    assert turns.of("key", "a") is held
    assert turns.of("key", "b") is not held
    assert turns.of("organization", "a") is not held
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None


_values = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.text(max_size=2),
    some.lists(some.integers()),
)


@given(found=_values, values=some.lists(_values), operator=some.sampled_from(["in", "nin"]))
def test_a_value_is_in_a_list_as_python_has_it(
    found: Any, values: list[Any], operator: str
) -> None:
    condition = {"field": "a", "operator": operator, "value": values}
    body = ListRequest(filters=condition, case_sensitive=True)
    assert bool(Selection(body, ()).of([{"a": found}])) == ((found in values) == (operator == "in"))
