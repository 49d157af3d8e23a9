"""Clients that no one here wrote: the `mixpeek` package, pointed at a live server by host alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline_tests.api.live import Live, serving
from clone_pipeline_tests.sdk import mixpeek
from clone_pipeline_tests.ui.dev import Project, wait_until

pytestmark = pytest.mark.outside

models, sdk = mixpeek.models, mixpeek.exceptions
hand_written = mixpeek._client.client

DEMO = SOURCE["namespace_name"]
COUNTS = {
    "collections": 6,
    "retrievers": 6,
    "taxonomies": 0,
    "buckets": 2,
    "objects": 482,
    "points": 2168,
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    project = Project.make(tmp_path_factory.mktemp("sdk") / "project")
    project.cli("load", str(FOLDER / "bundle"))
    with serving(project) as live:
        wait_until(live.is_ready, "Dagster")
        yield live


def generated(live: Live, api_key: str | None = None, namespace: str | None = None) -> Any:
    keys = {"NamespaceHeader": namespace} if namespace else None
    return mixpeek.ApiClient(
        mixpeek.Configuration(host=live.url, access_token=api_key or live.api_key, api_key=keys)
    )


def poll(get: Any) -> Any:
    def ended() -> Any:
        now = get()
        return now if now["clone_status"] in ("ready", "failed") else None

    now = wait_until(ended, "the clone")
    assert now["clone_status"] == "ready", now
    return now


def test_the_generated_api_clones_polls_and_reads_what_it_got(live: Live) -> None:
    """As the reference has it: construct, clone, poll until ready, read the cloned retriever."""
    clones = mixpeek.NamespaceCloneApi(generated(live))
    request = models.CloneNamespaceRequest(namespace_name="sdk_staging", description="Staging copy")
    answer = clones.clone_namespace(DEMO, request)
    assert (answer.status, answer.source_namespace_id) == ("cloning", SOURCE["namespace_id"])
    assert answer.namespace.namespace_id.startswith("ns_")
    namespaces, tasks = (
        mixpeek.NamespacesApi(generated(live)),
        mixpeek.TasksApi(generated(live)),
    )

    def get() -> dict[str, Any]:
        return namespaces.get_namespace(answer.namespace.namespace_id).to_dict()

    ready = poll(get)
    assert ready["namespace_ready"] is True
    assert ready["description"] == "Staging copy"
    assert ready["document_count"] == COUNTS["points"]
    task = tasks.get_task(answer.task_id)
    assert (task.status.value, task.error) == ("COMPLETED", None)
    assert task.additional_data["cloned_resources"] == COUNTS
    inside = generated(live, namespace=answer.namespace.namespace_id)
    retriever = mixpeek.RetrieversApi(inside).get_retriever(answer.primary_retriever_id)
    collections = mixpeek.CollectionsApi(inside).list_collections().results
    assert len(collections) == COUNTS["collections"]
    assert set(retriever.collection_identifiers) <= {one.collection_id for one in collections}
    buckets = mixpeek.BucketsApi(inside).list_buckets().results
    assert sum(bucket.object_count for bucket in buckets) == COUNTS["objects"]
    assert len(mixpeek.RetrieversApi(inside).list_retrievers().results) == COUNTS["retrievers"]
    assert mixpeek.TaxonomiesApi(inside).list_taxonomies().results == []
    listed = namespaces.list_namespaces(
        list_namespaces_request=models.ListNamespacesRequest(search="sdk_staging")
    )
    assert [one.namespace_name for one in listed.results] == ["sdk_staging"]
    mine = tasks.list_tasks(list_tasks_request=models.ListTasksRequest(search="sdk_staging"))
    assert [one.task_id for one in mine.results] == [answer.task_id]
    # A name that exists; then it goes.
    with pytest.raises(sdk.ConflictException) as taken:
        clones.clone_namespace(DEMO, request)
    assert "namespace_name_taken" in taken.value.body
    namespaces.delete_namespace(answer.namespace.namespace_id)
    with pytest.raises(sdk.NotFoundException):
        namespaces.get_namespace(answer.namespace.namespace_id)


def test_the_hand_written_client_clones_and_waits(live: Live) -> None:
    client = mixpeek.Mixpeek(live.api_key, base_url=f"{live.url}/v1")
    answer = client.namespaces.clone(
        DEMO, namespace_name="sdk_by_hand", include_resources={"collections": False}
    )
    assert answer.status == "cloning"
    ready = poll(lambda: client.namespaces.get(answer.namespace.namespace_id))
    assert ready.cloned_resources.points == 0
    assert ready.cloned_resources.objects == COUNTS["objects"]
    inside = mixpeek.Mixpeek(
        live.api_key, base_url=f"{live.url}/v1", namespace=answer.namespace.namespace_id
    )
    retriever = inside.retrievers.get(answer.primary_retriever_id)
    assert retriever.retriever_id == answer.primary_retriever_id
    assert inside.retrievers.list().total == COUNTS["retrievers"]
    assert client.tasks.get(answer.task_id).status == "COMPLETED"
    assert {one.namespace_name for one in client.namespaces.list().results} >= {DEMO, "sdk_by_hand"}


def test_a_namespace_from_a_template(live: Live) -> None:
    templates = mixpeek.NamespaceTemplatesApi(generated(live))
    made = templates.create_namespace_template_from(
        DEMO,
        models.CreateTemplateFromResourceRequest(template_name="Docs", description="Search docs"),
    )
    shown = templates.get_namespace_template(made.template_id)
    assert (shown.name, shown.source_resource_id) == ("Docs", SOURCE["namespace_id"])
    assert made.template_id in [one.template_id for one in templates.list_namespace_templates()]
    path = f"/v1/templates/namespaces/{made.template_id}/instantiate"
    answer = live.client.post(path, json={"namespace_name": "sdk_fresh"})
    assert answer.status_code == 201, answer.text
    namespaces = mixpeek.NamespacesApi(generated(live))
    ready = poll(lambda: namespaces.get_namespace(answer.json()["namespace_id"]).to_dict())
    assert (ready["collection_count"], ready["object_count"]) == (COUNTS["collections"], 0)


# ---- exceptions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader(live: Live) -> str:
    key: str = live.project.cli("keys", "create", "--role", "read")["api_key"]
    return key


@pytest.fixture(scope="module")
def taken(live: Live) -> str:
    """A name that a clone has, made or in the making."""
    live.clone(DEMO, "sdk_taken", include_resources={"collections": False})
    return "sdk_taken"


def refusals(reader: str, taken: str) -> list[tuple[type[Exception], int, dict[str, Any]]]:
    """The exception, the status, and what to ask for it."""
    return [
        (sdk.UnauthorizedException, 401, {"api_key": "sk_wrong", "name": "x"}),
        (sdk.ForbiddenException, 403, {"api_key": reader, "name": "x"}),
        (sdk.NotFoundException, 404, {"source": "nothing", "name": "x"}),
        (sdk.ConflictException, 409, {"name": taken}),
        (sdk.UnprocessableEntityException, 422, {"name": DEMO}),
    ]


def test_the_generated_api_raises_what_it_should(live: Live, reader: str, taken: str) -> None:
    for exception, status, asked in refusals(reader, taken):
        clones = mixpeek.NamespaceCloneApi(generated(live, asked.get("api_key")))
        request = models.CloneNamespaceRequest(namespace_name=asked["name"])
        with pytest.raises(exception) as raised:
            clones.clone_namespace(asked.get("source", DEMO), request)
        error: Any = raised.value
        assert error.status == status
        # The documented envelope parses; for 409 the generator has declared none.
        if status != 409:
            assert error.data.error.message


def test_the_hand_written_client_raises_what_it_should(live: Live, reader: str, taken: str) -> None:
    for _, status, asked in refusals(reader, taken):
        client = mixpeek.Mixpeek(asked.get("api_key", live.api_key), base_url=f"{live.url}/v1")
        with pytest.raises(hand_written.MixpeekAPIError) as raised:
            client.namespaces.clone(asked.get("source", DEMO), namespace_name=asked["name"])
        assert raised.value.status == status
        assert raised.value.detail["error"]["message"]


def test_too_many_requests_are_told_and_waited_for(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, few = live.project, {"CLONE_API_REQUESTS_PER_MINUTE": "2"}
    elsewhere = {"DAGSTER_WEBSERVER_URL": live.dagster_url}
    with serving(project, live.api_key, **few, **elsewhere) as limited:
        namespaces = mixpeek.NamespacesApi(generated(limited))
        request = models.CloneNamespaceRequest(namespace_name="sdk_limited")
        for _ in range(2):
            assert namespaces.get_namespace(DEMO).namespace_name == DEMO
        with pytest.raises(sdk.ApiException) as raised:
            # By POST: of a GET, urllib3 itself waits for as long as it is told to.
            mixpeek.NamespaceCloneApi(generated(limited)).clone_namespace(DEMO, request)
        assert raised.value.status == 429
        client = mixpeek.Mixpeek(limited.api_key, base_url=f"{limited.url}/v1")
        waits: list[float] = []
        monkeypatch.setattr(time, "sleep", waits.append)
        monkeypatch.setattr(hand_written, "RETRY_BUDGET_S", 45.0)
        with pytest.raises(hand_written.MixpeekAPIError) as told:
            client.namespaces.clone(DEMO, namespace_name="sdk_limited")
        assert told.value.status == 429
        # It has waited as long as it was told to, within its own bounds: once or twice, by how much
        # of the minute is left.
        assert waits
        assert all(1 <= waited <= 30 for waited in waits)
        assert sum(waits) <= 45
        assert told.value.retry_after
