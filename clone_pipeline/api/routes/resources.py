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
from clone_pipeline.api.listing import ListRequest, Selection, Window, Windowed
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
from clone_pipeline.core.catalog.namespace import UNREADABLE
from clone_pipeline.core.catalog.schema import objects
from clone_pipeline.core.errors import NotFound, UnreadableRecord
from clone_pipeline.core.kinds import BUCKET, COLLECTION, RETRIEVER, TAXONOMY, ResourceKind
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import LARGEST_NUMBER

router = APIRouter()


def _read(connection: Connection, key: int, kind: str) -> list[Document]:
    """Every one of a kind, in all its versions, the oldest first."""
    counts = _object_counts(connection, key) if kind == BUCKET.name else {}
    return [
        shape(kind, document, counts) for document in catalog.read_listed(connection, key, kind)
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
    wanted = Selection(body, (record.id_field, str(record.name_field), "description"))
    with service.stores.catalog.read() as connection:
        found_in = header_namespace(connection, caller, namespace)
        everything = _read(connection, found_in.key, kind)
    # The newest version stands for all of them.
    newest = {document[record.id_field]: document for document in everything}
    found = wanted.of(newest.values())
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
            if error := matching[-1].get(UNREADABLE):
                raise UnreadableRecord(kind, identifier, error)
            return Json(matching[-1])
    raise NotFound(
        f"There is no {kind} {identifier!r} in the namespace {found_in.name!r}.",
        resource=kind,
        id=identifier,
    )


@dataclass(frozen=True)
class _Routes:
    """The routes of a kind: what the contract calls them, and what they answer."""

    kind: ResourceKind
    identifier: str  # the path's parameter
    page: type[BaseModel]
    one: type[BaseModel]
    about_page: str
    about_one: str


_ROUTES = (
    _Routes(
        BUCKET,
        "bucket_identifier",
        ListBucketsResponse,
        BucketModel,
        "A page of the namespace's buckets.",
        "A bucket, by id or name.",
    ),
    _Routes(
        COLLECTION,
        "collection_identifier",
        ListCollectionsResponse,
        CollectionModel,
        "A page of the namespace's collections.",
        "A collection's configuration, by id or name.",
    ),
    _Routes(
        RETRIEVER,
        "retriever_id",
        ListRetrieversResponse,
        RetrieverModel,
        "A page of the namespace's retrievers.",
        "A retriever, by id or name.",
    ),
    _Routes(
        TAXONOMY,
        "taxonomy_identifier",
        ListTaxonomiesResponse,
        TaxonomyModel,
        "A page of the namespace's taxonomies, each in its newest version.",
        "A taxonomy, by id or name: its newest version, or the one that is asked for.",
    ),
)


def _add_routes(its: _Routes) -> None:
    plural = its.kind.plural

    def list_them(
        window: Windowed,
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
        body: ListRequest | None = None,
    ) -> Json:
        return _page(service, caller, namespace, its.kind.name, body, window)

    def get_one(
        identifier: Annotated[str, Path(alias=its.identifier)],
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
    ) -> Json:
        return _one(service, caller, namespace, its.kind.name, identifier)

    def get_version(
        identifier: Annotated[str, Path(alias=its.identifier)],
        service: Services,
        caller: Caller,
        namespace: NamespaceHeader,
        version: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    ) -> Json:
        return _one(service, caller, namespace, its.kind.name, identifier, version)

    def add(
        method: str, path: str, operation_id: str, endpoint: Callable[..., Json], **more: Any
    ) -> None:
        router.add_api_route(
            f"/v1/{plural}{path}",
            endpoint,
            methods=[method],
            tags=[plural.title()],
            operation_id=operation_id,
            responses=documented(),
            **more,
        )

    listed = f"list_{plural}"
    page = {"response_model": its.page, "description": its.about_page, "name": listed}
    add("GET", "", f"get_{plural}", list_them, **page)
    add("POST", "/list", listed, list_them, **page)
    one = {"response_model": its.one, "description": its.about_one, "name": f"get_{its.kind.name}"}
    get = get_version if its.kind.versioned else get_one
    add("GET", f"/{{{its.identifier}}}", f"get_{its.kind.name}", get, **one)


for _routes in _ROUTES:
    _add_routes(_routes)
