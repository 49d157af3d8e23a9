"""Damages of one field each, done to a clone's points through Qdrant's REST interface."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...faults.rest import ask
from ..vectors.spelling import with_flipped_bit

Named = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Target:
    """The collection that is damaged."""

    url: str
    collection: str
    chance: random.Random

    def do(self, method: str, path: str, body: Any = None) -> Any:
        path = f"/collections/{self.collection}{path}"
        return ask(self.url, f"{path}?wait=true", body, method)

    def points(self, ids: list[int | str]) -> list[dict[str, Any]]:
        body = {"ids": ids, "with_payload": True, "with_vector": True}
        found: list[dict[str, Any]] = self.do("POST", "/points", body)
        return found

    def get(self, point_id: int | str) -> dict[str, Any]:
        (found,) = self.points([point_id])
        return found

    def put(self, points: list[dict[str, Any]]) -> None:
        self.do("PUT", "/points", {"points": points})

    def set_vectors(self, point_id: int | str, vectors: dict[str, Any]) -> None:
        self.do("PUT", "/points/vectors", {"points": [{"id": point_id, "vector": vectors}]})

    def set_payload(self, point_id: int | str, payload: dict[str, Any], key: str | None) -> None:
        body = {"points": [point_id], "payload": payload} | ({"key": key} if key else {})
        self.do("POST", "/points/payload", body)


def _bit(name: str, components: int) -> Callable[[Target, Any], set[str]]:
    def flip(target: Target, point_id: int | str) -> set[str]:
        vector = target.get(point_id)["vector"][name]
        place = target.chance.randrange(components)
        target.set_vectors(point_id, {name: with_flipped_bit(vector, place)})
        if name == "words":
            return {f"vector words[{vector['indices'][place]}]"}
        where = f"[{place}][{place}]" if name == "late" else f"[{place}]"
        return {f"vector {name}{where}"}

    return flip


def _swapped(target: Target, point_id: int | str) -> set[str]:
    vectors = target.get(point_id)["vector"]
    target.set_vectors(point_id, {"text": vectors["title"], "title": vectors["text"]})
    return {"vector text[0]", "vector title[0]"}


def _vector_gone(target: Target, point_id: int | str) -> set[str]:
    target.do("POST", "/points/vectors/delete", {"points": [point_id], "vector": ["image"]})
    return {"vector image missing"}


def _missing(target: Target, point_id: int | str) -> set[str]:
    target.do("POST", "/points/delete", {"points": [point_id]})
    return {"is missing"}


def _value(
    payload: dict[str, Any], *fields: str, key: str | None = None
) -> Callable[[Target, Any], set[str]]:
    def change(target: Target, point_id: int | str) -> set[str]:
        target.set_payload(point_id, payload, key)
        return set(fields)

    return change


def _as_a_float(target: Target, point_id: int | str) -> set[str]:
    target.set_payload(point_id, {"count": float(target.get(point_id)["payload"]["count"])}, None)
    return {"payload.count"}


def _removed(key: str, field: str) -> Callable[[Target, Any], set[str]]:
    def remove(target: Target, point_id: int | str) -> set[str]:
        target.do("POST", "/points/payload/delete", {"points": [point_id], "keys": [key]})
        return {field}

    return remove


KINDS: dict[str, Callable[[Target, Any], set[str]]] = {
    "a bit of a cosine vector": _bit("text", 4),
    "a bit of a dot vector": _bit("image", 3),
    "a bit of a multivector": _bit("late", 2),
    "a bit of a sparse vector": _bit("words", 2),
    "vector names swapped": _swapped,
    "a vector missing": _vector_gone,
    "a point missing": _missing,
    "a payload value": _value({"title": "another"}, "payload.title"),
    "an integer that is a float": _as_a_float,
    "a nested value": _value({"b": False}, "payload.metadata.b", key="metadata"),
    "the source's id": _value({"collection_id": "col_1"}, "payload.collection_id"),
    "a key more": _value({"more": False}, "extra payload.more"),
    "a key missing": _removed("score", "payload.score missing"),
    "a nested key missing": _removed("metadata.tags", "payload.metadata.tags missing"),
}


def damage(target: Target, kind: str, point_id: int | str) -> Named:
    """Does it to the point, and says what a proof must name."""
    return {("point", str(point_id), field) for field in KINDS[kind](target, point_id)}


def add_point(target: Target, like: int | str) -> Named:
    """A point that the source does not have."""
    new: int | str = target.chance.randrange(2**32, 2**64)
    if target.chance.random() < 0.5:
        new = str(uuid.UUID(int=target.chance.getrandbits(128)))
    one = target.get(like)
    target.put([{"id": new, "vector": one["vector"], "payload": one["payload"]}])
    return {("point", str(new), "is extra")}


def drop_index(target: Target, field: str) -> Named:
    target.do("DELETE", f"/index/{field}")
    return {("qdrant config", target.collection, f"payload_schema.{field} is missing")}
