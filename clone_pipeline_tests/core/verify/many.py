"""A source of many points on a real server, and what its clone must hold, worked out apart.

Nothing of the product takes part in the expectation: points are read over REST, and ids are
replaced by the few lines below.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point

from ... import harness
from ..vectors.corpus import stored
from .making import Making
from .source import source

CONFIG: dict[str, Any] = {
    "vectors": {
        "text": {"size": 4, "distance": "Cosine"},
        "title": {"size": 4, "distance": "Cosine"},
        "image": {"size": 3, "distance": "Dot"},
        "late": {
            "size": 2,
            "distance": "Dot",
            "multivector_config": {"comparator": "max_sim"},
        },
    },
    "sparse_vectors": {"words": {}},
    "payload_schema": {
        "collection_id": {"type": "keyword", "is_tenant": True},
        "count": {"type": "integer", "lookup": True, "range": False},
        "title": {"type": "text", "tokenizer": "word"},
        "_internal._taxonomy_tax_1_label": "keyword",
    },
}

# A shard that was recovered from a snapshot has no holes in its files any more: its next copy in
# Qdrant carries 32 MB for each vector of each segment, whatever is in them (1.18.3, measured).
ONE_SEGMENT: dict[str, Any] = {"optimizers_config": {"default_segment_number": 1}}


def point(number: int) -> Point:
    """The number-th point: an integer as its id, or, every third, a UUID."""
    return Point(
        number
        if number % 3
        else str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC060) % 2**128)),
        {
            "text": [number / 7, -0.25, 1.0, 0.5],
            "title": [1.0, number / 11, 0.125, -2.0],
            "image": [number / 3, 0.5, -0.0],
            "late": [[0.5, number / 9], [2.0, 3.0]],
            "words": {"indices": [2, 7 + number % 5], "values": [0.25, number / 13]},
        },
        {
            "collection_id": f"col_{1 + number % 2}",
            "title": f"scene {number} of ns_prod000001, once in col_1",
            "count": number,
            "score": number / 17,
            "metadata": {"collection_id": "col_1", "tags": ["a", {"b": number}], "b": None},
            "_internal": {
                "namespace_id": "ns_prod000001",
                "collection_id": f"col_{1 + number % 2}",
                # One key begins with another.
                "lineage": {"path": "bkt_a/col_1/col_2", "root_object_id": "obj_1"},
                "lineage_depth": 2,
                "_taxonomy_tax_1_label": "a",
            },
        },
    )


@contextmanager
def stores_with(
    url: str,
    home: Path,
    points: int,
    make: Callable[[int], Point] = point,
    **config: Any,
) -> Iterator[Stores]:
    """Stores with a source of so many points; what is made on the server is removed at the end."""
    files = source(f"test_{uuid.uuid4().hex}") | {
        "qdrant.json": CONFIG | config,
        "points.jsonl": [],
    }
    with harness.open_stores(home) as opened:
        stores = replace(opened, vector_address=VectorAddress(home / "qdrant", url))
        harness.load(stores, files)
        with stores.vectors() as vectors:
            name = files["namespace.json"]["infrastructure"]["qdrant_collection"]
            vectors.write(name, [EncodedPoint.of(make(number)) for number in range(points)])
        try:
            yield stores
        finally:
            harness.remove_collections(stores)


# ---- what the clone must hold ----------------------------------------------------------------


def rewritten(payload: dict[str, Any], clone: Clone, gone: Collection[str] = ()) -> dict[str, Any]:
    """A payload of `point` as the clone has it. What names a resource that is `gone` stays."""
    plan = clone.plan
    new = {**plan["ids"]["ids"]["collection"], **plan["ids"]["ids"]["bucket"]}
    assert new.keys().isdisjoint(gone)
    new |= {one: one for one in gone}
    internal = dict(payload["_internal"])
    if "namespace_id" in internal:
        internal["namespace_id"] = plan["target"]["namespace_id"]
    internal["collection_id"] = new[internal["collection_id"]]
    path = "/".join(new[one] for one in internal["lineage"]["path"].split("/"))
    internal["lineage"] = {**internal["lineage"], "path": path}
    taxonomy = plan["ids"]["ids"]["taxonomy"]["tax_1"]
    internal[f"_taxonomy_{taxonomy}_label"] = internal.pop("_taxonomy_tax_1_label")
    return {**payload, "collection_id": new[payload["collection_id"]], "_internal": internal}


def assert_equal(making: Making, page: int = 1000, gone: Collection[str] = ()) -> None:
    """The target's points are the source's with their ids rewritten, to the last digit; `gone`:
    what they name, and is no resource of the source."""
    url = str(making.stores.vector_address.url)
    before = stored(url, making.source_collection(), page=page)
    after = stored(url, making.clone.qdrant_collection, page=page)
    wanted = {
        id: one | {"payload": rewritten(one["payload"], making.clone, gone)}
        for id, one in before.items()
    }
    assert wanted.keys() == after.keys()
    different = [id for id in wanted if exact(wanted[id]) != exact(after[id])]
    assert different == []


def exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
