"""Between plain JSON and the models of Qdrant's client, which its local mode takes and gives."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from qdrant_client import models

from ..errors import InvalidRequest
from .models import index_params, plain_point
from .point import CollectionConfig, Point


def point_struct(point: Point) -> models.PointStruct:
    """Not validated again: `checked` did, and the client will."""
    vectors: Any = {
        name: models.SparseVector.model_construct(None, **vector)
        if isinstance(vector, dict)
        else vector
        for name, vector in point.vectors.items()
    }
    return models.PointStruct.model_construct(id=point.id, vector=vectors, payload=point.payload)


def point_of(record: models.Record | models.ScoredPoint) -> Point:
    """The point that the client has found."""
    vector: Any = record.vector
    if isinstance(vector, dict):
        vector = {name: _plain(value) for name, value in vector.items()}
    return plain_point(record.id, vector, record.payload)


def _plain(value: Any) -> Any:
    if isinstance(value, models.SparseVector):
        return {"indices": value.indices, "values": value.values}
    return value


def vectors_models(config: CollectionConfig) -> dict[str, models.VectorParams]:
    """Raises InvalidRequest, naming the vector, where the client does not know the parameters."""
    return {
        name: _model(models.VectorParams, params, f"vectors.{name}")
        for name, params in (config.get("vectors") or {}).items()
    }


def sparse_models(config: CollectionConfig) -> dict[str, models.SparseVectorParams]:
    return {
        name: _model(models.SparseVectorParams, params or {}, f"sparse_vectors.{name}")
        for name, params in (config.get("sparse_vectors") or {}).items()
    }


def text_indexes(config: CollectionConfig) -> dict[str, models.TextIndexParams]:
    """The payload indexes that the embedded store makes use of: text indexes with scoring."""
    schema = {
        name: index_params(entry) for name, entry in (config.get("payload_schema") or {}).items()
    }
    return {
        name: _model(models.TextIndexParams, params, f"payload_schema.{name}")
        for name, params in schema.items()
        if params.get("type") == "text" and params.get("scoring")
    }


def _model(kind: Any, values: Any, where: str) -> Any:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        raise InvalidRequest(f"Collection configuration, {path}: {first['msg']}.") from None
