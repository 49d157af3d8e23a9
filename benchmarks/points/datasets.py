"""What is copied: points of fixed shapes, the same ones in every run."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from clone_pipeline.demo.making import ids

_UUIDS = uuid.UUID("6d1f0f44-7a2b-4e43-9f6e-0a51f3b1c7aa")
_COSINE = {"distance": "Cosine"}

# The namespace's collections that the points belong to, in turn.
COLLECTIONS = (ids.OVERVIEWS, ids.OPERATIONS, ids.ERRORS)

# What the platform filters every query by.
_INDEXES = {
    "collection_id": {"type": "keyword"},
    "_internal.internal_id": {"type": "keyword", "is_tenant": True},
}


@dataclass(frozen=True)
class Dataset:
    """`vectors`, `sparse_vectors`, `indexes`, `optimizers` are Qdrant's REST configuration, all
    else at its defaults; "" is the unnamed vector. Point number n has the vectors named in
    `carried[n % len(carried)]`; the first name of each is a dense vector that all points have.
    """

    name: str
    title: str
    points: int
    vectors: dict[str, Any]
    carried: tuple[tuple[str, ...], ...]
    payload: Literal["one", "seven"]
    sparse_vectors: dict[str, Any] = field(default_factory=dict)
    indexes: dict[str, Any] = field(default_factory=dict)
    optimizers: dict[str, Any] = field(default_factory=dict)
    uuids: bool = False

    def scaled(self, scale: float) -> Dataset:
        return replace(self, points=max(100, round(self.points * scale)))

    def point_id(self, index: int) -> int | str:
        return str(uuid.uuid5(_UUIDS, str(index))) if self.uuids else index

    @property
    def searched(self) -> tuple[int | str, str | None]:
        """A point in the middle, and the name of the vector to find it by."""
        return self.point_id(self.points // 2), self.carried[0][0] or None

    def body(self) -> dict[str, Any]:
        vectors = self.vectors.get("", self.vectors)
        body = {"vectors": vectors, "sparse_vectors": self.sparse_vectors}
        return body | ({"optimizers_config": self.optimizers} if self.optimizers else {})


SMALL = Dataset(
    name="60k",
    title="60k x 256, one payload field",
    points=60_000,
    vectors={"": {"size": 256, **_COSINE}},
    carried=(("",),),
    payload="one",
)
LARGE = Dataset(
    name="200k",
    title="200k x 768, seven payload fields, two of them with references",
    points=200_000,
    vectors={"dense": {"size": 768, **_COSINE}},
    carried=(("dense",),),
    payload="seven",
    indexes=_INDEXES,
)
MIXED = Dataset(
    name="mix",
    title="30k, dense 384 + sparse + multivector 128, seven payload fields, UUIDs",
    points=30_000,
    vectors={
        "dense": {"size": 384, **_COSINE},
        "tokens": {"size": 128, **_COSINE, "multivector_config": {"comparator": "max_sim"}},
    },
    sparse_vectors={"terms": {}},
    carried=(("dense", "terms"), ("dense", "tokens"), ("dense", "terms", "tokens")),
    payload="seven",
    indexes=_INDEXES,
    uuids=True,
)

DATASETS = {dataset.name: dataset for dataset in (SMALL, LARGE, MIXED)}


def for_memory(points: int) -> Dataset:
    """Not indexed: what the client holds does not depend on it."""
    return Dataset(
        name=f"memory_{points}",
        title=f"{points:,} x 64, one payload field",
        points=points,
        vectors={"": {"size": 64, **_COSINE}},
        carried=(("",),),
        payload="one",
        optimizers={"indexing_threshold": 0},
    )
