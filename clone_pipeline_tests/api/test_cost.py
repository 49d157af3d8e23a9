"""What one caller asks for does not cost the others the service."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import update

from clone_pipeline.api import guard
from clone_pipeline.api.connections import BoundedProtocol
from clone_pipeline.api.health import CachedLook
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import StoreUnavailable
from clone_pipeline.core.generations.discard import withdraw
from clone_pipeline_tests.api.serving import served
from clone_pipeline_tests.api.test_clones import runs_of
from clone_pipeline_tests.api.world import World, new_name

ROOT = Path(__file__).parents[2]
LISTS = ("namespaces", "buckets", "collections", "retrievers", "taxonomies", "tasks")


def test_readiness_is_looked_at_once_for_all_who_ask() -> None:
    looked = threading.Event()
    times = 0

    def look() -> None:
        nonlocal times
        times += 1
        looked.wait(10)
        raise StoreUnavailable("not now")

    async def ask() -> list[Any]:
        cached = CachedLook(look)
        asked = [asyncio.create_task(cached.check()) for _ in range(1000)]
        await asyncio.sleep(0)
        looked.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [*found, *await asyncio.gather(cached.check(), return_exceptions=True)]

    found = asyncio.run(ask())
    assert {type(one) for one in found} == {StoreUnavailable}
    assert times == 1


# ---- connections -----------------------------------------------------------------------------


class Few(BoundedProtocol):
    most = 5
    idle_seconds = 60.0


class Impatient(BoundedProtocol):
    idle_seconds = 0.2


def idle(url: str, count: int) -> Iterator[socket.socket]:
    where = httpx.URL(url)
    for _ in range(count):
        yield socket.create_connection((where.host, where.port or 80), timeout=20)


def test_idle_sockets_keep_nobody_out(alone: World) -> None:
    with served(alone.app, http=Few) as url:
        open_ones = list(idle(url, 40))
        try:
            for _ in range(10):
                assert httpx.get(f"{url}/healthz").status_code == 200
            # Those that were idle for longest had to go.
            assert open_ones[0].recv(1) == b""
        finally:
            for one in open_ones:
                one.close()


def half_sent(key: str) -> bytes:
    return (
        f"POST /v1/namespaces/list HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    ).encode()


def test_half_sent_bodies_keep_nobody_out(alone: World) -> None:
    with served(alone.app, http=Few) as url:
        open_ones = list(idle(url, 40))
        try:
            for one in open_ones[-5:]:
                one.sendall(half_sent(alone.keys["reader"]))
            for _ in range(10):
                assert httpx.get(f"{url}/healthz").status_code == 200
        finally:
            for one in open_ones:
                one.close()


def test_a_body_that_does_not_come_is_a_408(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_BODY_SECONDS", 0.2)
    with served(alone.app, http=BoundedProtocol) as url:
        (one,) = idle(url, 1)
        with one:
            one.sendall(half_sent(alone.keys["reader"]))
            answer = one.recv(65536).decode()
            while "\r\n\r\n{" not in answer:
                answer += one.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 408 ")
        assert '"type":"RequestTimeoutError"' in answer


@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: a\r\n"])
def test_a_connection_without_a_whole_request_is_closed(alone: World, said: bytes) -> None:
    with served(alone.app, http=Impatient) as url:
        (one,) = idle(url, 1)
        one.sendall(said)
        with one:
            assert one.recv(1) == b""


# ---- bodies ----------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


def in_lists(count: int) -> list[dict[str, Any]]:
    """So many conditions of 1,000 values."""
    return [{"field": "a", "operator": "in", "value": list(range(1000))}] * count


def filters() -> dict[str, Any]:
    condition = {"field": "namespace_name", "operator": "eq", "value": "x"}
    return {
        "a value 900 deep": {"field": "a", "operator": "in", "value": nested(900)},
        "a value 40 deep": {"field": "a", "operator": "eq", "value": nested(40)},
        "conditions 9 deep": {"AND": [{"OR": [{"AND": [{"OR": [{"AND": [{"OR": [{"AND": [{"OR": [
            {"AND": [condition]}]}]}]}]}]}]}]}]},
        "101 conditions": {"OR": [condition] * 101},
        "101 names": {f"field_{number}": 1 for number in range(101)},
        "1001 values": {"field": "a", "operator": "in", "value": list(range(1001))},
        "10,001 values in all": {"OR": [*in_lists(10), {"field": "a", "operator": "in",
            "value": [1]}]},
    }  # fmt: skip


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("which", list(filters()))
def test_a_filter_that_costs_much_is_refused(alone: World, kind: str, which: str) -> None:
    body = {"filters": filters()[which]}
    headers = {"X-Namespace": "prod"}
    answer = alone.ask("POST", f"/v1/{kind}/list", "reader", json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert len(answer.text) < 1000


def test_a_filter_at_its_bounds_is_answered(alone: World) -> None:
    for conditions in (in_lists(10), [{"field": "a", "operator": "in", "value": [1] * 100}] * 100):
        body = {"filters": {"OR": conditions}}
        answer = alone.ask("POST", "/v1/namespaces/list", "reader", json=body)
        assert answer.status_code == 200, answer.text


def test_a_costly_filter_is_refused_before_anything_is_read(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "list_all", lambda *_: pytest.fail("It was read."))
    body = {"filters": filters()["10,001 values in all"]}
    assert alone.ask("POST", "/v1/namespaces/list", "reader", json=body).status_code == 422


def test_a_description_has_a_longest(alone: World) -> None:
    asked = {"template_name": "t", "description": "x" * 1001}
    path = "/v1/templates/namespaces/from-namespace/prod"
    assert alone.ask("POST", path, json=asked).status_code == 422
    assert alone.clone("prod", namespace_name="long", description="x" * 10_001).status_code == 422


# ---- the queue -------------------------------------------------------------------------------


def test_the_queue_keeps_a_slot_for_other_organizations() -> None:
    runs = yaml.safe_load((ROOT / "dagster.yaml").read_text())["concurrency"]["runs"]
    limits = {one["key"]: one for one in runs["tag_concurrency_limits"]}
    assert limits["clone/organization"]["limit"] == runs["max_concurrent_runs"] - 1
    assert limits["clone/target"]["limit"] == 1
    for one in limits.values():
        assert one["value"] == {"applyLimitPerUniqueValue": True}


def test_a_run_carries_what_the_limits_act_on(world: World, queue: str) -> None:
    name = new_name()
    assert world.clone("prod", namespace_name=name).status_code == 200
    (run,) = runs_of(queue, name)
    tags = {one["key"]: one["value"] for one in run["tags"]}
    assert tags["clone/organization"] == "org_acme"
    assert tags["clone/target"] == f"org_acme/{name}"


# ---- a server that was killed while it answered ----------------------------------------------


def test_a_repeated_request_gets_its_own_clones_answer(world: World) -> None:
    headers = {"Idempotency-Key": "killed-1"}
    body = {"namespace_name": new_name()}
    first = world.clone("prod", headers=headers, **body).json()
    clone = world.ledger(body["namespace_name"])
    assert clone is not None

    # As a server leaves it that was killed after it had asked for the run.
    def leave(**values: Any) -> None:
        with world.stores.catalog.write() as connection:
            kept = {"reserved_clone_id": clone.clone_id}
            connection.execute(update(schema.idempotency_keys).values(answer=kept))
            mine = schema.clones.c.clone_id == clone.clone_id
            connection.execute(update(schema.clones).where(mine).values(**values))

    leave(run_id=first["task_id"])
    again = world.clone("prod", headers=headers, **body)
    assert again.status_code == 200, again.text
    assert again.json() == first
    # Before it had asked: nobody knows yet, and when the reservation is withdrawn it is made anew.
    leave(run_id=None)
    assert world.clone("prod", headers=headers, **body).status_code == 409
    withdraw(world.stores, clone, "No run was asked for; ask for the clone again.")
    anew = world.clone("prod", headers=headers, **body)
    assert anew.status_code == 200, anew.text
    assert anew.json()["task_id"] != first["task_id"]
