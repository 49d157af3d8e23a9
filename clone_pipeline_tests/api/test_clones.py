"""A request for a clone: what is reserved, what is asked of Dagster, and what is left otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from sqlalchemy import update

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.plan import reservation
from clone_pipeline.core.plan.reservation import Waiting, settle
from clone_pipeline.launch import clone_job
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.conftest import NOWHERE
from clone_pipeline_tests.api.world import World, key, opened
from clone_pipeline_tests.cli.prod import SECRET, WEBHOOK_SECRET, contents


def runs_of(queue: str, name: str) -> list[dict[str, Any]]:
    """The runs in Dagster that are for that target."""
    query = """query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
        runId status runConfigYaml tags { key value } } } } }"""
    tags = [{"key": "clone/target_namespace", "value": name}]
    answer = httpx.post(
        f"{queue}/graphql", json={"query": query, "variables": {"filter": {"tags": tags}}}
    )
    found: list[dict[str, Any]] = answer.json()["data"]["runsOrError"]["results"]
    return found


# ---- accepted --------------------------------------------------------------------------------


def test_a_clone_is_answered_at_once_with_its_final_ids(world: World, queue: str) -> None:
    answer = world.clone("prod", namespace_name="api_one", description="Mine")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    clone = world.ledger("api_one")
    assert clone is not None
    assert (document["status"], document["source_namespace_id"]) == ("cloning", "ns_prod000001")
    assert document["cloned_resources"] is None
    assert document["task_id"] == clone.run_id
    assert document["primary_retriever_id"].startswith("ret_")
    namespace = document["namespace"]
    assert namespace["namespace_id"] == clone.plan["target"]["namespace_id"]
    assert (namespace["clone_status"], namespace["clone_phase"]) == ("cloning", "queued")
    assert (namespace["namespace_ready"], namespace["description"]) == (False, "Mine")
    assert namespace["clone_dispatched_at"]
    (run,) = runs_of(queue, "api_one")
    assert (run["runId"], run["status"]) == (clone.run_id, "QUEUED")
    assert {"key": "clone/id", "value": clone.clone_id} in run["tags"]
    assert clone.principal["organization_id"] == "org_acme"
    assert clone.principal["role"] == "member"
    assert SECRET not in answer.text + str(run)
    # It can be polled at once, by id, by name and by task.
    for identifier in (namespace["namespace_id"], "api_one"):
        polled = world.ask("GET", f"/v1/namespaces/{identifier}").json()
        assert (polled["clone_status"], polled["progress"]["step"]) == ("cloning", "plan_clone")
        assert polled["progress"]["resources"]["objects"] == {"done": 0, "planned": 3}
        assert polled["progress"]["resources"]["points"] == {"done": 0, "planned": None}
    task = world.ask("GET", f"/v1/tasks/{document['task_id']}").json()
    assert (task["status"], task["task_type"]) == ("PENDING", "api_namespaces_create")


def test_the_options_of_this_program_are_declared_fields(world: World) -> None:
    answer = world.clone(
        "ns_prod000001",
        namespace_name="api_options",
        include_resources=None,
        preserve_resource_ids=True,
        verify="sample",
        ttl_seconds=3600,
        mode="copy",
    )
    clone = world.ledger("api_options")
    assert clone is not None
    assert clone.request["preserve_resource_ids"] is True
    assert clone.request["include_resources"] == {
        "collections": True,
        "retrievers": True,
        "taxonomies": False,
    }
    assert answer.json()["primary_retriever_id"] == "ret_search00000001"
    assert answer.json()["namespace"]["expires_at"]


def test_an_admin_clones_across_organizations(world: World) -> None:
    assert world.clone("elsewhere", namespace_name="x").status_code == 404
    answer = world.clone(
        "elsewhere", "admin", namespace_name="api_across", source_organization_id="org_other"
    )
    assert answer.status_code == 200
    assert answer.json()["source_namespace_id"] == "ns_elsewhere1"


def test_a_name_that_is_waiting_is_taken(world: World) -> None:
    assert world.clone("prod", namespace_name="api_taken").status_code == 200
    for body in ({}, {"verify": "counts"}, {"description": "another"}):
        again = world.clone("prod", namespace_name="api_taken", **body)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "clone_in_progress")
    assert world.ask("DELETE", "/v1/namespaces/api_taken").status_code == 409


def test_a_failed_clone_is_resumed_or_discarded_by_a_request_for_its_name(world: World) -> None:
    half = world.ledger("half")
    assert half is not None
    again = world.clone("prod", namespace_name="half")
    assert again.status_code == 200
    resumed = world.ledger("half")
    assert resumed is not None
    assert (resumed.clone_id, resumed.status) == (half.clone_id, "cloning")
    assert resumed.token == half.token + 1
    # The task of the run before goes on as well: it is the same clone.
    for run_id in (half.run_id, resumed.run_id):
        assert world.ask("GET", f"/v1/tasks/{run_id}").json()["status"] == "IN_PROGRESS"
    world.ask("DELETE", f"/v1/tasks/{resumed.run_id}")
    other = world.clone("plain", namespace_name="half")
    assert other.status_code == 200
    new = world.ledger("half")
    assert new is not None
    assert new.clone_id != half.clone_id
    assert world.reports(half) == set() or world.ledger("half") != half


def test_a_plan_writes_nothing(alone: World) -> None:
    before = contents(alone.home)
    answer = alone.ask(
        "POST", "/v1/namespaces/prod/clone/plan", json={"namespace_name": "api_plan"}
    )
    plan = answer.json()
    assert plan["counts"] == {
        "buckets": 2,
        "collections": 2,
        "retrievers": 1,
        "taxonomies": 0,
        "objects": 3,
        "points": None,
    }
    assert plan["target"]["namespace_name"] == "api_plan"
    assert any("embedded Qdrant is left to the runs" in one for one in plan["warnings"])
    assert any("point outside the clone" in one for one in plan["warnings"])
    assert contents(alone.home) == before
    assert SECRET not in answer.text
    assert WEBHOOK_SECRET not in answer.text


def test_a_plan_on_a_server_counts_the_points(tmp_path: Path, qdrant_url: str) -> None:
    from clone_pipeline.core.stores import VectorAddress
    from clone_pipeline_tests.cli.prod import prod

    where = {"vector_address": VectorAddress(tmp_path / "qdrant", url=qdrant_url)}
    with opened(tmp_path, Runs(NOWHERE), **where) as world:
        with world.stores.vectors() as vectors:
            vectors.delete("ns_apiserver1_store")
        files = prod("ns_apiserver1", "on_server")
        harness.load(world.stores, files)
        body = {"namespace_name": "api_plan"}
        plan = world.ask("POST", "/v1/namespaces/on_server/clone/plan", json=body).json()
    assert plan["counts"]["points"] == 5


# ---- Dagster away ----------------------------------------------------------------------------


def test_without_dagster_the_name_is_free_again_and_nothing_is_left(alone: World) -> None:
    before = contents(alone.home)
    answer = alone.clone("prod", namespace_name="api_nobody")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["type"] == "ServiceUnavailableError"
    assert alone.ask("GET", "/v1/namespaces/api_nobody").status_code == 404
    after = contents(alone.home)
    # The ledger keeps that there was a request, and nothing else.
    assert {name for name in before if before[name] != after[name]} <= {"clones", "clone_steps"}
    clone = alone.ledger("api_nobody")
    assert clone is not None
    assert clone.status == "discarded"


def test_without_dagster_a_failed_clone_stays_as_it_was(alone: World) -> None:
    half = alone.ledger("half")
    assert alone.clone("prod", namespace_name="half").status_code == 503
    after = alone.ledger("half")
    assert after is not None
    assert half is not None
    assert (after.clone_id, after.status) == (half.clone_id, "failed")
    assert alone.ask("GET", "/v1/namespaces/half").json()["clone_status"] == "failed"


def test_a_run_whose_request_was_withdrawn_makes_nothing(alone: World) -> None:
    """Dagster took the request, but the answer was lost on the way."""
    alone.clone("prod", namespace_name="api_late")
    withdrawn = alone.ledger("api_late")
    assert withdrawn is not None
    before = contents(alone.home)
    with pytest.raises(Conflict, match="was withdrawn before its run began"):
        ledger.claim(alone.stores, withdrawn.clone_id, "late-run")
    assert contents(alone.home) == before


# ---- the run ---------------------------------------------------------------------------------


def test_the_run_acts_as_the_caller_not_as_the_deployment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment's own key may only look, and is of another organization."""
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(world.home))
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", key(world.stores, "org_other", "read"))
    answer = world.clone("prod", namespace_name="api_caller").json()
    clone = world.ledger("api_caller")
    assert clone is not None
    with dg.DagsterInstance.ephemeral() as instance:
        result = clone_job().execute_in_process(
            run_config=clone.request,
            tags={"clone/id": clone.clone_id},
            instance=instance,
            run_id=answer["task_id"],
        )
        assert result.success
        alien = clone_job().execute_in_process(
            run_config=clone.request | {"namespace_name": "api_alien"},
            instance=instance,
            raise_on_error=False,
        )
        assert not alien.success
    done = world.ask("GET", f"/v1/namespaces/{answer['namespace']['namespace_id']}").json()
    assert (done["clone_status"], done["namespace_ready"]) == ("ready", True)
    assert done["cloned_resources"]["points"] == 5
    assert done["progress"] is None
    task = world.ask("GET", f"/v1/tasks/{answer['task_id']}").json()
    assert (task["status"], task["outputs"]) == ("COMPLETED", [done["namespace_id"]])
    assert task["additional_data"]["cloned_resources"]["objects"] == 3


