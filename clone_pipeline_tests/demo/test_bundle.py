"""The committed demo bundle: complete, consistent, and rich in everything a clone must handle."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy
import pytest

import clone_pipeline.demo
from clone_pipeline.core.bundle.check import check
from clone_pipeline.core.bundle.files import BundleFiles
from clone_pipeline.core.ledger.meter import Meter

Document = dict[str, Any]

HOME = Path(clone_pipeline.demo.__file__).parent
BUNDLE = HOME / "bundle"
QUERIES = HOME / "queries.json"
FILES = ("buckets", "objects", "collections", "retrievers", "taxonomies", "points")
ID_FIELDS = {
    "buckets": "bucket_id",
    "objects": "object_id",
    "collections": "collection_id",
    "retrievers": "retriever_id",
    "taxonomies": "taxonomy_id",
}
FORMS = {
    "buckets": r"bkt_[a-z0-9]{8}",
    "objects": r"obj_[a-z0-9]{12}",
    "collections": r"col_[a-z0-9]{10}",
    "retrievers": r"ret_[a-z0-9]{14}",
    "taxonomies": r"tax_[a-z0-9]{12}",
}
# The user's own data may hold anything that looks like an id.
USER_DATA = {"metadata", "notes", "resource_arn", "mirror_of", "disabled_reason"}
LIKE_AN_ID = re.compile(r"(?:bkt|col|ret|tax|obj)_(?!col_)[a-z0-9]{8,}|doc_[0-9a-f]{24}")


def read_lines(path: Path) -> list[Document]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def bundle() -> dict[str, list[Document]]:
    return {name: read_lines(BUNDLE / f"{name}.jsonl") for name in FILES}


@pytest.fixture(scope="module")
def namespace() -> Document:
    return dict(json.loads((BUNDLE / "namespace.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def config() -> Document:
    return dict(json.loads((BUNDLE / "qdrant.json").read_text(encoding="utf-8")))


def values(document: Any, path: str) -> list[Any]:
    """Everything that stands at a path: `a.b` keys, `[]` items, `{}` keys, `*` values."""
    found = [document]
    for step in path.replace("[]", ".[]").replace("{}", ".{}").split("."):
        found = [value for item in found for value in _step(item, step)]
    return found


def _step(item: Any, step: str) -> list[Any]:
    if step == "[]":
        return item if isinstance(item, list) else []
    if not isinstance(item, dict):
        return []
    if step in ("{}", "*"):
        return list(item) if step == "{}" else list(item.values())
    return [item[step]] if item.get(step) is not None else []


def strings(value: Any) -> Iterator[str]:
    """Every string and key outside the user's own data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            if key not in USER_DATA:
                yield from strings(item)


def test_is_small_enough_for_the_repository() -> None:
    files = [*BUNDLE.iterdir(), QUERIES]
    assert sum(file.stat().st_size for file in files) < 10_000_000


def test_is_accepted_by_the_loader() -> None:
    assert (
        check(BundleFiles(BUNDLE), Meter(lambda: datetime.now(timezone.utc))).organization_id
        == "org_demo"
    )


def test_has_the_size_and_the_kinds_that_are_promised(bundle: dict[str, list[Document]]) -> None:
    assert len(bundle["points"]) >= 2000
    assert len(bundle["buckets"]) == 2
    sources = Counter(item["source"]["type"] for item in bundle["collections"])
    assert sources["bucket"] >= 2
    assert sources["collection"] >= 1
    kinds = Counter(item["config"]["taxonomy_type"] for item in bundle["taxonomies"])
    assert kinds == {"flat": 2, "hierarchical": 1}
    assert len(bundle["retrievers"]) >= 5


