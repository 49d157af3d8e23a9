"""Points of every kind that a Qdrant server can hold, and a reader of them of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clone_pipeline.core.vectors.point import CollectionConfig, Point, PointId
from clone_pipeline_tests.faults.rest import ask

UUIDS = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff")


def _nested(depth: int, value: Any) -> Any:
    for level in range(depth):
        value = {"in": value, "n": level} if level % 2 else [value, level]
    return value


PAYLOADS: list[dict[str, Any]] = [
    {},
    {"null": None, "yes": True, "no": False, "text": "", "list": [], "object": {}},
    {"int": 1, "float": 1.0, "zero": 0, "minus zero": -0.0, "huge": 1e308, "tiny": 5e-324},
    {"most": 2**63 - 1, "least": -(2**63), "no integer of a float": 2**53 + 1},
    {"large": 2**63, "largest": 2**64 - 1, "in": [{"it": [2**64 - 1024, 2**63 + 1]}]},
    {"floats like large ones": [2.0**63, 1e19, 2.0**64, 2.0**64 + 4096], "n": 2.0**63},
    {"Größe ✓ 𝄞": {"名前": "値", "": "no key"}, "": 1, "a\0b": "c\0", "\0": None},
    {"dotted.key": {"a.b": 1}, "a": {"b": 2}, 'quoted "key"': "\\", "list[0]": ["\u2028", "\n"]},
    {"a": 1, "ab": 2, "abc": {"x": 1, "xy": 2, "xyz": 3, "": 4}, "b": [{"k": 1, "k2": 2}]},
    {"deep": _nested(35, {"end": None, "end of it": 2**64 - 1})},
    {"deep lists": _nested(90, "end")},
    {"mixed": [1, 1.0, True, None, "1", [], {}, [[]], [{}], {"a": []}], "twice": [2, 1, 2]},
    {"long": list(range(3000)), "wide": {f"key {n}": n / 7 for n in range(500)}},
    {f"field {number}": "x" * number for number in range(120, 135)},
]


@dataclass(frozen=True)
class Kind:
    """A collection's configuration, and vectors of which each goes with some payload."""

    config: CollectionConfig
    vectors: list[dict[str, Any]]

    def points(self) -> list[Point]:
        """Every payload with every choice of vectors; ids of both kinds, the first and the last."""
        pairs = [(vectors, payload) for payload in PAYLOADS for vectors in self.vectors]
        ids: list[PointId] = [0, 2**64 - 1, 2**63, 127, 128, *UUIDS]
        ids += [number if number % 2 else f"{number:032x}" for number in range(1000, 2000)]
        ids = [one if isinstance(one, int) else _hyphenated(one) for one in ids]
        return [
            Point(id, vectors, payload) for id, (vectors, payload) in zip(ids, pairs, strict=False)
        ]


def _hyphenated(digits: str) -> str:
    plain = digits.replace("-", "")
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


_MULTI = {"multivector_config": {"comparator": "max_sim"}}

KINDS: dict[str, Kind] = {
    "no vectors": Kind({"vectors": {}}, [{}]),
    "unnamed": Kind(
        {"vectors": {"": {"size": 3, "distance": "Cosine"}}},
        [{"": [0.1, -0.7, 3.3]}, {"": [1.0, 0.0, -0.0]}, {}],
    ),
    "unnamed multivector": Kind(
        {"vectors": {"": {"size": 2, "distance": "Dot", **_MULTI}}},
        [{"": [[0.1, 0.2], [3.0, -4.0]]}, {"": [[1.0, 2.0]]}, {}],
    ),
    "unnamed beside sparse": Kind(
        {"vectors": {"": {"size": 2, "distance": "Dot"}}, "sparse_vectors": {"words": {}}},
        [
            {"": [0.5, 2.0], "words": {"indices": [1], "values": [2.0]}},
            {"": [1.0, 1.0]},
            {"words": {"indices": [0, 2**32 - 1], "values": [-0.0, 1e-30]}},
            {"words": {"indices": [], "values": []}},
        ],
    ),
    "named": Kind(
        {
            "vectors": {
                "text": {"size": 3, "distance": "Cosine"},
                "text 2": {"size": 3, "distance": "Manhattan"},
                "half": {"size": 3, "distance": "Euclid", "datatype": "float16"},
                "byte": {"size": 3, "distance": "Dot", "datatype": "uint8"},
                "Bild ✓": {"size": 2, "distance": "Dot", "on_disk": True},
                "late": {"size": 2, "distance": "Cosine", **_MULTI},
                "late half": {"size": 2, "distance": "Dot", "datatype": "float16", **_MULTI},
            },
            "sparse_vectors": {"words": {"modifier": "idf"}, "half words": {
                "index": {"datatype": "float16"}
            }},
        },
        [
            {},
            {"text": [0.1, 0.2, 0.3]},
            {"text": [0.3, 0.2, 0.1], "text 2": [1e-38, -3.4e38, 0.0]},
            {"half": [0.1, 1000.5, -65504.0], "byte": [0.0, 255.0, 7.0]},
            {"Bild ✓": [1e-45, -0.0], "words": {"indices": [7, 9], "values": [0.1, 0.2]}},
            {"late": [[0.6, 0.8], [1.0, 1.0]], "late half": [[0.1, 2.0]]},
            {"half words": {"indices": [3], "values": [0.1]}, "byte": [1.0, 2.0, 3.0]},
        ],
    ),
    "one sparse": Kind(
        {"vectors": {}, "sparse_vectors": {"words": {}}},
        [{"words": {"indices": [3, 1, 2], "values": [0.1, 0.2, 0.3]}}, {}],
    ),
}  # fmt: skip


def stored(
    url: str, collection: str, *, key: str = "", page: int = 50
) -> dict[str, dict[str, Any]]:
    """Every point of a collection by its id, as the JSON that the server gives out."""
    points: dict[str, dict[str, Any]] = {}
    offset = None
    while True:
        body = {"limit": page, "offset": offset, "with_payload": True, "with_vector": True}
        result = ask(url, f"/collections/{quote(collection)}/points/scroll", body, key=key)
        for point in result["points"]:
            assert str(point["id"]) not in points
            points[str(point["id"])] = point
        offset = result["next_page_offset"]
        if offset is None:
            return points
