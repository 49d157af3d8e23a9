"""What is in a namespace: buckets, collections, retrievers, taxonomies. To look at only."""

# Annotations are read when a route is added, and some name what only exists then: they stay as
# they are, without `from __future__ import annotations`.
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
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


@dataclass(frozen=True)
class _Kind:
    """The routes of a kind: their names in the contract, and what they answer."""

    kind: str
    plural: str
    identifier: str  # the path's parameter
    page: type[BaseModel]
    one: type[BaseModel]
    about_page: str
    about_one: str


_KINDS = (
    _Kind(
        "bucket",
        "buckets",
        "bucket_identifier",
        ListBucketsResponse,
        BucketModel,
        "A page of the namespace's buckets.",
        "A bucket, by id or name.",
    ),
    _Kind(
        "collection",
        "collections",
        "collection_identifier",
        ListCollectionsResponse,
        CollectionModel,
        "A page of the namespace's collections.",
        "A collection's configuration, by id or name.",
    ),
    _Kind(
        "retriever",
        "retrievers",
        "retriever_id",
        ListRetrieversResponse,
        RetrieverModel,
        "A page of the namespace's retrievers.",
        "A retriever, by id or name.",
    ),
    _Kind(
        "taxonomy",
        "taxonomies",
        "taxonomy_identifier",
        ListTaxonomiesResponse,
        TaxonomyModel,
        "A page of the namespace's taxonomies, each in its newest version.",
        "A taxonomy, by id or name: its newest version, or the one that is asked for.",
    ),
)


def _add_routes(its: _Kind) -> None:
    def list_them(
        window: Windowed,
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
        body: ListRequest | None = None,
    ) -> Json:
        return _page(service, caller, namespace, its.kind, body, window)

    def get_one(
        identifier: Annotated[str, Path(alias=its.identifier)],
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
    ) -> Json:
        return _one(service, caller, namespace, its.kind, identifier)

    def get_version(
        identifier: Annotated[str, Path(alias=its.identifier)],
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
        version: Annotated[int | None, Query(ge=1)] = None,
    ) -> Json:
        return _one(service, caller, namespace, its.kind, identifier, version)

    def add(
        method: str, path: str, operation_id: str, endpoint: Callable[..., Json], **more: Any
    ) -> None:
        router.add_api_route(
            f"/v1/{its.plural}{path}",
            endpoint,
            methods=[method],
            tags=[its.plural.title()],
            operation_id=operation_id,
            responses=documented(),
            **more,
        )

    page = {"response_model": its.page, "description": its.about_page, "name": f"list_{its.plural}"}
    add("GET", "", f"get_{its.plural}", list_them, **page)
    add("POST", "/list", f"list_{its.plural}", list_them, **page)
    one = {"response_model": its.one, "description": its.about_one, "name": f"get_{its.kind}"}
    get = get_version if its.kind == "taxonomy" else get_one
    add("GET", f"/{{{its.identifier}}}", f"get_{its.kind}", get, **one)


for _kind in _KINDS:
    _add_routes(_kind)
