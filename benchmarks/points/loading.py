"""Fills a collection as fast as Python can: vectors go from numpy into protobuf as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from qdrant_client import QdrantClient, grpc
from qdrant_client.conversions.conversion import payload_to_grpc

from clone_pipeline.demo.making import ids
from clone_pipeline.demo.making.payloads import Place, internal

from .datasets import COLLECTIONS, Dataset
from .server import Server

_BATCH = 500
_SECONDS = 600

# A multivector has these many rows, a sparse vector these many values of a vocabulary.
_ROWS, _VALUES, _VOCABULARY = 8, 48, 30_000


def load(server: Server, dataset: Dataset, collection: str) -> None:
    """Creates the collection with its payload indexes, then the points."""
    server.call("PUT", f"/collections/{collection}", dataset.body())
    for field, schema in dataset.indexes.items():
        body = {"field_name": field, "field_schema": schema}
        server.call("PUT", f"/collections/{collection}/index?wait=true", body)
    client = QdrantClient(
        url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, timeout=_SECONDS
    )
    for start in range(0, dataset.points, _BATCH):
        numbers = range(start, min(start + _BATCH, dataset.points))
        client.grpc_points.Upsert(
            grpc.UpsertPoints(
                collection_name=collection, points=make_points(dataset, numbers), wait=True
            ),
            timeout=_SECONDS,
        )
    client.close()


def make_points(dataset: Dataset, numbers: range) -> list[grpc.PointStruct]:
    """The points with these numbers; the same ones whenever the range is the same."""
    random = np.random.default_rng([dataset.points, numbers.start])
    return [_point(dataset, number, random) for number in numbers]


def _point(dataset: Dataset, number: int, random: np.random.Generator) -> grpc.PointStruct:
    point_id = dataset.point_id(number)
    given = {"uuid": point_id} if isinstance(point_id, str) else {"num": point_id}
    vectors = {
        name: _vector(dataset, name, random)
        for name in dataset.carried[number % len(dataset.carried)]
    }
    named = grpc.NamedVectors(vectors=vectors)
    return grpc.PointStruct(
        id=grpc.PointId(**given),
        vectors=grpc.Vectors(vector=vectors[""]) if "" in vectors else grpc.Vectors(vectors=named),
        payload=payload_to_grpc(make_payload(dataset, number)),
    )


def _vector(dataset: Dataset, name: str, random: np.random.Generator) -> grpc.Vector:
    if name in dataset.sparse_vectors:
        indices = np.unique(random.integers(0, _VOCABULARY, _VALUES))
        values = random.random(len(indices), dtype=np.float32)
        return grpc.Vector(sparse=grpc.SparseVector(indices=indices.tolist(), values=values))
    params = dataset.vectors[name]
    if "multivector_config" in params:
        rows = [_dense(params["size"], random) for _ in range(_ROWS)]
        return grpc.Vector(multi_dense=grpc.MultiDenseVector(vectors=rows))
    return grpc.Vector(dense=_dense(params["size"], random))


def _dense(size: int, random: np.random.Generator) -> grpc.DenseVector:
    packed = random.standard_normal(size, dtype=np.float32).astype("<f4").tobytes()
    # Field 1, length-delimited: a packed list of floats stands in the message as it does in memory.
    vector: grpc.DenseVector = grpc.DenseVector.FromString(b"\x0a" + _varint(len(packed)) + packed)
    return vector


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def make_payload(dataset: Dataset, number: int) -> dict[str, Any]:
    """One field; or seven as the platform writes them, two of which refer to other resources."""
    if dataset.payload == "one":
        return {"collection_id": COLLECTIONS[number % len(COLLECTIONS)]}
    document = ids.document_id("benchmark", number)
    place = Place(
        collection=COLLECTIONS[number % len(COLLECTIONS)],
        document=document,
        bucket=ids.GUIDES,
        object=f"obj_{number % 1000:012}",
        minute=number % 10_000,
    )
    return {
        "document_id": document,
        "collection_id": place.collection,
        "title": f"Operation {number} of the service and what it answers",
        "tags": ["api", f"service-{number % 97}", f"version-{number % 7}"],
        "views": number % 5000,
        "score": number % 1000 / 1000,
        "_internal": internal(place, f"blob_{number % 1000:012}"),
    }
