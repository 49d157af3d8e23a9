"""What is in a namespace: buckets, collections, retrievers, taxonomies. To look at only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection, func, select

from clone_pipeline.api.errors import Json, documented
from clone_pipeline.api.listing import ListRequest, Window, Windowed
from clone_pipeline.api.listing import select as select_items
from clone_pipeline.api.models import (
    BucketModel,
    CollectionModel,
    ListBucketsResponse,
    ListCollectionsResponse,
    ListRetrieversResponse,
    ListTaxonomiesResponse,
    RetrieverModel,
    TaxonomyModel,
)
from clone_pipeline.api.service import Caller, NamespaceHeader, Service, Services, header_namespace
from clone_pipeline.api.shapes import shape
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.documents import RECORDS, Document
from clone_pipeline.core.catalog.schema import objects
from clone_pipeline.core.errors import NotFound
from clone_pipeline.core.principal import Principal

router = APIRouter()


def _read(connection: Connection, key: int, kind: str) -> list[Document]:
    """Every one of a kind; of a taxonomy all versions, the oldest first."""
    counts = _object_counts(connection, key) if kind == "bucket" else {}
    return [
        shape(kind, document, counts) for document in catalog.read_documents(connection, key, kind)
    ]


def _object_counts(connection: Connection, key: int) -> dict[str, int]:
    query = select(objects.c.bucket_id, func.count()).where(objects.c.namespace_key == key)
    return {row[0]: int(row[1]) for row in connection.execute(query.group_by(objects.c.bucket_id))}


def _page(
    service: Service,
    caller: Principal,
    namespace: str | None,
    kind: str,
    body: ListRequest | None,
    window: Window,
) -> Json:
    window = window.within(body)
    record = RECORDS[kind]
    with service.stores.catalog.read() as connection:
        found_in = header_namespace(connection, caller, namespace)
        everything = _read(connection, found_in.key, kind)
    # Of a taxonomy, the newest version stands for it.
    newest = {document[record.id_field]: document for document in everything}
    searched = (record.id_field, str(record.name_field), "description")
    found = select_items(newest.values(), body, searched)
    return Json(
        {
            "results": found[window.offset : window.offset + window.limit],
            "pagination": window.of(len(found)).model_dump(),
            "total_count": len(found),
            "total": len(found),
        }
    )


def _one(
    service: Service,
    caller: Principal,
    namespace: str | None,
    kind: str,
    identifier: str,
    version: int | None = None,
) -> Json:
    """By id, else by name; the newest version, or the one that is asked for."""
    record = RECORDS[kind]
    with service.stores.catalog.read() as connection:
        found_in = header_namespace(connection, caller, namespace)
        everything = _read(connection, found_in.key, kind)
    for field in (record.id_field, str(record.name_field)):
        matching = [
            one
            for one in everything
            if one[field] == identifier and version in (None, one.get("version"))
        ]
        if matching:
            return Json(matching[-1])
    raise NotFound(
        f"There is no {kind} {identifier!r} in the namespace {found_in.name!r}.",
        resource=kind,
        id=identifier,
    )


# ---- buckets ---------------------------------------------------------------------------------


@router.get(
    "/v1/buckets",
    tags=["Buckets"],
    operation_id="get_buckets",
    response_model=ListBucketsResponse,
    responses=documented(),
)
@router.post(
    "/v1/buckets/list",
    tags=["Buckets"],
    operation_id="list_buckets",
    response_model=ListBucketsResponse,
    responses=documented(),
)
def list_buckets(
    window: Windowed,
    service: Services,
    caller: Caller,
    namespace: NamespaceHeader,
    body: ListRequest | None = None,
) -> Json:
    """A page of the namespace's buckets."""
    return _page(service, caller, namespace, "bucket", body, window)


@router.get(
    "/v1/buckets/{bucket_identifier}",
    tags=["Buckets"],
    operation_id="get_bucket",
    response_model=BucketModel,
    responses=documented(),
)
def get_bucket(
    bucket_identifier: str, service: Services, caller: Caller, namespace: NamespaceHeader
) -> Json:
    """A bucket, by id or name."""
    return _one(service, caller, namespace, "bucket", bucket_identifier)


# ---- collections -----------------------------------------------------------------------------


@router.get(
    "/v1/collections",
    tags=["Collections"],
    operation_id="get_collections",
    response_model=ListCollectionsResponse,
    responses=documented(),
)
@router.post(
    "/v1/collections/list",
    tags=["Collections"],
    operation_id="list_collections",
    response_model=ListCollectionsResponse,
    responses=documented(),
)
def list_collections(
    window: Windowed,
    service: Services,
    caller: Caller,
    namespace: NamespaceHeader,
    body: ListRequest | None = None,
) -> Json:
    """A page of the namespace's collections."""
    return _page(service, caller, namespace, "collection", body, window)


@router.get(
    "/v1/collections/{collection_identifier}",
    tags=["Collections"],
    operation_id="get_collection",
    response_model=CollectionModel,
    responses=documented(),
)
def get_collection(
    collection_identifier: str, service: Services, caller: Caller, namespace: NamespaceHeader
) -> Json:
    """A collection's configuration, by id or name."""
    return _one(service, caller, namespace, "collection", collection_identifier)


# ---- retrievers ------------------------------------------------------------------------------


@router.get(
    "/v1/retrievers",
    tags=["Retrievers"],
    operation_id="get_retrievers",
    response_model=ListRetrieversResponse,
    responses=documented(),
)
@router.post(
    "/v1/retrievers/list",
    tags=["Retrievers"],
    operation_id="list_retrievers",
    response_model=ListRetrieversResponse,
    responses=documented(),
)
def list_retrievers(
    window: Windowed,
    service: Services,
    caller: Caller,
    namespace: NamespaceHeader,
    body: ListRequest | None = None,
) -> Json:
    """A page of the namespace's retrievers."""
    return _page(service, caller, namespace, "retriever", body, window)


@router.get(
    "/v1/retrievers/{retriever_id}",
    tags=["Retrievers"],
    operation_id="get_retriever",
    response_model=RetrieverModel,
    responses=documented(),
)
def get_retriever(
    retriever_id: str, service: Services, caller: Caller, namespace: NamespaceHeader
) -> Json:
    """A retriever, by id or name."""
    return _one(service, caller, namespace, "retriever", retriever_id)


# ---- taxonomies ------------------------------------------------------------------------------


@router.get(
    "/v1/taxonomies",
    tags=["Taxonomies"],
    operation_id="get_taxonomies",
    response_model=ListTaxonomiesResponse,
    responses=documented(),
)
@router.post(
    "/v1/taxonomies/list",
    tags=["Taxonomies"],
    operation_id="list_taxonomies",
    response_model=ListTaxonomiesResponse,
    responses=documented(),
)
def list_taxonomies(
    window: Windowed,
    service: Services,
    caller: Caller,
    namespace: NamespaceHeader,
    body: ListRequest | None = None,
) -> Json:
    """A page of the namespace's taxonomies, each in its newest version."""
    return _page(service, caller, namespace, "taxonomy", body, window)


@router.get(
    "/v1/taxonomies/{taxonomy_identifier}",
    tags=["Taxonomies"],
    operation_id="get_taxonomy",
    response_model=TaxonomyModel,
    responses=documented(),
)
def get_taxonomy(
    taxonomy_identifier: str,
    service: Services,
    caller: Caller,
    namespace: NamespaceHeader,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Json:
    """A taxonomy, by id or name: its newest version, or the one that is asked for."""
    return _one(service, caller, namespace, "taxonomy", taxonomy_identifier, version)
