"""Where a source is read from: the deployment itself, or another environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from .catalog.namespace import Namespace
from .catalog.schema import namespaces
from .errors import Conflict, InvalidRequest
from .principal import Principal
from .request import DEFAULT_ENVIRONMENT, CloneRequest
from .stores import Counterparts, Stores
from .vectors.empty import EmptyStore
from .vectors.point import CollectionConfig
from .vectors.port import VectorStore
from .vectors.slices import without_shard_keys


@dataclass(frozen=True)
class Snapshots:
    """The catalog, and the one that has the source: the same connection where it is the same
    catalog. `reader` is who may look namespaces up in another environment; None in the own one.
    `counterparts` is what there is here in the place of what there is there, by kind."""

    own: Connection
    source: Connection
    reader: Principal | None = None
    counterparts: Counterparts = field(default_factory=dict)

    @property
    def elsewhere(self) -> bool:
        """Whether the source is in another environment."""
        return self.source is not self.own


def source_environment(request: CloneRequest) -> str:
    """Where the source is looked for: what a request does not say is the deployment that it is
    launched from."""
    return request.source_environment or DEFAULT_ENVIRONMENT


def reading_for(stores: Stores, request: CloneRequest) -> AbstractContextManager[Snapshots]:
    """For a request that is to land in these stores. Raises InvalidRequest for another target."""
    wanted = request.target_environment or DEFAULT_ENVIRONMENT
    if wanted != stores.environment:
        raise InvalidRequest(
            f"The clone is to land in the environment {wanted!r}, and this is "
            f"{stores.environment!r}; ask for it there, or from the command line."
        )
    return reading(stores, source_environment(request))


@contextmanager
def reading(
    stores: Stores, environment: str | None, catalog: str | None = None
) -> Iterator[Snapshots]:
    """One snapshot of each catalog, for a source in that environment; `catalog` is the identity
    that its catalog must have."""
    where = stores.source(environment, catalog)
    with stores.catalog.read() as own:
        if where is stores:
            yield Snapshots(own, own)
            return
        with where.catalog.read() as source:
            yield Snapshots(own, source, where.reader, stores.counterparts(where))


def refuse_gone(where: Stores, key: int, namespace_id: str, name: str) -> None:
    """Whether the source is still there, in another environment, where nobody can hold it. Raises
    Conflict."""
    query = select(namespaces.c.namespace_id, namespaces.c.clone_status).where(
        namespaces.c.namespace_key == key
    )
    with where.catalog.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.namespace_id != namespace_id or row.clone_status not in (None, "ready"):
        raise Conflict(
            f"The source {name!r} is not in the environment {where.environment!r} any more: it was "
            "deleted, or a sweep has taken this generation of it; discard the clone, and make it "
            "anew."
        )


def open_source(
    stores: Stores, target: VectorStore, source: Namespace, environment: str | None = None
) -> AbstractContextManager[VectorStore]:
    """The store that holds the source's points: its own server where it names one, else that of its
    environment; one without points for a template."""
    if source.role == "template":
        empty: VectorStore = EmptyStore(source.qdrant_config or {}, embedded=target.embedded)
        return nullcontext(empty)
    where = stores.source(environment)
    if where is stores:
        return stores.source_vectors(target, source.qdrant_url, source.qdrant_api_key)
    return _open_elsewhere(where, source)


@contextmanager
def _open_elsewhere(where: Stores, source: Namespace) -> Iterator[VectorStore]:
    with (
        where.vectors() as theirs,
        where.source_vectors(theirs, source.qdrant_url, source.qdrant_api_key) as store,
    ):
        yield store


def is_on_same_server(stores: Stores, source: Namespace, environment: str | None = None) -> bool:
    """Whether the source's points are where the clone's will be, as far as addresses tell."""
    own = source.qdrant_url in (None, stores.vector_address.url)
    return own and stores.source(environment) is stores


def read_config(
    store: VectorStore, source: Namespace, collection: str | None = None
) -> CollectionConfig:
    """The source's Qdrant configuration: the server's word; embedded, what was once asked for.

    `collection` where the namespace names an alias of it.
    """
    if store.embedded and source.qdrant_config is not None:
        return without_shard_keys(source.qdrant_config)
    return store.read_config(collection or source.qdrant_collection)
