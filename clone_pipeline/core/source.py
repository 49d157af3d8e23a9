"""Where the points of a source are read from."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from .catalog.namespace import Namespace
from .stores import Stores
from .vectors.empty import EmptyStore
from .vectors.point import CollectionConfig
from .vectors.port import VectorStore


def open_source(
    stores: Stores, target: VectorStore, source: Namespace
) -> AbstractContextManager[VectorStore]:
    """The store that holds the source's points: its own server where it names one, else `target`;
    one without points for a template."""
    if source.role == "template":
        empty: VectorStore = EmptyStore(source.qdrant_config or {}, embedded=target.embedded)
        return nullcontext(empty)
    return stores.source_vectors(target, source.qdrant_url, source.qdrant_api_key)


def read_config(
    store: VectorStore, source: Namespace, collection: str | None = None
) -> CollectionConfig:
    """The source's Qdrant configuration: the server's word; embedded, what was once asked for.

    `collection` where the namespace names an alias of it.
    """
    if store.embedded and source.qdrant_config is not None:
        return source.qdrant_config
    return store.read_config(collection or source.qdrant_collection)