def test_counts_are_what_is_there(bundle: dict[str, list[Document]], namespace: Document) -> None:
    points = Counter(point["payload"]["collection_id"] for point in bundle["points"])
    objects = Counter(item["bucket_id"] for item in bundle["objects"])
    for collection in bundle["collections"]:
        assert collection["document_count"] == points.pop(collection["collection_id"], 0)
    for bucket in bundle["buckets"]:
        assert bucket["object_count"] == objects.pop(bucket["bucket_id"])
    assert not points
    assert not objects
    for kind, field in (("points", "document_count"), ("objects", "object_count")):
        assert namespace[field] == len(bundle[kind])


@pytest.mark.parametrize("kind", FORMS)
def test_ids_have_the_documented_form(bundle: dict[str, list[Document]], kind: str) -> None:
    wrong = [
        document[ID_FIELDS[kind]]
        for document in bundle[kind]
        if not re.fullmatch(FORMS[kind], document[ID_FIELDS[kind]])
    ]
    assert wrong == []


def test_every_id_that_is_named_exists(
    bundle: dict[str, list[Document]], namespace: Document
) -> None:
    known = {item[field] for kind, field in ID_FIELDS.items() for item in bundle[kind]}
    known |= {point["payload"]["document_id"] for point in bundle["points"]}
    documents = [namespace, *(item for kind in ID_FIELDS for item in bundle[kind])]
    documents += [point["payload"] for point in bundle["points"]]
    named = {found for text in strings(documents) for found in LIKE_AN_ID.findall(text)}
    assert named - known == set()
    assert len(named) > len(bundle["points"])


def test_lineage_follows_the_documents_it_names(bundle: dict[str, list[Document]]) -> None:
    payloads = {point["payload"]["document_id"]: point["payload"] for point in bundle["points"]}
    for payload in payloads.values():
        lineage = payload.get("_internal", {}).get("lineage") or payload
        path = (lineage.get("path") or lineage["lineage_path"]).split("/")
        assert path[0] == lineage["root_bucket_id"]
        assert path[-1] == payload["collection_id"]
        if lineage["source_type"] == "collection":
            parent = payloads[lineage["source_document_id"]]
            assert parent["collection_id"] == lineage["source_collection_id"] == path[-2]


def test_vectors_are_finite_and_of_their_size(
    bundle: dict[str, list[Document]], config: Document
) -> None:
    for point in bundle["points"]:
        for name, vector in point["vector"].items():
            if name in config["sparse_vectors"]:
                assert len(vector["indices"]) == len(set(vector["indices"])) > 0
                assert all(math.isfinite(value) and value > 0 for value in vector["values"])
                continue
            rows = numpy.atleast_2d(vector)
            assert rows.shape[1] == config["vectors"][name]["size"] == 384
            assert numpy.abs(numpy.linalg.norm(rows, axis=1) - 1).max() < 0.01


def test_has_every_kind_of_vector_and_of_point_id(
    bundle: dict[str, list[Document]], config: Document
) -> None:
    named = Counter(name for point in bundle["points"] for name in point["vector"])
    assert set(named) == {*config["vectors"], *config["sparse_vectors"]}
    assert config["vectors"]["text_extractor_v1_keywords"]["multivector_config"]
    assert any(not point["vector"] for point in bundle["points"])
    assert {type(point["id"]) for point in bundle["points"]} == {int, str}


def test_payload_indexes_are_those_of_the_vector_store(
    namespace: Document, config: Document
) -> None:
    declared = {
        index["field_name"]: index["field_schema"] for index in namespace["payload_indexes"]
    }
    stored = {field: index["params"] for field, index in config["payload_schema"].items()}
    assert declared == stored
    assert any(index["is_protected"] for index in namespace["payload_indexes"])
    assert any(params.get("tokenizer") for params in stored.values())