def test_another_run_does_not_get_a_reserved_clone(world: World) -> None:
    answer = world.clone("prod", namespace_name="api_reserved").json()
    with pytest.raises(Conflict, match="is making 'api_reserved'"):
        harness.clone(world.stores, "prod", "api_reserved", run_id="another")
    done = harness.clone(world.stores, "prod", "api_reserved", run_id=answer["task_id"])
    assert done.status == "ready"


# ---- cancelled -------------------------------------------------------------------------------


def test_a_task_that_waits_is_cancelled_for_good(world: World, queue: str) -> None:
    answer = world.clone("prod", namespace_name="api_cancel").json()
    path = f"/v1/tasks/{answer['task_id']}"
    assert world.ask("DELETE", path).json()["success"] is True
    assert [run["status"] for run in runs_of(queue, "api_cancel")] == ["CANCELED"]
    task = world.ask("GET", path).json()
    assert task["status"] == "CANCELED"
    assert "cancelled before it began" in task["error"]
    polled = world.ask("GET", "/v1/namespaces/api_cancel").json()
    assert (polled["clone_status"], polled["clone_phase"]) == ("failed", None)
    # Again is as good as once; and the name can be had.
    assert world.ask("DELETE", path).json()["success"] is True
    assert world.clone("plain", namespace_name="api_cancel").status_code == 200


