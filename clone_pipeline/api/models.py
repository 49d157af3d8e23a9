"""What goes in and out, as the OpenAPI document shows it.

Resources are raw documents that may hold anything, so answers are written as they are; these models
say which fields can be relied on. A test holds every answer against them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from clone_pipeline.api.bodies import Body
from clone_pipeline.api.listing import Pagination
from clone_pipeline.core.request import LONGEST_DESCRIPTION, CloneRequest, IncludeResources


class _Document(BaseModel):
    """A raw document: further fields may stand in it."""

    model_config = ConfigDict(extra="allow")


# ---- clones ----------------------------------------------------------------------------------


class IncludeResourcesBody(IncludeResources, Body):
    """Which resource types come along. Buckets and objects always do."""


def _clone_fields() -> dict[str, Any]:
    """The request's own fields, bounds and descriptions; the source is in the path."""
    fields: dict[str, Any] = {
        name: (info.annotation, info)
        for name, info in CloneRequest.model_fields.items()
        if name != "namespace_identifier"
    }
    asked = CloneRequest.model_fields["include_resources"]
    fields["include_resources"] = (
        IncludeResourcesBody | None,
        Field(None, description=f"{asked.description} Null: collections and retrievers."),
    )
    return fields


CloneNamespaceRequest: type[Body] = create_model(
    "CloneNamespaceRequest",
    __base__=Body,
    __doc__="The clone that is wanted: Mixpeek's fields, and this program's own options.",
    **_clone_fields(),
)


class Counts(BaseModel):
    """The `ClonedResourceSummary`."""

    collections: int = 0
    retrievers: int = 0
    taxonomies: int = 0
    buckets: int = 0
    objects: int = 0
    points: int = 0


class Done(BaseModel):
    """How many of a resource type are done, and how many are planned (null: not known yet)."""

    done: int
    planned: int | None


class Progress(BaseModel):
    """How far a clone is. `step` is the one at work, null when all are done."""

    step: str | None
    steps_done: int
    steps: int
    resources: dict[str, Done]


class Replacement(BaseModel):
    """A generation that is built beside the live one (`if_exists: replace`)."""

    clone_status: str
    clone_error: str | None
    clone_task_id: str | None
    progress: Progress


class NamespaceModel(_Document):
    """A namespace with its clone state; `cloned_resources`, `progress` and `replacement` are this
    program's own."""

    object: Literal["namespace"]
    namespace_id: str
    namespace_name: str
    namespace_type: str
    scope: str
    infrastructure: dict[str, Any] | None
    cluster_id: str | None
    description: str | None
    feature_extractors: list[Any]
    payload_indexes: list[Any] | None
    document_count: int | None = Field(description="While it is cloned: the points so far.")
    document_count_complete: bool
    bucket_count: int
    collection_count: int
    object_count: int
    auto_create_indexes: bool
    adaptive_indexing: bool
    dynamic_vector_indexes: bool | None
    vector_inference_map: dict[str, Any] | None
    trusted_issuers: list[Any] | None
    mode: str | None
    vector_configs: list[Any] | None
    clone_status: str | None = None
    clone_phase: str | None = None
    clone_error: str | None = None
    clone_task_id: str | None = None
    clone_dispatched_at: str | None = None
    source_namespace_id: str | None = None
    namespace_ready: bool
    expires_at: str | None = None
    created_at: str | None
    updated_at: str | None
    cost_cap_override: dict[str, Any] | None = None
    tiering: dict[str, Any] | None = None
    pinned: dict[str, Any] | None = None
    spend_budget: dict[str, Any] | None = None
    budget: dict[str, Any] | None = None
    payload_index_count: int | None = None
    cloned_resources: Counts | None = None
    progress: Progress | None = None
    replacement: Replacement | None = None


class CloneNamespaceResponse(BaseModel):
    """The clone that was begun: its id is final, and `task_id` is the Dagster run."""

    namespace: NamespaceModel
    source_namespace_id: str
    status: str
    task_id: str | None
    cloned_resources: Counts | None
    primary_retriever_id: str | None


