"""What a Qdrant server holds, asked over REST with nothing of the product in between."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.stores import Stores

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, path: str, body: Any = None, method: str | None = None, key: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"api-key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data, headers, method=method)
    with _opener.open(request) as answer:
        return json.load(answer)["result"]


def collections(url: str, key: str = "") -> set[str]:
    return {one["name"] for one in ask(url, "/collections", key=key)["collections"]}


def snapshots(url: str) -> list[Any]:
    """All there are, of all collections and of the whole server."""
    found = list(ask(url, "/snapshots"))
    for name in collections(url):
        found += ask(url, f"/collections/{name}/snapshots")
        for shard in ask(url, f"/collections/{name}/cluster")["local_shards"]:
            found += ask(url, f"/collections/{name}/shards/{shard['shard_id']}/snapshots")
    return found


def points(
    url: str, collection: str, key: str = "", page: int = 2000, shard_key: int | str | None = None
) -> dict[Any, tuple[Any, Any]]:
    """Vectors and payload of every point, by id; with a `shard_key`, of those in it."""
    return {
        point["id"]: (point["vector"], point["payload"])
        for found in _pages(url, collection, key, page, shard_key)
        for point in found
    }


def _pages(
    url: str, collection: str, key: str, page: int, shard_key: int | str | None
) -> Iterator[list[Any]]:
    body = {"limit": page, "offset": None, "with_payload": True, "with_vector": True}
    body |= {} if shard_key is None else {"shard_key": shard_key}
    while True:
        answer = ask(url, f"/collections/{collection}/points/scroll", body, key=key)
        yield answer["points"]
        body["offset"] = answer["next_page_offset"]
        if body["offset"] is None:
            return


def rewritten(found: dict[Any, tuple[Any, Any]], clone: Clone) -> dict[Any, tuple[Any, Any]]:
    """The points with every id of the clone's map replaced, as text: see `bundles`."""
    pairs = dict([clone.plan["ids"]["namespace"]])
    for of_kind in clone.plan["ids"]["ids"].values():
        pairs |= of_kind
    text = json.dumps([payload for _, payload in found.values()])
    for old, new in pairs.items():
        text = text.replace(old, new)
    payloads = json.loads(text)
    return {
        id: (vectors, payload)
        for (id, (vectors, _)), payload in zip(found.items(), payloads, strict=True)
    }


def newest_clone(stores: Stores, name: str) -> Clone:
    query = select(schema.clones).where(schema.clones.c.namespace_name == name)
    query = query.order_by(schema.clones.c.created_at.desc())
    with stores.catalog.read() as connection:
        return Clone.of(connection.execute(query).mappings().first())


def assert_equal_points(
    stores: Stores,
    name: str,
    url: str,
    source: str,
    *,
    key: str = "",
    source_url: str | None = None,
    source_key: str = "",
) -> None:
    """0 points of the clone are lost, extra or altered."""
    clone = newest_clone(stores, name)
    assert clone.status == "ready", clone.error
    expected = rewritten(points(source_url or url, source, source_key), clone)
    actual = points(url, clone.qdrant_collection, key)
    assert expected.keys() == actual.keys()
    different = [id for id in expected if expected[id] != actual[id]]
    assert not different, (expected[different[0]], actual[different[0]])
