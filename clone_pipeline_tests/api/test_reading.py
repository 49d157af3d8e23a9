"""Lists, pages and what is in a namespace; no secret in any of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from clone_pipeline.core.catalog.namespace import UNREADABLE
from clone_pipeline_tests.api.world import World
from clone_pipeline_tests.cli.prod import COUNTS, SECRET, WEBHOOK_SECRET

IN_PROD, IN_STAGING = {"X-Namespace": "prod"}, {"X-Namespace": "staging"}


def names(world: World, body: Any = None, query: str = "") -> list[str]:
    answer = world.ask("POST", f"/v1/namespaces/list{query}", json=body)
    assert answer.status_code == 200, answer.text
    return [one["namespace_name"] for one in answer.json()["results"]]


# ---- namespaces ------------------------------------------------------------------------------


def test_a_namespace_has_its_state_and_what_it_holds(alone: World) -> None:
    by_name = alone.ask("GET", "/v1/namespaces/staging").json()
    by_id = alone.ask("GET", f"/v1/namespaces/{by_name['namespace_id']}").json()
    assert by_id == by_name
    assert by_name["clone_status"] == "ready"
    assert by_name["source_namespace_id"] == "ns_prod000001"
    assert by_name["cloned_resources"] == COUNTS
    assert (by_name["progress"], by_name["replacement"]) == (None, None)
    assert by_name["namespace_ready"] is True
    source = alone.ask("GET", "/v1/namespaces/prod").json()
    assert "clone_status" not in source
    assert source["cloned_resources"] is None
    failed = alone.ask("GET", "/v1/namespaces/half").json()
    assert (failed["clone_status"], failed["clone_error"]) == ("failed", "The disk was full.")
    assert failed["cloned_resources"]["objects"] == 3
    assert failed["progress"]["step"] == "clone_collections"


def test_a_replacement_that_is_built_shows_beside_the_live_one(world: World) -> None:
    answer = world.clone("prod", namespace_name="staging", if_exists="replace")
    assert answer.status_code == 200
    document = answer.json()
    assert document["namespace"]["clone_status"] == "cloning"
    polled = world.ask("GET", "/v1/namespaces/staging").json()
    assert polled["clone_status"] == "ready"
    assert polled["namespace_id"] == document["namespace"]["namespace_id"]
    assert polled["replacement"]["clone_status"] == "cloning"
    assert polled["replacement"]["clone_task_id"] == document["task_id"]


def test_the_list_has_the_callers_namespaces_and_no_others(alone: World) -> None:
    everything = ["half", "plain", "prod", "staging"]
    assert names(alone) == everything
    assert names(alone, {}) == everything
    listed = alone.ask("GET", "/v1/namespaces").json()
    assert [one["namespace_name"] for one in listed["results"]] == everything
    assert listed["total_count"] == 4
    other = alone.ask("POST", "/v1/namespaces/list", "stranger").json()
    assert [one["namespace_name"] for one in other["results"]] == ["elsewhere"]


def one(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"AND": [{"field": field, "operator": operator, "value": value}]}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"namespace_name": "PROD"}, ["prod"]),
        ({"namespace_id": "ns_prod000001"}, ["prod"]),
        (one("namespace_name", "eq", "plain"), ["plain"]),
        (one("clone_status", "exists", True), ["half", "staging"]),
        ({"OR": [{"namespace_name": "prod"}, {"clone_status": "failed"}]}, ["half", "prod"]),
        ({"NOT": [one("clone_status", "exists", True)]}, ["plain", "prod"]),
        (one("namespace_name", "in", ["prod", "x"]), ["prod"]),
        (one("namespace_name", "nin", ["prod", "plain"]), ["half", "staging"]),
        (one("namespace_name", "starts_with", "P"), ["plain", "prod"]),
        (one("namespace_name", "ends_with", "ing"), ["staging"]),
        (one("namespace_name", "contains", "la"), ["plain"]),
        (one("namespace_name", "gt", "prod"), ["staging"]),
        (one("namespace_name", "lte", "plain"), ["half", "plain"]),
        (one("document_count", "gte", 5), ["plain", "prod"]),
        ({"infrastructure.qdrant_collection": "ns_plain00001_store"}, ["plain"]),
        ({"AND": None, "namespace_name": "prod"}, ["prod"]),
    ],
)  # fmt: skip
def test_filters(filters: Any, expected: list[str], alone: World) -> None:
    assert names(alone, {"filters": filters}) == expected


def test_search_and_order(alone: World) -> None:
    assert names(alone, {"search": "STAG"}) == ["staging"]
    assert names(alone, {"search": "STAG", "case_sensitive": True}) == []
    assert names(alone, {"sort": {"field": "namespace_name", "direction": "desc"}}) == [
        "staging",
        "prod",
        "plain",
        "half",
    ]


def test_pages(alone: World) -> None:
    assert names(alone, query="?limit=2") == ["half", "plain"]
    assert names(alone, query="?limit=2&offset=2") == ["prod", "staging"]
    assert names(alone, query="?page_size=3&page=2") == ["staging"]
    first = alone.ask("POST", "/v1/namespaces/list?limit=3").json()["pagination"]
    assert (first["total"], first["page"], first["page_size"]) == (None, 1, 3)
    assert names(alone, query=f"?limit=3&cursor={first['next_cursor']}") == ["staging"]
    whole = alone.ask("POST", "/v1/namespaces/list?limit=3&include_total=true").json()
    assert (whole["pagination"]["total"], whole["pagination"]["total_pages"]) == (4, 2)
    last = alone.ask("POST", "/v1/namespaces/list?offset=10").json()
    assert (last["results"], last["pagination"]["next_cursor"]) == ([], None)


# ---- what is in one --------------------------------------------------------------------------


def test_buckets(alone: World) -> None:
    listed = alone.ask("POST", "/v1/buckets/list", headers=IN_PROD).json()
    assert [one["object_count"] for one in listed["results"]] == [1, 2]
    one = alone.ask("GET", "/v1/buckets/videos", headers=IN_PROD).json()
    assert (one["bucket_id"], one["object_count"], one["total_size_bytes"]) == (
        "bkt_videos01",
        2,
        0,
    )
    assert alone.ask("GET", "/v1/buckets/bkt_videos01", headers=IN_PROD).json() == one


@pytest.mark.parametrize(
    ("kind", "field", "name"),
    [
        ("buckets", "bucket_id", "videos"),
        ("collections", "collection_id", "scenes"),
        ("retrievers", "retriever_id", "search"),
        ("taxonomies", "taxonomy_id", "kinds"),
    ],
)
def test_a_clone_has_what_its_source_has_under_its_own_ids(
    kind: str, field: str, name: str, alone: World
) -> None:
    source = alone.ask("GET", f"/v1/{kind}/{name}", headers=IN_PROD).json()
    clone = alone.ask("GET", f"/v1/{kind}/{name}", headers=IN_STAGING).json()
    assert source[field] != clone[field]
    assert source[field][:4] == clone[field][:4]
    assert set(source) - set(clone) <= {"cluster_applications"}
    by_id = alone.ask("GET", f"/v1/{kind}/{clone[field]}", headers=IN_STAGING).json()
    assert by_id == clone
    assert alone.ask("GET", f"/v1/{kind}/{clone[field]}", headers=IN_PROD).status_code == 404
    listed = alone.ask("POST", f"/v1/{kind}/list", headers=IN_STAGING, json={"search": name}).json()
    assert [one[field] for one in listed["results"]] == [clone[field]]
    assert listed["total_count"] == listed["total"] == 1


def test_a_retriever_is_as_the_client_wants_it(alone: World) -> None:
    one = alone.ask("GET", "/v1/retrievers/search", headers=IN_PROD).json()
    assert one["collection_identifiers"] == one["collection_ids"]
    assert one["stages"][0]["parameters"] == one["stages"][0]["config"]["parameters"]


def test_a_taxonomy_is_the_newest_version_unless_asked(alone: World) -> None:
    path = "/v1/taxonomies/kinds"
    assert alone.ask("GET", path, headers=IN_PROD).json()["version"] == 2
    assert alone.ask("GET", f"{path}?version=1", headers=IN_PROD).json()["version"] == 1
    listed = alone.ask("POST", "/v1/taxonomies/list", headers=IN_PROD).json()
    assert [one["version"] for one in listed["results"]] == [2]


# ---- tasks -----------------------------------------------------------------------------------


def test_tasks_are_listed_newest_first(alone: World) -> None:
    def listed(**body: Any) -> list[tuple[str, str]]:
        answer = alone.ask("POST", "/v1/tasks/list", json=body).json()
        return [
            (one["additional_data"]["namespace_name"], one["status"]) for one in answer["results"]
        ]

    assert listed() == [("half", "FAILED"), ("staging", "COMPLETED")]
    assert listed(status="FAILED") == [("half", "FAILED")]
    assert listed(task_type="api_namespaces_create", search="stag") == [("staging", "COMPLETED")]
    assert listed(task_type="api_buckets_create") == []
    assert alone.ask("POST", "/v1/tasks/list", "stranger").json()["results"] == []


def test_a_task_of_another_organization_is_not_there(alone: World) -> None:
    clone = alone.ledger("staging")
    assert clone is not None
    path = f"/v1/tasks/{clone.run_id}"
    assert alone.ask("GET", path).json()["status"] == "COMPLETED"
    from clone_pipeline_tests.api.world import key

    stranger = key(alone.stores, "org_other", "member")
    for method in ("GET", "DELETE"):
        assert alone.ask(method, path, stranger).status_code == 404


# ---- deleting --------------------------------------------------------------------------------


def test_a_clone_is_deleted(alone: World) -> None:
    assert alone.ask("DELETE", "/v1/namespaces/staging").json()["success"] is True
    assert alone.ask("GET", "/v1/namespaces/staging").status_code == 404
    assert alone.ask("DELETE", "/v1/namespaces/staging").status_code == 404
    assert names(alone) == ["half", "plain", "prod"]
    with alone.stores.vectors() as vectors:
        clone = alone.ledger("staging")
        assert clone is not None
        assert not vectors.exists(clone.qdrant_collection)


# ---- secrets ---------------------------------------------------------------------------------

READING = [
    ("GET", "/v1/namespaces/{}"),
    ("POST", "/v1/namespaces/list"),
    ("POST", "/v1/buckets/list"),
    ("GET", "/v1/buckets/texts"),
    ("POST", "/v1/collections/list"),
    ("POST", "/v1/retrievers/list"),
    ("POST", "/v1/taxonomies/list"),
    ("POST", "/v1/tasks/list"),
    ("GET", "/v1/templates/namespaces"),
]


@pytest.mark.parametrize("namespace", ["prod", "staging"])
def test_no_answer_and_no_log_holds_a_secret(
    namespace: str, alone: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    body = {"template_name": "t"}
    alone.ask("POST", f"/v1/templates/namespaces/from-namespace/{namespace}", json=body)
    said = ""
    for method, path in READING:
        headers = {"X-Namespace": namespace}
        answer = alone.ask(method, path.format(namespace), headers=headers)
        assert answer.status_code == 200, path
        said += answer.text + str(answer.headers)
    alone.clone(namespace, namespace_name="secretive")
    for secret in (SECRET, WEBHOOK_SECRET, *alone.keys.values()):
        assert secret not in said
        assert secret not in caplog.text
    assert "qdrant_collection" in said


def test_what_another_service_has_spoilt_is_listed_with_the_others(alone: World) -> None:
    bucket = alone.ask("GET", "/v1/buckets", headers=IN_PROD).json()["results"][0]["bucket_id"]
    with alone.stores.catalog.write() as connection:
        connection.execute(
            text("UPDATE namespaces SET document = '{' WHERE namespace_name = 'plain'")
        )
        connection.execute(
            text(
                "UPDATE buckets SET document = '[]' WHERE bucket_id = :bucket AND namespace_key = "
                "(SELECT namespace_key FROM namespaces WHERE namespace_name = 'prod')"
            ),
            {"bucket": bucket},
        )
    assert names(alone) == ["half", "plain", "prod", "staging"]
    answer = alone.ask("GET", "/v1/namespaces/plain")
    assert answer.status_code == 500
    assert "'ns_plain00001' cannot be read" in answer.json()["error"]["message"]
    listed = alone.ask("GET", "/v1/buckets", headers=IN_PROD).json()["results"]
    assert len(listed) == COUNTS["buckets"]
    assert [one["bucket_id"] for one in listed if UNREADABLE in one] == [bucket]
    answer = alone.ask("GET", f"/v1/buckets/{bucket}", headers=IN_PROD)
    assert answer.status_code == 500
    assert f"The bucket '{bucket}' cannot be read" in answer.json()["error"]["message"]
