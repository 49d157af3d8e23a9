"""The values whose way is followed. Those of one namespace travel together."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DECADES = [*range(-300, -20, 70), *range(-20, 21), *range(30, 310, 30)]
_OF_EACH = 200
_MULTI = {"multivector_config": {"comparator": "max_sim"}}
_WORDS = {"indices": [1, 7], "values": [0.1, 3e-9]}


@dataclass(frozen=True)
class Case:
    """`payload` and `vector` are JSON as a bundle has it. `by_others`: a vector that somebody wrote
    into the server, because no bundle can hold it."""

    kind: str
    payload: str = "{}"
    vector: str = "{}"
    by_others: list[float] | None = None


@dataclass(frozen=True)
class World:
    """One namespace: the configuration of its vectors, and the cases in it."""

    title: str
    cases: list[Case]
    config: dict[str, Any] = field(default_factory=lambda: {"vectors": {}})


def value(kind: str, text: str) -> Case:
    return Case(kind, payload=f'{{"v":{text}}}')


def texts(**kinds: Any) -> Iterator[Case]:
    for kind, what in kinds.items():
        yield value(kind.replace("_", " "), json.dumps(what))


PAYLOADS = World(
    "Payloads",
    [
        value("null, true, false", "[null, true, false]"),
        value("empty object, empty list, empty text", '[{}, [], ""]'),
        value("integer up to 2^53 + 1, either sign", "[0, 1, -1, 9007199254740993]"),
        value("integer -2^63, 2^63 - 1", "[-9223372036854775808, 9223372036854775807]"),
        value("integer 2^63 to 2^64 - 1", "[9223372036854775808, 18446744073709551615]"),
        value("integer 2^64 and more", "18446744073709551616"),
        value("integer below -2^63", "-9223372036854775809"),
        value("float of few digits", "[0.0, 0.1, 4.35, -2.5, 1.0, 1e16, 1e-7]"),
        value("float -0.0", "[-0.0]"),
        value("float 2^63, 2^64, 1e20", "[9.223372036854775808e18, 1.8446744073709552e19, 1e20]"),
        value("float, smallest and largest", "[5e-324, 1.7976931348623157e308]"),
        value("float of 17 digits, 1e-6 to 1e34", "[0.056426364579568164, 1169.9510547380673]"),
        value("float of 17 digits, smaller", "[5.788350460524352e-29, 4.870136403504051e-10]"),
        value("float of 17 digits, larger", "[1.124888289006326e102, 8.094018964374985e161]"),
        value("float beyond a double (1e999)", "1e999"),
        value("NaN, Infinity", "[NaN, Infinity]"),
        value("date as text", '["2026-05-06T07:08:09.123456789+14:00", "0001-01-01"]'),
        Case("date as text in a field with a datetime index", '{"when":"9999-12-31T23:59:59Z"}'),
        value("geo point", '{"lon": 13.403683, "lat": 52.520711}'),
        *texts(
            text="plain",
            text_of_any_script="Größe ✓ שלום नमस्ते 漢字",
            text_beyond_16_bits="𝄞🎬👩\u200d👩\u200d👧",
            text_composed_and_decomposed=["\u00e9", "e\u0301"],
            text_with_NUL="a\0b",
            text_with_control_characters="\x01\x11\x1b\x7f\r\n\t\u2028\u2029\u202e",
            text_of_noncharacters="\ufeff\ufffe\uffff\U0010ffff",
            text_of_a_megabyte="x" * 1_000_000,
            half_a_surrogate_pair="\ud800",
        ),
        value("key empty, with NUL, dots, brackets", '{"": 1, "a\\u0000": 2, "a.b[]": 3}'),
        value("nested 30 deep", '{"a":' * 30 + "1" + "}" * 30),
        value("nested 99 deep", "[" * 99 + "0.5" + "]" * 99),
    ],
    {"vectors": {}, "payload_schema": {"when": {"type": "datetime"}}},
)


def _decade(power: int) -> Case:
    chance = random.Random(power)
    floats = [float(f"{chance.uniform(1, 10)!r}e{power}") for _ in range(_OF_EACH)]
    return value(f"1e{power}", json.dumps(floats))


FLOATS = World("Floats", [_decade(power) for power in DECADES])


def vectors(kind: str, name: str, *values: Any) -> Case:
    (one,) = values if isinstance(values[0], dict | list) else (list(values),)
    return Case(kind, vector=json.dumps({name: one}))


def _params(distance: str, size: int = 4, **more: Any) -> dict[str, Any]:
    return {"size": size, "distance": distance, **more}


def _quantized(name: str, **params: Any) -> dict[str, Any]:
    return _params("Dot", quantization_config={name: params})


MAX = 3.4028234663852886e38
CONSTANT = {size: [0.1] * size for size in (768, 3072, 3584)}
VECTORS = World(
    "Vectors",
    [
        vectors("float32, Dot", "dot", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32, Euclid", "euclid", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32, Manhattan", "manhattan", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32: largest, smallest, -0.0", "dot", MAX, -MAX, 1e-45, -0.0),
        vectors("float32: beyond", "dot", 3.4028236e38, 0, 0, 0),
        vectors("float32, Cosine, of length 1", "cosine", 0.6, 0, 0.8, 0),
        vectors("float32, Cosine, of another length", "cosine", 3, 0.1, -4, 1),
        vectors("float32, Cosine, zeros", "cosine", 0, 0, 0, 0),
        vectors("float32, Cosine, of length 1e-30", "cosine", 1e-30, 0, 0, 0),
        vectors("float32, Cosine, of length 1e30", "cosine", 1e30, 0, 0, 1),
        *(
            vectors(f"float32, Cosine, {size} equal numbers", f"c{size}", numbers)
            for size, numbers in CONSTANT.items()
        ),
        vectors("float16, Dot", "half", 0.1, 2.5, 65504, 1e-8),
        vectors("float16: beyond 65504 (70000)", "half", 70000, 0, 0, 0),
        vectors("float16, Cosine", "half_cosine", 3, 0.1, -4, 1),
        vectors("uint8, Dot", "byte", 0, 255, 7, 1),
        vectors("uint8, Cosine", "byte_cosine", 0, 255, 7, 1),
        vectors("uint8: 256", "byte", 256, 0, 0, 0),
        vectors("uint8: -1", "byte", -1, 0, 0, 0),
        vectors("uint8: 12.5", "byte", 12.5, 0, 0, 0),
        vectors("float32 beside scalar quantization", "scalar", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32 beside product quantization", "product", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32 beside binary quantization", "binary", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32 beside turbo quantization", "turbo", 0.1, -2.5e-7, 1, 1e9),
        vectors("float32 on disk", "disk", 0.1, -2.5e-7, 1, 1e9),
        vectors("multivector, float32, Dot", "rows", [[0.1, 2, 3, MAX], [1e-45, 0, 0, -0.0]]),
        vectors("multivector, float32, Cosine", "rows_cosine", [[3, 0.1, -4, 1], [0, 0, 0, 2]]),
        vectors("multivector, float16, Dot", "rows_half", [[0.1, 2, 3, 4], [5, 6, 7, 8]]),
        vectors("sparse", "words", _WORDS),
        vectors("sparse, index of float16", "words_half", _WORDS),
        vectors("sparse, index of uint8", "words_byte", _WORDS),
        vectors("sparse, empty", "words", {"indices": [], "values": []}),
        Case("no vector at all"),
    ],
    {
        "vectors": {
            "dot": _params("Dot"),
            "euclid": _params("Euclid"),
            "manhattan": _params("Manhattan"),
            "cosine": _params("Cosine"),
            **{f"c{size}": _params("Cosine", size) for size in CONSTANT},
            "half": _params("Dot", datatype="float16"),
            "half_cosine": _params("Cosine", datatype="float16"),
            "byte": _params("Dot", datatype="uint8"),
            "byte_cosine": _params("Cosine", datatype="uint8"),
            "scalar": _quantized("scalar", type="int8"),
            "product": _quantized("product", compression="x4"),
            "binary": _quantized("binary"),
            "turbo": _quantized("turbo"),
            "disk": _params("Dot", on_disk=True),
            "rows": _params("Dot", **_MULTI),
            "rows_cosine": _params("Cosine", **_MULTI),
            "rows_half": _params("Dot", datatype="float16", **_MULTI),
        },
        "sparse_vectors": {
            "words": {},
            "words_half": {"index": {"datatype": "float16"}},
            "words_byte": {"index": {"datatype": "uint8"}},
        },
    },
)


def _other(kind: str, numbers: list[float], **params: Any) -> World:
    """What somebody wrote over gRPC, in a namespace of its own."""
    case = Case(kind, vector='{"v":[1, 2, 3, 4]}', by_others=numbers)
    return World(kind, [case], {"vectors": {"v": _params(**params)}})


TURBO = World(
    "Turbo",
    [vectors("turbo4, Dot", "v", [0.1 * number for number in range(1, 129)])],
    {"vectors": {"v": _params("Dot", 128, datatype="turbo4")}},
)
OTHERS = [
    _other("NaN, float32, Dot", [math.nan, 1, 2, 3], distance="Dot"),
    _other("infinities, float32, Dot", [math.inf, -math.inf, 2, 3], distance="Dot"),
    _other("NaN, float32, Cosine", [math.nan, 1, 2, 3], distance="Cosine"),
    _other("infinity, float32, Cosine", [math.inf, 1, 2, 3], distance="Cosine"),
    _other("70000, float16, Dot", [70000, 1, 2, 3], distance="Dot", datatype="float16"),
    _other("NaN, float16, Cosine", [math.nan, 1, 2, 3], distance="Cosine", datatype="float16"),
    _other("300 and 12.5, uint8, Dot", [300, 12.5, 2, 3], distance="Dot", datatype="uint8"),
]
