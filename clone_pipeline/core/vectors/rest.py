"""A Qdrant server's REST interface.

JSON goes through as it is, not through the client's models: they drop fields that a newer server
has, and check every component of every vector. What the client is used for is the part below its
models: the connection, the names in addresses, and the server's answers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
from qdrant_client.http import ApiClient

from ..errors import InvalidRequest
from .faults import translated

_PORT = 6333
# As the client has it: connections to the own machine are not kept.
_LOCAL = httpx.Limits(max_connections=None, max_keepalive_connections=0)
_DISTANT = httpx.Limits(max_connections=100, max_keepalive_connections=20)


class Rest:
    """Safe for threads. `where` names the server at the start of a sentence, without anything
    secret."""

    def __init__(self, client: ApiClient, where: str, address: SplitResult, key: str | None):
        self._client = client
        self.where = where
        self._address = address
        self._key = key

    @classmethod
    def open(cls, url: str, api_key: str | None, timeout_seconds: int) -> Rest:
        """The server at `url`, which is not spoken to yet. Raises InvalidRequest for what can be no
        URL or no key."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half an IPv6 address
            usable = False
        if not usable:
            raise InvalidRequest("The Qdrant URL is not usable; write e.g. http://localhost:6333.")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            # The client would quote it.
            raise InvalidRequest(
                "The API key for Qdrant has a character in it that no HTTP header can hold."
            )
        # Compressing vectors costs the server ten times what it saves (measured, 1.18).
        headers = {"Accept-Encoding": "identity"}
        headers |= {} if api_key is None else {"api-key": api_key}
        # An IPv6 address stands in brackets.
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
        address = parts._replace(
            netloc=f"{host}:{parts.port or _PORT}",
            path=parts.path.rstrip("/"),
            query="",
            fragment="",
        )
        client = ApiClient(
            address.geturl(),
            headers=headers,
            timeout=timeout_seconds,
            limits=_LOCAL if host in ("localhost", "127.0.0.1") else _DISTANT,
            # Loading certificates takes longer than all else that is done here.
            verify=parts.scheme == "https",
        )
        where = f"Qdrant at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return cls(client, where, address, api_key)

    def close(self) -> None:
        self._client.close()

    @property
    def tls(self) -> bool:
        return self._address.scheme == "https"

    def grpc_address(self, port: int | None) -> str:
        """Where the server answers over gRPC; None is the port after the one of the URL, as Qdrant
        has it."""
        host, _, own = self._address.netloc.rpartition(":")
        return f"{host}:{port or int(own) + 1}"

    def address(self) -> tuple[str, str | None]:
        """The URL, port included, and the API key."""
        return self._address.geturl(), self._key

    def version(self) -> str:
        with translated(self.where):
            return str(self._client.request(type_=dict, method="GET", url="/")["version"])

    def get(self, url: str, params: dict[str, Any] | None = None) -> Any:
        """The `result` of the answer, here and below."""
        with translated(self.where):
            return self._client.request(type_=dict, method="GET", url=url, params=params or {})[
                "result"
            ]

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
            return self._client.request(
                type_=dict,
                method=method,
                url=f"/collections/{{collection_name}}{path}",
                path_params={"collection_name": collection},
                **options,
            )["result"]
