"""Random points, of every kind of value, through a whole clone on a real server, by either lane."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.core.vectors.digest import canonical
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.settle import settle
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests.sources import source

from ... import harness
from ..bundle.samples import read_bundle
from ..vectors.spelling import VALUES

MULTI = {"multivector_config": {"comparator": "max_sim"}}
CONFIG = {
    "vectors": {
        "dot": {"size": 3, "distance": "Dot"},
        "cosine": {"size": 3, "distance": "Cosine"},
        "half": {"size": 3, "distance": "Euclid", "datatype": "float16"},
        "half_cosine": {"size": 3, "distance": "Cosine", "datatype": "float16"},
        "byte": {"size": 3, "distance": "Dot", "datatype": "uint8"},
        "rows": {"size": 3, "distance": "Cosine", **MULTI},
        "long": {"size": 3072, "distance": "Cosine"},
    },
    "sparse_vectors": {"words": {}},
}
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
small = st.floats(-1e9, 1e9, width=32)


def three(component: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(component, min_size=3, max_size=3)


VECTORS = st.fixed_dictionaries(
    {},
    optional={
        "dot": three(numbers),
        "cosine": three(small),
        "half": three(st.floats(-65504, 65504, width=32)),
        "half_cosine": three(st.floats(-1000, 1000, width=32)),
        "byte": three(st.integers(0, 255)),
        "rows": st.lists(three(small), min_size=1, max_size=3),
        "long": small.map(lambda number: [number] * 3072),
        "words": st.dictionaries(st.integers(0, 2**32 - 1), numbers, max_size=4).map(
            lambda words: {"indices": list(words), "values": list(words.values())}
        ),
    },
)
# Scores as a model gives them, and the integers that travel as JSON.
scores = st.lists(st.floats(1e-30, 1.0), max_size=20)
large = st.integers(2**63, 2**64 - 1)
PAYLOADS = st.fixed_dictionaries(
    {}, optional={"any": VALUES, "scores": scores, "large": large, "v": st.floats(1e-12, 1e-8)}
)
POINTS = st.lists(st.tuples(VECTORS, PAYLOADS), min_size=10, max_size=25)


@pytest.fixture
def server_stores(sqlite_url: str, qdrant_url: str, tmp_path: Path) -> Iterator[Stores]:
    catalog = Catalog.open(sqlite_url)
    try:
        yield Stores(catalog, VectorAddress(tmp_path / "qdrant", qdrant_url))
    finally:
        catalog.close()


@pytest.mark.parametrize(
    ("lane", "verify"),
    [("stream", "full"), ("stream", "sample"), ("stream", "counts"), ("native", "full")],
)
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=POINTS)
def test_whatever_can_be_loaded_is_cloned_and_proven(
    server_stores: Stores, tmp_path: Path, lane: str, verify: str, drawn: list[tuple[Any, Any]]
) -> None:
    """What was only counted is found to be equal later, too."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    documents = [
        {"id": number, "vector": vector, "payload": payload}
        for number, (vector, payload) in enumerate(drawn)
    ]
    names = {"namespace_id": f"ns_{name}", "namespace_name": name}
    files = source(names, config=CONFIG, points=documents)
    harness.load(server_stores, files)
    clone = harness.clone(
        server_stores,
        name,
        f"{name}_copy",
        lane=lane,
        verify=verify,
        preserve_resource_ids=lane == "native",
        include_resources=harness.everything(),
    )
    try:
        assert verify_pair(server_stores, None, name, f"{name}_copy").equal
        assert verify_sealed(server_stores, None, f"{name}_copy").unchanged
        again = read_bundle(harness.dump(server_stores, f"{name}_copy", tmp_path / f"{name}.out"))
        assert settled(again["points.jsonl"]) == settled(documents)
        _a_changed_score_is_found(server_stores, name, clone.qdrant_collection, documents)
    finally:
        with server_stores.vectors() as store:
            store.delete(clone.qdrant_collection)
            store.delete(f"ns_{name}")


def settled(points: list[dict[str, Any]]) -> list[bytes]:
    return [canonical(settle(point["payload"])) for point in points]


def _a_changed_score_is_found(
    stores: Stores, name: str, collection: str, documents: list[dict[str, Any]]
) -> None:
    changed = [one["id"] for one in documents if "v" in one["payload"]]
    with stores.vectors() as store:
        points = [
            point._replace(payload=point.payload | {"v": point.payload["v"] * (1 + 1e-11)})
            for point in store.retrieve(collection, changed)
        ]
        store.write(collection, [EncodedPoint.of(point) for point in points])
    found = verify_pair(stores, None, name, f"{name}_copy").differences.first
    assert [(one.id, one.field) for one in found] == [(str(id), "payload.v") for id in changed]
