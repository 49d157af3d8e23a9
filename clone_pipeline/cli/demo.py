"""What `clone-pipeline demo` does around the job: load the source, and search both afterwards."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

import clone_pipeline.demo
from clone_pipeline.cli.output import print_table, stderr, stdout
from clone_pipeline.core import bundle
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.namespace import Namespace, iso
from clone_pipeline.core.catalog.schema import clones, retrievers
from clone_pipeline.core.errors import Conflict, NotFound
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import CloneRequest, parse_request
from clone_pipeline.core.stores import Stores

FOLDER = Path(clone_pipeline.demo.__file__).parent
SOURCE = json.loads((FOLDER / "bundle" / "namespace.json").read_text(encoding="utf-8"))
TARGET = f"{SOURCE['namespace_name']}_staging"
_RESULTS = 1
_CHANGED = "documentation_search"  # the retriever that `change` changes
SAID_OF_CHANGE = (
    "The retriever {retriever_name} of {namespace_name} has another description now: "
    "{description!r}."
)


@dataclass(frozen=True)
class Search:
    """One query, with the document ids and scores that source and clone answered."""

    query: str
    source: list[tuple[str, float, str]]
    clone: list[tuple[str, float, str]]

    @property
    def same(self) -> bool:
        return [(one, round(score, 5)) for one, score, _ in self.source] == [
            (one, round(score, 5)) for one, score, _ in self.clone
        ]


def prepare(stores: Stores, principal: Principal, tell: Callable[[str], None]) -> CloneRequest:
    """Loads the demo namespace if it is absent. Returns the request to clone it.

    Raises NotFound where its organization is none that `principal` may know of.
    """
    with stores.catalog.read() as connection:
        found = catalog.find_by_id(connection, None, SOURCE["namespace_id"])
    if found is None:
        tell(f"Loading the demo namespace {SOURCE['namespace_name']!r} ...")
        with stores.vectors() as vectors:
            folder = FOLDER / "bundle"
            bundle.load(folder, stores.catalog, vectors, stores.clock(), None, principal)
    foreign = principal.organization_id not in (None, SOURCE["organization_id"])
    organization_id = SOURCE["organization_id"] if foreign else None
    return parse_request(
        {
            "namespace_identifier": SOURCE["namespace_id"],
            "namespace_name": TARGET,
            "include_resources": {"collections": True, "retrievers": True, "taxonomies": True},
            "if_exists": "replace",
            "source_organization_id": organization_id,
            "organization_id": organization_id,
        }
    )


def change(stores: Stores, principal: Principal, clone: str | None = None) -> dict[str, str]:
    """Gives a retriever of the demo namespace, or of a `clone` of it, another description, in the
    way in which the catalog is written. Of no namespace else.

    Raises NotFound where that is not there, Conflict for what is no clone of it, or has no such
    retriever.
    """
    now = stores.clock()
    written = str(iso(now))
    description = f"Services and operations by meaning, as of {written}"
    with stores.catalog.write() as connection:
        if clone is None:
            found = _loaded(connection, principal)
        else:
            found = _cloned(connection, principal, clone)
        columns = retrievers.c
        its = (columns.namespace_key == found.key, columns.retriever_name == _CHANGED)
        document = connection.execute(select(columns.document).where(*its)).scalar()
        if document is None:
            raise Conflict(f"{found.name!r} has no retriever {_CHANGED!r} to change.")
        document |= {"description": description, "updated_at": written}
        values = {"document": document, "updated_at": now}
        connection.execute(update(retrievers).where(*its).values(values))
    return {
        "namespace_name": found.name,
        "retriever_name": _CHANGED,
        "description": description,
    }


def _loaded(connection: Connection, principal: Principal) -> Namespace:
    """The namespace that was loaded from the demo's bundle."""
    found = catalog.find(connection, SOURCE["organization_id"], SOURCE["namespace_id"])
    visible = principal.may_read(SOURCE["organization_id"])
    if found is None or found.loaded_at is None or not visible:
        raise NotFound("The demo namespace is not here; `clone-pipeline demo` loads it.")
    return found


def _cloned(connection: Connection, principal: Principal, name: str) -> Namespace:
    found = catalog.resolve(connection, principal.organization_id, name)
    query = select(clones.c.source_namespace_id).where(clones.c.clone_id == found.clone_id)
    if not found.is_ready or connection.execute(query).scalar() != SOURCE["namespace_id"]:
        raise Conflict(f"{found.name!r} is no finished clone of the demo namespace.")
    return found


def search_both(stores: Stores, clone: Clone) -> list[Search]:
    """Each demo query, through the clone's primary retriever and the source's."""
    queries = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    retriever_id = (clone.response or {})["primary_retriever_id"]
    original = next(
        item["source_id"]
        for item in clone.plan["id_map"]
        if item["kind"] == "retriever" and item["target_id"] == retriever_id
    )
    with stores.catalog.read() as connection:
        source = catalog.by_key(connection, clone.source_namespace_key)
        target = catalog.by_key(connection, clone.namespace_key)
        sides = [
            (source, *_retriever(connection, source, original)),
            (target, *_retriever(connection, target, retriever_id)),
        ]
    with stores.vectors() as vectors:
        found = [
            [
                _answers(vectors, namespace, vector_name, collections, query["vector"])
                for query in queries
            ]
            for namespace, vector_name, collections in sides
        ]
    return [
        Search(query["text"], before, after)
        for query, before, after in zip(queries, *found, strict=True)
    ]


def print_search(searches: list[Search], *, as_json: bool) -> None:
    """What was found, and whether the clone's answers are the source's."""
    console = stderr if as_json else stdout
    same = all(search.same for search in searches)
    if not as_json:
        print_table(
            "Searched with the clone's own retriever",
            [
                {"query": search.query, "score": round(score, 4), "found": title}
                for search in searches
                for _, score, title in search.clone[:_RESULTS]
            ],
        )
    verdict = "the same results" if same else "OTHER RESULTS"
    console.print(f"{len(searches)} searches in the clone gave {verdict} as in the source.")


def _retriever(connection: Any, namespace: Namespace, retriever_id: str) -> tuple[str, list[str]]:
    """The name of the vector that a retriever searches, and its collections."""
    documents = catalog.read_documents(connection, namespace.key, "retriever")
    retriever = next(one for one in documents if one["retriever_id"] == retriever_id)
    search = next(
        stage["config"]["parameters"]["searches"][0]
        for stage in retriever["stages"]
        if stage["config"]["stage_id"] == "feature_search"
    )
    vector_names = {
        index["feature_uri"]: index["index"]["name"]
        for collection in catalog.read_documents(connection, namespace.key, "collection")
        if collection["collection_id"] in retriever["collection_ids"]
        for index in collection["vector_indexes"]
    }
    return vector_names[search["feature_uri"]], retriever["collection_ids"]


def _answers(
    vectors: Any,
    namespace: Namespace,
    vector_name: str,
    collections: list[str],
    vector: list[float],
) -> list[tuple[str, float, str]]:
    found = vectors.search(
        namespace.qdrant_collection,
        vector_name,
        vector,
        limit=10,
        any_of={"_internal.collection_id": collections},
    )
    return [
        (str(point.id), score, str(point.payload.get("title") or point.payload.get("name") or ""))
        for point, score in found
    ]
