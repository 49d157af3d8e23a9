"""A Qdrant server's REST interface.

JSON goes through as it is, not through the client's models: they drop fields that a newer server
has, and check every component of every vector. The client still does the connection, the key and
the server's answers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient

from ..errors import InvalidRequest
from .faults import translated

_PORT = 6333


class Rest:
    """Safe for threads. `where` names the server at the start of a sentence, without anything
    secret; `grpc_address` is where Qdrant answers over gRPC unless it is told otherwise."""

    def __init__(self, client: QdrantClient, where: str, host: str, port: int, *, tls: bool):
        self._client = client
        self.where = where
        self._host = host
        self._port = port
        self.tls = tls

    @classmethod
    def open(cls, url: str, api_key: str | None, timeout_seconds: int) -> Rest:
        """The server at `url`, which is not spoken to yet. Raises InvalidRequest for no URL."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half an IPv6 address
            usable = False
        if not usable:
            raise InvalidRequest("The Qdrant URL is not usable; write e.g. http://localhost:6333.")
        # Compressing vectors costs the server ten times what it saves (measured, 1.18).
        headers = {"Accept-Encoding": "identity"}
        # As a header: the client's own argument warns of a key over http at every start.
        headers |= {} if api_key is None else {"api-key": api_key}
        where = f"Qdrant at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        with translated(where):
            client = QdrantClient(
                url=url,
                headers=headers,
                timeout=timeout_seconds,
                check_compatibility=False,
                # Loading certificates takes five times as long as all else that is done here.
                verify=parts.scheme == "https",
            )
        # An IPv6 address stands in brackets.
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
        return cls(client, where, host, parts.port or _PORT, tls=parts.scheme == "https")

    def close(self) -> None:
        self._client.close()

    def grpc_address(self, port: int | None) -> str:
        """None is the port after the one of the URL, as Qdrant has it."""
        return f"{self._host}:{port or self._port + 1}"

    def address(self) -> tuple[str, str | None]:
        """The URL, port included, and the API key."""
        api = self._client.http.client
        return api.host, api._client.headers.get("api-key")

    def version(self) -> str:
        with translated(self.where):
            api = self._client.http.client
            return str(api.request(type_=dict, method="GET", url="/")["version"])

    def get(self, url: str, params: dict[str, Any] | None = None) -> Any:
        """The `result` of the answer, here and below."""
        with translated(self.where):
            return self._client.http.client.request(
                type_=dict, method="GET", url=url, params=params or {}
            )["result"]

    def ask(
        self,
        method: str,
        path: str,
        collection: str,
        body: bytes | None = None,
        wait: bool = False,
    ) -> Any:
        """`path` is what follows the name of the collection; `body` is JSON."""
        options: dict[str, Any] = {"params": {"wait": "true"}} if wait else {}
        if body is not None:
            options |= {"content": body, "headers": {"Content-Type": "application/json"}}
        with translated(self.where):
            return self._client.http.client.request(
                type_=dict,
                method=method,
                url=f"/collections/{{collection_name}}{path}",
                path_params={"collection_name": collection},
                **options,
            )["result"]
