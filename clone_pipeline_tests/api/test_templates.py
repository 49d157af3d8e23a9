"""Templates: a namespace's configuration kept, and made into namespaces by the same job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.conftest import NOWHERE
from clone_pipeline_tests.api.world import World, opened
from clone_pipeline_tests.cli.prod import contents, prod

TEMPLATES = "/v1/templates/namespaces"
CONFIGURATION = {"collections": 2, "retrievers": 1, "taxonomies": 1, "buckets": 2}


def made(world: World, source: str = "prod", **more: Any) -> dict[str, Any]:
    body = {"template_name": "Video search", **more}
    answer = world.ask("POST", f"{TEMPLATES}/from-namespace/{source}", json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_template_holds_the_configuration_and_no_records(alone: World) -> None:
    template = made(alone, tags=["video"], category="media", description="For videos")
    assert template["template_type"] == "namespace"
    assert template["source_resource_id"] == "ns_prod000001"
    one = alone.ask("GET", f"{TEMPLATES}/{template['template_id']}").json()
    assert (one["name"], one["mode"], one["scope"]) == ("Video search", "config", "organization")
    assert (one["tags"], one["category"], one["description"]) == (["video"], "media", "For videos")
    found = {kind: len(one["configuration"][kind]) for kind in CONFIGURATION}
    assert found == CONFIGURATION | {"taxonomies": 2}  # in two versions
    assert "objects" not in one["configuration"]
    assert alone.ask("GET", TEMPLATES).json() == [one]
    assert alone.ask("GET", TEMPLATES, "stranger").json() == []
    assert alone.ask("GET", f"{TEMPLATES}/{one['template_id']}", "stranger").status_code == 404
    # It is no namespace.
    assert alone.ask("GET", f"/v1/namespaces/{one['template_id']}").status_code == 404
    assert alone.ask("POST", "/v1/namespaces/list").json()["total_count"] == 4


def test_the_same_job_makes_a_namespace_of_it(world: World) -> None:
    template = made(world)
    # The template is the configuration as it was: its source may go on, or go.
    path = f"{TEMPLATES}/{template['template_id']}/instantiate"
    answer = world.ask("POST", path, json={"namespace_name": "fresh", "description": "New"})
    assert answer.status_code == 201, answer.text
    asked = answer.json()
    assert (asked["template_id"], asked["status"]) == (template["template_id"], "cloning")
    clone = world.ledger("fresh")
    assert clone is not None
    assert asked["task_id"] == clone.run_id
    request = {key: value for key, value in clone.request.items() if key != "namespace_name"}
    done = harness.clone(
        world.stores,
        request.pop("namespace_identifier"),
        "fresh",
        run_id=asked["task_id"],
        **request,
    )
    assert done.status == "ready"
    namespace = world.ask("GET", "/v1/namespaces/fresh").json()
    assert namespace["namespace_id"] == asked["namespace_id"]
    assert namespace["cloned_resources"] == CONFIGURATION | {"objects": 0, "points": 0}
    assert namespace["description"] == "New"
    inside = {"X-Namespace": "fresh"}
    retriever = world.ask("GET", "/v1/retrievers/search", headers=inside).json()
    collections = world.ask("POST", "/v1/collections/list", headers=inside).json()["results"]
    assert set(retriever["collection_ids"]) == {one["collection_id"] for one in collections}
    assert "col_scenes0001" not in retriever["collection_ids"]
    with world.stores.vectors() as vectors:
        assert vectors.count(done.qdrant_collection) == 0
    # And it stays out of the way of what sweeps and deletes.
    assert world.ask("DELETE", "/v1/namespaces/fresh").status_code == 200
    assert world.ask("GET", f"{TEMPLATES}/{template['template_id']}").status_code == 200


def test_a_template_outlives_its_source(alone: World) -> None:
    template = made(alone, "staging")
    assert alone.ask("DELETE", "/v1/namespaces/staging").status_code == 200
    done = harness.clone(alone.stores, template["template_id"], "fresh")
    assert done.status == "ready"
    harness.clone(alone.stores, "prod", "staging")


@pytest.mark.parametrize("lane", ["auto", "stream"])
def test_on_a_server_the_configuration_is_the_servers(
    lane: str, tmp_path: Path, qdrant_url: str
) -> None:
    where = {"vector_address": VectorAddress(tmp_path / "qdrant", url=qdrant_url)}
    with opened(tmp_path, Runs(NOWHERE), **where) as world:
        with world.stores.vectors() as vectors:
            vectors.delete("ns_template01_store")
        files = prod("ns_template01", "on_server")
        harness.load(world.stores, files)
        template = made(world, "on_server")
        done = harness.clone(
            world.stores, template["template_id"], "fresh", lane=lane, preserve_resource_ids=True
        )
        with world.stores.vectors() as vectors:
            config = vectors.read_config(done.qdrant_collection)
            count = vectors.count(done.qdrant_collection)
            vectors.delete(done.qdrant_collection)
    assert (done.status, count) == ("ready", 0)
    assert config["vectors"]["text"]["size"] == 3
    assert "_internal.collection_id" in config["payload_schema"]


# ---- deleted ---------------------------------------------------------------------------------


def test_a_template_is_deleted_with_its_configuration_and_what_was_made_of_it_stays(
    alone: World,
) -> None:
    before = contents(alone.home)
    template = made(alone)
    path = f"{TEMPLATES}/{template['template_id']}"
    for who, status in (("reader", 403), ("stranger", 404)):
        assert alone.ask("DELETE", path, who).status_code == status
    answer = alone.ask("DELETE", path)
    assert answer.json() == {"success": True, "message": "The template 'Video search' is deleted."}
    assert contents(alone.home) == before
    assert alone.ask("GET", path).status_code == 404
    assert alone.ask("DELETE", path).status_code == 404


def test_a_template_that_a_clone_is_being_made_of_stays(world: World) -> None:
    template = made(world)
    path = f"{TEMPLATES}/{template['template_id']}"
    world.ask("POST", f"{path}/instantiate", json={"namespace_name": "busy"})
    answer = world.ask("DELETE", path)
    assert answer.status_code == 409
    assert "'busy' is being made of the template" in answer.text
    assert world.ask("GET", path).status_code == 200
