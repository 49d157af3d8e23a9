"""A Qdrant server over REST.

JSON goes through as it is, not through the client's models: they drop fields that a newer server
has, and check every component of every vector. The client still does the connection, the key and
the server's answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient

from ..errors import InvalidRequest, NotFound, WorkError
from .faults import translated
from .ids import canonical_id
from .models import checked, create_body, index_params, plain_point, point_json, reported_config
from .port import CollectionConfig, Page, Point, PointId

# Qdrant Cloud and proxies before a server take no more in one request.
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_MAX_IDS = 10_000


class ServerStore:
    """Safe for threads."""

    embedded = False

    def __init__(self, client: QdrantClient, where: str) -> None:
        self._client = client
        self._where = where
        self._limits: dict[str, tuple[int | None, int | None]] = {}

    @classmethod
    def open(cls, url: str, api_key: str | None = None, timeout_seconds: int = 60) -> ServerStore:
        """The server at `url`, which is not spoken to yet. Raises InvalidRequest for no URL.

        A write that is not answered within `timeout_seconds` may have been done all the same.
        """
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half an IPv6 address
            usable = False
        if not usable:
            raise InvalidRequest("The Qdrant URL is not usable; write e.g. http://localhost:6333.")
        # As a header: the client's own argument warns of a key over http at every start.
        headers = {} if api_key is None else {"api-key": api_key}
        where = f"Qdrant at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        with translated(where):
            client = QdrantClient(
                url=url, headers=headers, timeout=timeout_seconds, check_compatibility=False
            )
        return cls(client, where)

    def close(self) -> None:
        self._client.close()

    def exists(self, collection: str) -> bool:
        return bool(self._request("GET", "/exists", collection)["exists"])

    def read_config(self, collection: str) -> CollectionConfig:
        return reported_config(self._request("GET", "", collection))

    def kept_config(self, config: CollectionConfig) -> CollectionConfig:
        return config

    def create(self, collection: str, config: CollectionConfig) -> None:
        self.delete(collection)
        self._request("PUT", "", collection, _encoded(create_body(config)))
        for field, schema in (config.get("payload_schema") or {}).items():
            body = {"field_name": field, "field_schema": index_params(schema)}
            self._request("PUT", "/index", collection, _encoded(body), wait=True)
        left = self.count(collection)
        if left:
            raise WorkError(f"{self._where}: the new collection {collection} holds {left} points.")

    def delete(self, collection: str) -> None:
        self._limits.pop(collection, None)
        try:
            self._request("DELETE", "", collection)
        except NotFound:
            return

    def count(self, collection: str) -> int:
        return int(
            self._request("POST", "/points/count", collection, _encoded({"exact": True}))["count"]
        )

    def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
        """May give fewer points than `limit` where strict mode says so."""
        most, _ = self._strict_limits(collection)
        body = {
            "limit": limit if most is None else min(limit, most),
            "offset": offset,
            "with_payload": True,
            "with_vector": True,
        }
        result = self._request("POST", "/points/scroll", collection, _encoded(body))
        following = result.get("next_page_offset")
        return Page(
            [_point(item) for item in result["points"]],
            None if following is None else canonical_id(following),
        )

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        """In the order of `ids`; ids that are not there are left out."""
        found: dict[PointId, Point] = {}
        wanted = [canonical_id(one) for one in ids]
        for some in _batches(wanted, _MAX_IDS):
            body = _encoded({"ids": some, "with_payload": True, "with_vector": True})
            for item in self._request("POST", "/points", collection, body):
                point = _point(item)
                found[point.id] = point
        return [found[one] for one in wanted if one in found]

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        _, most = self._strict_limits(collection)
        for body in upsert_bodies(points, _MAX_REQUEST_BYTES, most):
            self._request("PUT", "/points", collection, body, wait=True)

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> None:
        for some in _batches((canonical_id(one) for one in ids), _MAX_IDS):
            body = _encoded({"points": some})
            self._request("POST", "/points/delete", collection, body, wait=True)

    def search(
        self,
        collection: str,
        vector_name: str,
        vector: Sequence[float],
        limit: int,
        any_of: Mapping[str, Sequence[str]],
    ) -> list[tuple[Point, float]]:
        body = {
            "query": list(vector),
            "using": vector_name or None,
            "filter": {
                "must": [
                    {"key": field, "match": {"any": list(values)}}
                    for field, values in any_of.items()
                ]
            },
            "limit": limit,
            "with_payload": True,
        }
        found = self._request("POST", "/points/query", collection, _encoded(body))
        return [(_point(item), float(item["score"])) for item in found["points"]]

    def _strict_limits(self, collection: str) -> tuple[int | None, int | None]:
        """How many points strict mode allows in one answer and in one upsert; None: any."""
        if collection not in self._limits:
            strict = self._request("GET", "", collection)["config"].get("strict_mode_config") or {}
            on = strict.get("enabled")
            self._limits[collection] = (
                (strict.get("max_query_limit"), strict.get("upsert_max_batchsize"))
                if on
                else (None, None)
            )
        return self._limits[collection]

    def _request(
        self,
        method: str,
        path: str,
        collection: str,
        body: bytes | None = None,
        wait: bool = False,
    ) -> Any:
        options: dict[str, Any] = {"params": {"wait": "true"}} if wait else {}
        if body is not None:
            options |= {"content": body, "headers": {"Content-Type": "application/json"}}
        with translated(self._where):
            answer = self._client.http.client.request(
                type_=dict,
                method=method,
                url=f"/collections/{{collection_name}}{path}",
                path_params={"collection_name": collection},
                **options,
            )
            return answer["result"]


def upsert_bodies(
    points: Iterable[Point], max_bytes: int, max_points: int | None = None
) -> Iterator[bytes]:
    """Request bodies with as many points each as fit into `max_bytes`; one at least."""
    start, end = b'{"points":[', b"]}"
    held: list[bytes] = []
    size = len(start) + len(end)
    for point in points:
        encoded = _encoded(point_json(checked(point)))
        if held and (size + len(encoded) + 1 > max_bytes or len(held) == max_points):
            yield start + b",".join(held) + end
            held, size = [], len(start) + len(end)
        held.append(encoded)
        size += len(encoded) + 1
    if held:
        yield start + b",".join(held) + end


def _encoded(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _point(item: dict[str, Any]) -> Point:
    return plain_point(item["id"], item.get("vector"), item.get("payload"))


def _batches(values: Iterable[PointId], size: int) -> Iterator[list[PointId]]:
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
