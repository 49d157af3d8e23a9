"""`qdrant_client.migrate` between two collections of one server."""

from __future__ import annotations

from typing import Any

from qdrant_client import QdrantClient
from qdrant_client.http.models import CollectionsResponse
from qdrant_client.migrate.migrate import migrate

from .server import Server

__all__ = ["RenamingClient", "migrate", "open_client"]


def open_client(server: Server, prefer_grpc: bool, timeout_seconds: int) -> QdrantClient:
    return QdrantClient(
        url=server.url,
        grpc_port=server.grpc_port,
        prefer_grpc=prefer_grpc,
        timeout=timeout_seconds,
    )


class RenamingClient:
    """A client whose calls, whatever collection they name, go to `collection`."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    def get_collections(self) -> CollectionsResponse:
        return CollectionsResponse(collections=[])

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda _collection, *args, **kwargs: method(self._collection, *args, **kwargs)