# A path of each kind of reference, so that the demo shows what becomes of it.
PRESENT = {
    "namespace": """
        infrastructure.s3_plugin_prefix infrastructure.ray_cluster_id trusted_issuers[].retrievers[]
        trusted_issuers[].collections[] trusted_issuers[].owner_writable_collections[]
        trusted_issuers[].claim_filters[].field vector_inference_map{}""",
    "buckets": """
        ingest_filter.retriever_id ingest_filter.retriever_version destination.connection_id
        source_adapter.source_collection_id source_adapter.source_bucket_ids[]
        source_adapter.source_filters source_adapter.connection_id source_adapter.webhook_url
        source_adapter.webhook_secret""",
    "objects": """
        source_details[].source_id edges[].target_object_id edges[].target_collection_id
        blobs[].properties.url blobs[].key_prefix metadata.collection_id""",
    "collections": """
        source.bucket_ids[] source.collection_id source.collection_ids[]
        source.inherited_bucket_ids[] source.field_map{} source.source_filters
        source_bucket_schemas{} source_lineage[].source_config.bucket_id
        source_lineage[].source_config.bucket_ids[] source_lineage[].source_config.collection_id
        source_lineage[].source_config.source_namespace_id taxonomy_applications[].taxonomy_id
        taxonomy_applications[].target_collection_id taxonomy_applications[].scroll_filters
        retriever_enrichments[].retriever_id retriever_enrichments[].input_mappings[].source.value
        cluster_applications[].cluster_id alert_applications[].alert_id
        alert_applications[].input_mappings[].source.value trigger_id schedule
        retriever_transform.retriever_id disabled_reason.source_collection_id s3_vector_index
        payload_indexes[].field_name index_map{}""",
    "retrievers": """
        collection_ids[] collection_identifiers[] stages[].parameters.taxonomy_id
        stages[].config.pre_filters stages[].config.post_filters
        stages[].config.parameters.conditions
        stages[].config.parameters.collection_identifiers[]
        stages[].config.parameters.searches[].query.document_ref.collection_id
        stages[].config.parameters.feature_search_config.collection_identifiers[]
        stages[].config.parameters.feature_search_config.searches[].collection_identifiers[]
        stages[].config.parameters.taxonomy_id stages[].config.parameters.target_collection_id
        stages[].config.parameters.retriever_id stages[].config.parameters.example_collection_ids[]
        stages[].config.parameters.retriever_config.stages[].config.pre_filters
        stages[].config.parameters.reference_collection_id
        stages[].config.parameters.connection_id stages[].config.parameters.prompt
        stages[].config.parameters.learning_config.evaluation_dataset_id
        stages[].config.parameters.learning_config.shipped_weight_set.weight_set_id
        stages[].config.parameters.facets[].key stages[].config.parameters.group_by.field
        display_config.retriever_config.stages[] display_config.field_config{}
        input_schema.*.default.collection_id input_schema.*.examples[].collection_id""",
    "taxonomies": """
        retriever_id config.retriever_id config.source_collection.collection_id
        config.hierarchical_nodes[].collection_id config.hierarchical_nodes[].parent_collection_id
        config.hierarchical_nodes[].retriever_id config.inference_collections[]
        config.cluster_ids[] config.llm_prompt_template""",
    "points": """
        payload.collection_id payload.edges[].target_object_id
        payload.edges[].target_collection_id payload.cluster_id payload.metadata.promotion
        payload.metadata.collection_id payload.notes payload.resource_arn payload._related_ids[]
        payload.root_bucket_id payload.source_collection_id payload.lineage_path
        payload.internal_metadata.processing_history[].taxonomy_ids_applied[]
        payload._internal.namespace_id payload._internal.internal_id
        payload._internal.collection_id payload._internal.lineage.root_bucket_id
        payload._internal.lineage.source_collection_id payload._internal.lineage.path
        payload._internal.lineage.chain[].collection_id
        payload._internal.source_details[].source_id
        payload._internal.processing.history[].taxonomy_ids_applied[]
        payload._internal.processing.taxonomy_lineage[] payload._internal.processing.source_url
        payload._internal.document_blobs[].url payload._internal.source_blobs[].blob_id""",
}


