"""Numbers that a store would keep as something else: refused with their line, or told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clone_pipeline.core.bundle import dump, load
from clone_pipeline.core.bundle.config import check_config
from clone_pipeline.core.bundle.files import Wrong
from clone_pipeline.core.bundle.kept import Kept
from clone_pipeline.core.bundle.output import encode_point
from clone_pipeline.core.bundle.points import parse_point
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import BundleError, InvalidRequest
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.settle import reread
from clone_pipeline_tests.sources import write_bundle

from .samples import NOW, namespace_key, read_bundle, rows, sample

MAX = 3.4028234663852886e38  # of 32 bits
MULTI = {"multivector_config": {"comparator": "max_sim"}}
NAN, INF = float("nan"), float("inf")


def config(distance: str = "Dot", size: int = 3, **params: Any) -> dict[str, Any]:
    return {"vectors": {"v": {"size": size, "distance": distance, **params}}}


def files(config: dict[str, Any], *points: dict[str, Any]) -> dict[str, Any]:
    return sample() | {"qdrant.json": config, "points.jsonl": list(points)}


def point(*vector: Any, id: int = 1, **payload: Any) -> dict[str, Any]:
    return {"id": id, "vector": {"v": list(vector)}, "payload": payload}


REFUSED = [
    (config(datatype="float16"), point(65520.0, 1, 2), "beyond 65504"),
    (config(datatype="float16"), point(-70000.0, 1, 2), "beyond 65504"),
    (config(datatype="float16", **MULTI), point([1, 2, 3], [1, 2, 7e4]), "row 2 is float16"),
    (config(datatype="uint8"), point(256, 1, 2), "whole one from 0 to 255"),
    (config(datatype="uint8"), point(-1, 1, 2), "whole one from 0 to 255"),
    (config(datatype="uint8"), point(12.5, 1, 2), "whole one from 0 to 255"),
    (config("Cosine", datatype="uint8"), point(1e30, 1, 2), "whole one from 0 to 255"),
    (config("Cosine"), point(1e30, 1, 2), "too long for Cosine"),
    (config("Cosine"), point(-2e19, 1, 2), "too long for Cosine"),
    (config("Cosine", **MULTI), point([1, 2, 3], [0, MAX, 0]), "row 2 is too long for Cosine"),
    (config("Cosine", size=4000), point(*[1e18] * 4000), "too long for Cosine"),
    (config(), point(3.4028236e38, 1, 2), "beyond what a 32-bit float"),
    (config(), point(1, 2, 3, n=2**64), "beyond 64 bits"),
    (config(), point(1, 2, 3, n={"m": [0, -(2**63) - 1]}), "beyond 64 bits"),
]


@pytest.mark.parametrize(("config", "bad", "words"), REFUSED)
def test_what_would_be_kept_as_something_else_is_refused(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path, config: Any, bad: Any, words: str
) -> None:
    folder = write_bundle(tmp_path, files(config, bad))
    with pytest.raises(BundleError) as caught:
        load(folder, catalog, vectors, NOW)
    assert (caught.value.details["file"], caught.value.details["line"]) == ("points.jsonl", 1)
    assert words in caught.value.details["reason"]
    assert rows(catalog) == {}


@pytest.mark.parametrize(
    ("config", "good"),
    [
        (config(), point(MAX, -MAX, 1e-45)),
        (config(), point(3.40282347e38, -3.40282347e38, 1.0)),
        (config(datatype="float16"), point(65519.0, -65504, 1e-8)),
        (config(datatype="uint8"), point(0, 255.0, 1)),
        (config("Cosine"), point(1e19, 1e19, 1)),
        (config("Cosine"), point(1e-30, 0, 0)),
        (config(), point(1, 2, 3, n=2**64 - 1, m=-(2**63), digits="1" * 30, f=1e20)),
    ],
)
def test_what_can_be_kept_is_loaded_and_dumped(
    catalog: Catalog, vectors: EmbeddedStore, tmp_path: Path, config: Any, good: Any
) -> None:
    report = load(write_bundle(tmp_path / "in", files(config, good)), catalog, vectors, NOW)
    assert report.warnings == []
    dump(catalog, vectors, namespace_key(catalog), tmp_path / "out")
    (again,) = read_bundle(tmp_path / "out")["points.jsonl"]
    assert again["payload"] == good["payload"]
    assert all(abs(number) <= MAX for number in again["vector"]["v"])
    shapes = check_config(config)
    assert parse_point(again, shapes).id == 1


@given(st.lists(st.floats(width=32), min_size=3, max_size=3), st.sampled_from(["Dot", "Cosine"]))
def test_a_line_holds_finite_numbers_that_read_back_or_names_the_point(
    numbers: list[float], distance: str
) -> None:
    finite = all(abs(number) <= MAX for number in numbers)
    if not finite:
        with pytest.raises(InvalidRequest, match=r"Point 7: vector `v` holds NaN or an infinity"):
            encode_point(Point(7, {"v": numbers}, {}))
        return
    line = json.loads(encode_point(Point(7, {"v": numbers}, {})))
    if distance == "Cosine" and sum(number * number for number in numbers) > 3.4e38:
        with pytest.raises(Wrong, match="too long"):
            parse_point(line, check_config(config(distance)))
        return
    again = parse_point(line, check_config(config(distance)))
    assert encode_point(again) == encode_point(Point(7, {"v": numbers}, {}))


@pytest.mark.parametrize(
    "vector", [[1.0, NAN], [INF], [[0.0, 1.0], [-INF, 0.0]], {"indices": [1], "values": [NAN]}]
)
def test_no_dump_holds_what_is_no_number(vector: Any) -> None:
    with pytest.raises(InvalidRequest, match="Point 7: vector `v`"):
        encode_point(Point(7, {"v": vector}, {}))


def test_no_dump_holds_a_payload_that_is_no_json() -> None:
    with pytest.raises(InvalidRequest, match="Point 7: its payload"):
        encode_point(Point(7, {}, {"a": [NAN]}))


# ---- what a server keeps otherwise -------------------------------------------------------------


def notes(config: dict[str, Any], *points: dict[str, Any]) -> list[str]:
    shapes = check_config(config)
    kept = Kept(shapes)
    for document in points:
        kept.look(parse_point(document, shapes))
    return kept.warnings


def test_floats_that_a_server_cannot_keep_are_counted() -> None:
    fine, changed = 0.25, 0.056426364579568164
    assert reread(changed) != changed
    (note,) = notes(
        config(),
        point(1, 2, 3, a=fine),
        point(1, 2, 3, id=2, a=[changed, {"b": changed}], c=changed),
        point(1, 2, 3, id=3, a=changed),
    )
    assert note.startswith("Qdrant keeps 4 of the floats in payloads a last place or more off ")
    assert note.endswith("Points with such: 2, the first of which is 2.")


@pytest.mark.parametrize(
    ("config", "vector", "words"),
    [
        (config("Cosine"), (3, 4, 0), "scaled to length 1"),
        (config("Cosine", **MULTI), ([1, 0, 0], [3, 4, 0]), "scaled to length 1"),
        (config(datatype="float16"), (0.1, 1, 2), "rounded to float16"),
        (config(datatype="turbo4"), (1, 0, 2), "as turbo4, which does not"),
    ],
)
def test_vectors_that_a_server_changes_are_counted(config: Any, vector: Any, words: str) -> None:
    (note,) = notes(config, point(*vector), point(*vector, id=2))
    assert words in note
    assert "'v'" in note
    assert "2 points" in note or note.endswith(": 2.")


@pytest.mark.parametrize(
    ("config", "vector"),
    [
        (config("Cosine"), (0.6, 0.8, 0)),
        (config("Cosine"), (0, 0, 0)),
        (config("Cosine", datatype="uint8"), (3, 4, 0)),
        (config(datatype="float16"), (0.5, -65504, 2)),
        (config(), (0.1, 1e-45, MAX)),
    ],
)
def test_what_a_server_keeps_is_not_told(config: Any, vector: Any) -> None:
    assert notes(config, point(*vector, n=1, f=0.1, text="1e-7")) == []