class ClonePlan(_Document):
    """What a clone would do. Nothing is written for it."""

    source: dict[str, Any]
    target: dict[str, Any]
    include_resources: dict[str, Any]
    counts: dict[str, int | None]
    id_map: list[dict[str, Any]]
    reference_counts: dict[str, int]
    references: list[dict[str, Any]]
    unlisted: dict[str, Any]
    lane: str
    lane_reason: str
    warnings: list[str]


# ---- lists and other resources ---------------------------------------------------------------


class ListNamespacesResponse(BaseModel):
    """A page of namespaces."""

    results: list[NamespaceModel]
    pagination: Pagination
    total_count: int


class BucketModel(_Document):
    """A bucket."""

    bucket_id: str
    bucket_name: str
    object_count: int
    total_size_bytes: int


class CollectionModel(_Document):
    """A collection's configuration."""

    collection_id: str
    collection_name: str


class RetrieverModel(_Document):
    """A retriever. `collection_identifiers` mirrors `collection_ids`."""

    retriever_id: str
    retriever_name: str
    collection_identifiers: list[Any]


class TaxonomyModel(_Document):
    """A taxonomy, in its newest version unless another one is asked for."""

    taxonomy_id: str
    version: int
    taxonomy_name: str


class ListBucketsResponse(BaseModel):
    """A page of buckets."""

    results: list[BucketModel]
    pagination: Pagination
    total_count: int
    total: int


class ListCollectionsResponse(BaseModel):
    """A page of collections."""

    results: list[CollectionModel]
    pagination: Pagination
    total_count: int
    total: int


class ListRetrieversResponse(BaseModel):
    """A page of retrievers."""

    results: list[RetrieverModel]
    pagination: Pagination
    total_count: int
    total: int


class ListTaxonomiesResponse(BaseModel):
    """A page of taxonomies."""

    results: list[TaxonomyModel]
    pagination: Pagination
    total_count: int
    total: int


# ---- tasks -----------------------------------------------------------------------------------

TaskStatus = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"]


class TaskResponse(BaseModel):
    """The run that makes a clone; the task goes on where Dagster or a resume starts another run."""

    task_id: str
    task_type: Literal["api_namespaces_create"]
    status: TaskStatus
    inputs: list[str]
    outputs: list[str]
    additional_data: dict[str, Any]
    error: str | None


class ListTasksResponse(BaseModel):
    """A page of tasks, newest first."""

    results: list[TaskResponse]
    pagination: Pagination
    total_count: int


class DeleteResponse(BaseModel):
    """What was done."""

    success: Literal[True] = True
    message: str


# ---- templates -------------------------------------------------------------------------------


class CreateTemplateRequest(Body):
    """A template of a namespace's configuration."""

    template_name: str = Field(min_length=1, max_length=100)
    # Mixpeek's own bounds: its client refuses longer ones when it reads them.
    description: str | None = Field(None, max_length=1000)
    scope: Literal["organization"] = Field(
        "organization", description="Who sees it; there are no others here."
    )
    category: str | None = Field(None, max_length=100)
    tags: list[Annotated[str, Field(max_length=100)]] = Field([], max_length=50)
    is_public: Literal[False] = False


class CreateTemplateResponse(BaseModel):
    """The template that was made."""

    template_id: str
    template_name: str
    template_type: Literal["namespace"]
    scope: Literal["organization"]
    source_resource_id: str
    created_at: str


class TemplateModel(BaseModel):
    """A template: configuration without records, to make namespaces from."""

    template_id: str
    template_type: Literal["namespace"]
    scope: Literal["organization"]
    internal_id: str
    name: str
    description: str
    configuration: dict[str, Any]
    mode: Literal["config"]
    category: str | None
    tags: list[str]
    is_active: bool
    is_public: bool
    created_by: str | None
    source_resource_id: str
    created_at: str


class InstantiateRequest(Body):
    """The namespace that is wanted."""

    namespace_name: str = Field(min_length=3, max_length=50)
    description: str | None = Field(None, max_length=LONGEST_DESCRIPTION)


class InstantiateResponse(BaseModel):
    """The namespace that is being made; poll it, or the task."""

    namespace_id: str
    template_id: str
    status: str
    task_id: str | None


# ---- the service itself ----------------------------------------------------------------------


class Health(BaseModel):
    """Whether the service is up."""

    status: Literal["ok"]