# ---- what became of the runs -----------------------------------------------------------------


def later(world: World, seconds: float) -> Any:
    """The stores, so much later."""
    from dataclasses import replace

    clock = world.stores.clock
    return replace(world.stores, clock=lambda: clock() + timedelta(seconds=seconds))


def waiting_for(clone: Clone) -> Waiting:
    return Waiting(clone.clone_id, clone.run_id)


def test_a_reservation_lasts_as_long_as_its_run_waits(world: World) -> None:
    world.clone("prod", namespace_name="api_waits")
    clone = world.ledger("api_waits")
    assert clone is not None
    for hours in range(1, 4):
        stores = later(world, hours * 3600)
        assert settle(stores, waiting_for(clone), "under way") is None
        renewed = world.ledger("api_waits")
        assert renewed is not None
        assert renewed.is_held(stores.clock())
    assert not renewed.is_held(later(world, 4 * 3600).clock())


def test_a_reservation_whose_run_is_gone_has_failed(world: World) -> None:
    for state in ("ended", "none"):
        name = f"api_gone_{state}"
        world.clone("prod", namespace_name=name)
        clone = world.ledger(name)
        assert clone is not None
        told = settle(world.stores, waiting_for(clone), state)  # type: ignore[arg-type]
        assert told is not None
        assert "ended before it began" in told
        assert world.ask("GET", f"/v1/namespaces/{name}").json()["clone_status"] == "failed"


