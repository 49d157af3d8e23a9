"""What is as deep as may be loaded goes through every later step; what is deeper is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.depth import MAX_DEPTH, is_too_deep
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.verify import verify_pair, verify_sealed
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.core.bundle.samples import read_bundle, sample
from clone_pipeline_tests.sources import Files, write_bundle


def grown(document: dict[str, Any], wrap: Callable[[Any], Any]) -> dict[str, Any]:
    """The document with one more field, as deep as it may be."""
    value: Any = {}
    while not is_too_deep({**document, "field": wrap(value)}):
        value = wrap(value)
    return {**document, "field": value}


WRAPS: dict[str, Callable[[Any], Any]] = {
    "objects": lambda value: {"a": value},
    "lists": lambda value: [value],
    "retrievers": lambda value: {
        "retriever_config": {"stages": [{"config": {"parameters": value}}]}
    },
    "filters": lambda value: {
        "AND": [{"OR": [value, {"field": "a", "operator": "eq", "value": 1}]}]
    },
}


def deepest(wrap: Callable[[Any], Any]) -> Files:
    """A bundle in which everything is as deep as it may be."""
    files = sample()
    files["namespace.json"] = grown(files["namespace.json"] | {"infrastructure": None}, wrap)
    for name in ("buckets", "objects", "collections", "retrievers", "taxonomies"):
        documents = files[f"{name}.jsonl"]
        files[f"{name}.jsonl"] = [grown(one, wrap) for one in documents]
    for one in files["objects.jsonl"]:
        one["edges"] = [{"target_collection_id": "col_1"}]
    field = grown({}, wrap)["field"]
    stages = [{"config": {"parameters": shallower(field, 4)}}]
    files["retrievers.jsonl"][0]["stages"] = stages
    files["taxonomies.jsonl"][0]["config"] = {"retriever_config": shallower(field, 2)}
    for point in files["points.jsonl"]:
        point["payload"] = grown({"collection_id": "col_1"} | point["payload"], wrap)
    return files


def shallower(value: Any, levels: int) -> Any:
    """The value without its outermost levels."""
    for _ in range(levels):
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


@pytest.mark.outside
@pytest.mark.parametrize("wrap", WRAPS)
def test_the_deepest_namespace_is_cloned_by_the_job_and_proven_and_dumped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrap: str
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    files = deepest(WRAPS[wrap])
    for command in (
        ("load", str(write_bundle(tmp_path / "bundle", files))),
        ("plan", "prod", "copy", "--taxonomies"),
        ("clone", "prod", "copy", "--taxonomies"),
        ("clone", "prod", "copy", "--taxonomies", "--if-exists", "replace"),
        ("verify", "prod", "copy"),
        ("show", "copy"),
        ("dump", "copy", str(tmp_path / "dump")),
    ):
        answer = run(*command)
        assert answer.code == 0, (command, answer.stderr)
    dumped = read_bundle(tmp_path / "dump")
    assert [point["payload"]["field"] for point in dumped["points.jsonl"]] == [
        point["payload"]["field"] for point in files["points.jsonl"]
    ]


@pytest.mark.parametrize("wrap", ["objects", "lists"])
def test_the_deepest_payload_goes_through_a_qdrant_server(
    tmp_path: Path, qdrant_url: str, wrap: str
) -> None:
    files = deepest(WRAPS[wrap])
    files["namespace.json"] |= {"namespace_id": f"ns_deep_{wrap}", "infrastructure": None}
    address = VectorAddress(folder=tmp_path / "unused", url=qdrant_url)
    with harness.holding(tmp_path, files, vector_address=address) as stores:
        assert harness.clone(stores, "prod", f"copy {wrap}").status == "ready"
        assert verify_sealed(stores, None, f"copy {wrap}").unchanged
        assert verify_pair(stores, None, "prod", f"copy {wrap}").equal
        dumped = read_bundle(harness.dump(stores, "prod", tmp_path / "dump"))
    payloads = {str(point["id"]): point["payload"] for point in dumped["points.jsonl"]}
    assert payloads == {str(point["id"]): point["payload"] for point in files["points.jsonl"]}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 124, 330])
def test_a_deeper_payload_that_somebody_else_wrote_is_named(tmp_path: Path, depth: int) -> None:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    with harness.holding(tmp_path, sample()) as stores:
        with stores.vectors() as vectors:
            vectors.upsert("ns_prod_store", [Point(7, {}, {"x": value})])
        with pytest.raises(InvalidRequest, match="payload of point 7 is nested more than 100 deep"):
            harness.clone(stores, "prod", "copy")


def test_the_bound_counts_levels_and_not_brackets() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert not is_too_deep(value)
    assert is_too_deep([value])
    assert not is_too_deep([[["["] * 200] * 200, "{" * 1000])