@pytest.mark.parametrize("kind", PRESENT)
def test_every_kind_of_reference_is_present(
    bundle: dict[str, list[Document]], namespace: Document, kind: str
) -> None:
    documents = [namespace] if kind == "namespace" else bundle[kind]
    missing = [
        path
        for path in PRESENT[kind].split()
        if not any(values(document, path) for document in documents)
    ]
    assert missing == []


def test_taxonomy_fields_name_their_taxonomy_in_both_layouts(
    bundle: dict[str, list[Document]], namespace: Document
) -> None:
    taxonomies = {item["taxonomy_id"] for item in bundle["taxonomies"]}
    field = re.compile(r"_taxonomy_(tax_[a-z0-9]{12})_(id|label|score|assignments)")
    payloads = [point["payload"] for point in bundle["points"]]
    inside = {key for payload in payloads for key in payload.get("_internal", {})}
    nested = {found[1] for key in inside if (found := field.fullmatch(key))}
    beside = {key for payload in payloads for key in payload}
    flat = {found[1] for key in beside if (found := field.fullmatch(key))}
    assert nested == taxonomies
    assert flat < taxonomies
    assert flat
    assert any(field.search(index["field_name"]) for index in namespace["payload_indexes"])


def test_references_run_in_a_circle(bundle: dict[str, list[Document]]) -> None:
    collections = {item["collection_id"]: item for item in bundle["collections"]}
    taxonomies = {item["taxonomy_id"]: item for item in bundle["taxonomies"]}
    retrievers = {item["retriever_id"]: item for item in bundle["retrievers"]}
    circles = [
        collection
        for collection, document in collections.items()
        for application in document["taxonomy_applications"] or []
        if collection
        in json.dumps(retrievers[taxonomies[application["taxonomy_id"]]["config"]["retriever_id"]])
    ]
    assert circles


def test_a_prompt_names_an_id_literally_and_a_retriever_uses_a_name(
    bundle: dict[str, list[Document]],
) -> None:
    ids = {item["collection_id"] for item in bundle["collections"]}
    names = {item["collection_name"] for item in bundle["collections"]}
    prompts = [
        prompt
        for item in bundle["retrievers"]
        for prompt in values(item, "stages[].config.parameters.prompt")
    ]
    assert any(identifier in prompt for identifier in ids for prompt in prompts)
    used = {name for item in bundle["retrievers"] for name in item["collection_identifiers"]}
    assert used & names


def test_files_stand_under_the_source_namespace(
    bundle: dict[str, list[Document]], namespace: Document
) -> None:
    prefix = f"s3://demo-cloud-docs/org_demo/{namespace['namespace_id']}/"
    urls = [url for item in bundle["objects"] for url in values(item, "blobs[].properties.url")]
    assert len(set(urls)) == len(bundle["objects"])
    assert all(url.startswith(prefix) for url in urls)


@pytest.mark.parametrize(
    ("number", "service"), [(1, "kms"), (2, "lambda"), (3, "rekognition"), (4, "sqs")]
)
def test_primary_retriever_finds_what_a_query_means(
    bundle: dict[str, list[Document]], number: int, service: str
) -> None:
    primary = bundle["retrievers"][0]
    assert primary["created_at"] == min(item["created_at"] for item in bundle["retrievers"])
    search = primary["stages"][0]["config"]["parameters"]["searches"][0]
    storage = {
        index["index"]["name"]
        for item in bundle["collections"]
        if item["collection_id"] in primary["collection_ids"]
        for index in item["vector_indexes"]
        if index["feature_uri"] == search["feature_uri"]
    }
    assert storage == {"text_extractor_v1_embedding"}
    points = [
        point
        for point in bundle["points"]
        if point["payload"]["collection_id"] in primary["collection_ids"]
        and storage <= set(point["vector"])
    ]
    matrix = numpy.array([point["vector"]["text_extractor_v1_embedding"] for point in points])
    query = json.loads(QUERIES.read_text(encoding="utf-8"))[number]
    best = points[int((matrix @ numpy.array(query["vector"])).argmax())]
    assert best["payload"]["service"] == service, query["text"]