def test_a_run_that_comes_on_record_while_a_sensor_looks_is_not_taken_for_gone(
    world: World,
) -> None:
    """The sensor has read that there is none yet."""
    answer = world.clone("prod", namespace_name="api_looked_at").json()
    clone = world.ledger("api_looked_at")
    assert clone is not None
    assert settle(world.stores, Waiting(clone.clone_id, None), "none") is None
    assert settle(later(world, 61), Waiting(clone.clone_id, None), "none") is None
    assert world.ask("GET", f"/v1/tasks/{answer['task_id']}").json()["status"] == "PENDING"


def test_a_run_is_ended_before_its_clone_is_said_to_have_failed(world: World) -> None:
    """Nobody asks for the run of one that has: killed in between, it would count as at work."""
    world.clone("prod", namespace_name="api_ends")
    clone = world.ledger("api_ends")
    assert clone is not None
    with world.stores.catalog.write() as connection:
        begun = {"reserved_at": None, "token": 1, "holder_host": "elsewhere", "holder_pid": 1}
        mine = clones.c.clone_id == clone.clone_id
        connection.execute(update(clones).where(mine).values(begun))

    def end(told: str) -> None:
        assert "without a word" in told
        raise KeyboardInterrupt

    stores = later(world, 3600)
    with pytest.raises(KeyboardInterrupt):
        settle(stores, waiting_for(clone), "under way", end)
    assert world.ledger("api_ends").status == "cloning"  # type: ignore[union-attr]
    assert settle(stores, waiting_for(clone), "ended") is not None
    assert world.ledger("api_ends").status == "failed"  # type: ignore[union-attr]


def test_a_reservation_that_asked_for_no_run_is_given_up(world: World) -> None:
    """The process died between the two."""
    request = {"namespace_identifier": "prod", "namespace_name": "api_died"}
    from clone_pipeline.core.principal import Principal
    from clone_pipeline.core.request import parse_request

    caller = Principal("org_acme", "member", "key_1")
    clone = reservation.reserve_for_run(world.stores, parse_request(request), caller)
    assert settle(world.stores, waiting_for(clone), "none") is None
    told = settle(later(world, 61), waiting_for(clone), "none")
    assert told == "No run was asked for; ask for the clone again."
    assert world.ask("GET", "/v1/namespaces/api_died").status_code == 404


# ---- Idempotency-Key -------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(world: World, queue: str) -> None:
    headers = {"Idempotency-Key": "once-1"}
    first = world.clone("prod", namespace_name="api_once", headers=headers)
    assert first.status_code == 200
    harness.clone(world.stores, "prod", "api_once", run_id=first.json()["task_id"])
    again = world.clone("prod", namespace_name="api_once", headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert len(runs_of(queue, "api_once")) == 1
    # Another request, another caller, another key.
    other = world.clone("prod", namespace_name="api_twice", headers=headers)
    assert other.status_code == 422
    assert "another request" in other.json()["error"]["message"]
    for who, more in (("admin", headers), ("member", {"Idempotency-Key": "once-2"})):
        clash = world.clone("prod", who, namespace_name="api_once", headers=more)
        assert clash.status_code == 409


def test_what_was_refused_may_be_tried_again_with_the_same_key(home: Path, queue: str) -> None:
    headers = {"Idempotency-Key": "again-1"}
    with opened(home, Runs(NOWHERE)) as world:
        assert world.clone("prod", namespace_name="api_again", headers=headers).status_code == 503
        keys = world.keys
    with opened(home, Runs(queue)) as world:
        answer = world.clone("prod", keys["member"], namespace_name="api_again", headers=headers)
        assert answer.status_code == 200


def test_requests_with_one_key_at_once_make_one_run(world: World, queue: str) -> None:
    headers = {"Idempotency-Key": "at-once"}

    def one(_: int) -> httpx.Response:
        return world.clone("prod", namespace_name="api_at_once", headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert {answer.json()["error"]["code"] for answer in answers if answer not in good} <= {
        "request_in_progress"
    }
    assert len({answer.content for answer in good}) == 1
    assert len(runs_of(queue, "api_at_once")) == 1
