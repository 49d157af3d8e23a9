"""Whatever is kept or cleared: what the SDK read of the source, it reads of the clone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.core.references import IdMap, Rewriter
from clone_pipeline_tests.sources import source

from ... import harness
from ...sdk_models import MODELS, STAGES, complaints, filled
from ..bundle.samples import read_bundle
from .examples import KINDS, ORGANIZATION, OTHER_ORGANIZATION, id_map

# The SDK takes longer to load than most tests together.
pytestmark = pytest.mark.outside

FILES = {
    "namespace": "namespace.json",
    "bucket": "buckets.jsonl",
    "object": "objects.jsonl",
    "collection": "collections.jsonl",
    "retriever": "retrievers.jsonl",
    "taxonomy": "taxonomies.jsonl",
    "payload": "points.jsonl",
}
CONFIGURATION = [kind for kind in MODELS if kind not in ("object", "payload")]
# Alternatives come in turn; more turns bring nothing new.
TURNS = range(3)


def maps() -> Iterator[IdMap]:
    """Clones of everything and of parts, with and without their ids, here and abroad."""
    kinds = [kind for kind in KINDS if kind != "bucket"]
    for size in range(len(kinds) + 1):
        for without in itertools.combinations(kinds, size):
            for organization in (ORGANIZATION, OTHER_ORGANIZATION):
                for preserve in (False, True):
                    yield id_map(without=without, organization=organization, preserve=preserve)
    # Nothing that is named is there.
    for organization in (ORGANIZATION, OTHER_ORGANIZATION):
        yield IdMap(("ns_x", "ns_y"), organization, {kind: {} for kind in KINDS}, {}, {})


def stage(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    config = {"stage_id": kind, "parameters": parameters}
    return {"stage_name": kind, "config": config, "parameters": parameters}


@pytest.mark.parametrize("kind", CONFIGURATION)
def test_a_resource_of_which_every_field_is_filled_is_read_after_every_clone(kind: str) -> None:
    for turn in TURNS:
        document = filled(MODELS[kind], turn)
        # Where a type is left out, none of its documents is in the clone.
        for ids in (ids for ids in maps() if kind == "namespace" or kind in ids.ids):
            result, _ = Rewriter(ids).rewrite(kind, document)
            assert complaints(MODELS[kind], result) == ""


@pytest.mark.parametrize("kind", ["object", "payload"])
def test_a_record_of_which_every_field_is_filled_is_read_after_every_clone(kind: str) -> None:
    document = filled(MODELS[kind])
    for ids in maps():
        rewriter = Rewriter(ids)
        rewrite = rewriter.rewrite_object if kind == "object" else rewriter.rewrite_payload
        result: Any = rewrite(document)[0]  # type: ignore[operator]
        assert complaints(MODELS[kind], result) == ""


@pytest.mark.parametrize("kind", STAGES)
def test_a_stage_of_which_every_parameter_is_filled_is_read_after_every_clone(kind: str) -> None:
    for turn in TURNS:
        retriever = filled(MODELS["retriever"])
        retriever["stages"] = [stage(kind, filled(STAGES[kind], turn))]
        for ids in maps():
            result, _ = Rewriter(ids).rewrite("retriever", retriever)
            assert complaints(MODELS["retriever"], result) == ""
            (found,) = result["stages"]
            assert complaints(STAGES[kind], found["config"]["parameters"]) == ""
            assert complaints(STAGES[kind], found["parameters"]) == ""


def test_weights_that_were_trained_are_among_what_is_filled() -> None:
    """They are what a clone once took a part of."""
    config = filled(STAGES["feature_search"])["learning_config"]
    assert config["shipped_weight_set"].keys() >= {"weight_set_id", "evaluation_id", "shipped_at"}


def namespace(taxonomies: int) -> dict[str, Any]:
    """A bundle of filled documents."""
    retriever = filled(MODELS["retriever"])
    retriever["stages"] = [stage(kind, filled(model)) for kind, model in STAGES.items()]
    config = filled(MODELS["namespace"]) | {"organization_id": "org_a", "namespace_name": "prod"}
    config["infrastructure"]["qdrant_collection"] = "vectors"
    return source(
        config,
        buckets=[filled(MODELS["bucket"])],
        objects=[filled(MODELS["object"])],
        collections=[filled(MODELS["collection"], 1)],
        retrievers=[retriever],
        taxonomies=[
            filled(MODELS["taxonomy"], turn) | {"version": turn + 1} for turn in range(taxonomies)
        ],
        points=[{"id": 1, "vector": {}, "payload": filled(MODELS["payload"])}],
        config={"vectors": {}},
    )


@pytest.mark.parametrize("taxonomies", [True, False])
@pytest.mark.parametrize("organization", [None, "org_b"])
def test_the_sdk_reads_what_stands_in_a_clone(
    taxonomies: bool, organization: str | None, sqlite_url: str, tmp_path: Path
) -> None:
    other = {"organization_id": "org_b", "namespace_id": "ns_b", "namespace_name": "of b"}
    include = {"collections": True, "retrievers": True, "taxonomies": taxonomies}
    with harness.holding(tmp_path, namespace(2), catalog_url=sqlite_url) as stores:
        harness.load(stores, {"namespace.json": other})
        options: dict[str, Any] = {"include_resources": include, "organization_id": organization}
        harness.clone(stores, "prod", "copy", **options)
        before = read_bundle(harness.dump(stores, "prod", tmp_path / "prod"))
        after = read_bundle(harness.dump(stores, "copy", tmp_path / "copy"))
    read = set()
    for kind, file in FILES.items():
        for old, new in zip(_listed(before[file]), _listed(after.get(file)), strict=False):
            if complaints(MODELS[kind], old) == "":
                assert complaints(MODELS[kind], new) == ""
                read.add(kind)
    assert read == FILES.keys() - ({"taxonomy"} if not taxonomies else set())


def _listed(content: Any) -> list[Any]:
    """A file's documents; of points their payloads."""
    documents = content if isinstance(content, list) else [content] if content else []
    return [one.get("payload", one) for one in documents]
