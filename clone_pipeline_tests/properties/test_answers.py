"""For any namespace that can be loaded, the platform's own client reads every answer about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.api.app import create_app
from clone_pipeline.api.runs import Runs
from clone_pipeline.api.service import Service
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.generations.templates import create_template
from clone_pipeline.core.plan.reservation import reserve_for_run, submitted
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.stores import Stores

from .. import harness
from ..api.serving import served
from ..sdk import mixpeek
from .loaded import LONG_EXAMPLES, loaded
from .namespaces import KINDS, Source, everything, namespaces
from .world import NAMESPACE_NAME, ORGANIZATION

pytestmark = pytest.mark.outside

models = mixpeek.models

NOWHERE = "http://127.0.0.1:9"
ADMIN = Principal(ORGANIZATION, "admin", None)
_STAYS = 0.7
# What the platform derives or adds when it answers; a document that is stored may have none.
ABSENT = {
    "collection": ("source", "feature_extractor"),
    "retriever": ("stages", "collection_ids"),
    "taxonomy": ("config",),
}
# What the reference leaves out of the contract.
NOISE = {"cost_cap_override", "tiering", "pinned", "spend_budget", "budget", "payload_index_count"}
ABSENT_ANYWHERE = {
    "feature_extractor_id",
    "feature_extractors",
    "is_protected",
    "label",
    "level",
    "output_schema",
    "parameters",
    "source_collection",
    "source_config",
    "stage_name",
    "taxonomy_type",
}


def thinned(value: Any, chance: Random) -> Any:
    """Some of what may be absent is, at any depth."""
    if isinstance(value, list):
        return [thinned(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: thinned(inner, chance)
        for key, inner in value.items()
        if key not in ABSENT_ANYWHERE or chance.random() < _STAYS
    }


def as_stored(source: Source, chance: Random) -> Source:
    """The source without much of what an answer needs. Its points are in no answer."""
    files: dict[str, Any] = dict(source.files) | {"points.jsonl": []}
    for name, kind in KINDS.items():
        if kind == "namespace":
            files[name] = thinned(files[name], chance)
        elif kind != "object":
            files[name] = [
                thinned(without(one, ABSENT.get(kind, ()), chance), chance) for one in files[name]
            ]
    return Source(files)


def without(document: dict[str, Any], keys: tuple[str, ...], chance: Random) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k not in keys or chance.random() < _STAYS}


@contextmanager
def asked(stores: Stores) -> Iterator[Callable[[str | None], mixpeek.ApiClient]]:
    """Clients of the app over the stores, each for a namespace."""
    key = create_key(stores.catalog, ORGANIZATION, "admin", datetime.now(timezone.utc), None)[0]
    with served(create_app(Service(stores, Runs(NOWHERE)), 100_000)) as url:

        def client(namespace: str | None = None) -> Any:
            keys = {"NamespaceHeader": namespace} if namespace else None
            return mixpeek.ApiClient(
                mixpeek.Configuration(host=url, access_token=key, api_key=keys)
            )

        yield client


def read_everything(client: Callable[[str | None], mixpeek.ApiClient], names: set[str]) -> None:
    """Every answer that the client knows of. It raises ValidationError for what it cannot read."""
    spaces = mixpeek.NamespacesApi(client(None))
    listed = spaces.list_namespaces(list_namespaces_request=models.ListNamespacesRequest())
    assert {one.namespace_name for one in listed.results} == names
    assert spaces.list_namespaces_get().total_count == len(names)
    for name in names:
        assert spaces.get_namespace(name).namespace_name == name
        read_resources(client(name))
    templates = mixpeek.NamespaceTemplatesApi(client(None))
    for template in templates.list_namespace_templates():
        assert templates.get_namespace_template(template.template_id).configuration
    tasks = mixpeek.TasksApi(client(None))
    for task in tasks.list_tasks().results:
        assert tasks.get_task(task.task_id).task_id == task.task_id


def read_resources(inside: mixpeek.ApiClient) -> None:
    buckets = mixpeek.BucketsApi(inside)
    for bucket in (*buckets.list_buckets().results, *buckets.list_buckets_get().results):
        assert buckets.get_bucket(bucket.bucket_id).bucket_name == bucket.bucket_name
    collections = mixpeek.CollectionsApi(inside)
    found = (*collections.list_collections().results, *collections.list_collections_get().results)
    for collection in found:
        assert collections.get_collection(collection.collection_id).source.type
    retrievers = mixpeek.RetrieversApi(inside)
    pages = (*retrievers.list_retrievers().results, *retrievers.list_retrievers_get().results)
    for retriever in pages:
        assert retrievers.get_retriever(retriever.retriever_id).stages
    taxonomies = mixpeek.TaxonomiesApi(inside)
    kinds = (*taxonomies.list_taxonomies().results, *taxonomies.list_taxonomies_0().results)
    for taxonomy in kinds:
        assert taxonomies.get_taxonomy_taxonomies(taxonomy.taxonomy_id).config


def reserve(stores: Stores, name: str) -> None:
    """A clone whose run is asked for; the answer to it."""
    asked_for = {
        "namespace_identifier": NAMESPACE_NAME,
        "namespace_name": name,
        "include_resources": harness.everything(),
    }
    clone = reserve_for_run(stores, parse_request(asked_for), ADMIN)
    answer = submitted(stores, clone, f"run-of-{name}")
    read = models.CloneNamespaceResponse.from_dict(answer)
    assert read is not None
    assert read.namespace.namespace_id == clone.plan["target"]["namespace_id"]
    # What is being made has counts, too.
    assert {*models.NamespaceModel.model_fields} - NOISE <= {*answer["namespace"]}
    assert answer["namespace"]["document_count"] == 0


def check(source: Source, *, cloned: bool) -> None:
    names = {NAMESPACE_NAME, "making"}
    with loaded(source) as (stores, _):
        if cloned:
            harness.clone(stores, NAMESPACE_NAME, "copy", include_resources=harness.everything())
            names.add("copy")
            values = {"template_name": "t", "description": "d", "category": None, "tags": []}
            create_template(stores, ADMIN, NAMESPACE_NAME, values)
        reserve(stores, "making")
        with asked(stores) as client:
            read_everything(client, names)


def check_stored(source: Source, seed: int) -> None:
    check(as_stored(source, Random(seed)), cloned=False)


@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(source=namespaces(), seed=st.integers(0, 2**32))
def test_the_client_reads_every_answer_about_any_namespace(source: Source, seed: int) -> None:
    check_stored(source, seed)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces(), seed=st.integers(0, 2**32))
def test_the_client_reads_every_answer_about_many_namespaces(source: Source, seed: int) -> None:
    check_stored(source, seed)


def test_the_client_reads_every_answer_about_a_clone() -> None:
    check(everything(), cloned=True)
