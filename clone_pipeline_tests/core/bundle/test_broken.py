"""Every mistake in a bundle's documents is named, with its file and line, and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline_tests.sources import write_bundle

from .refused import Stores, refused, stores
from .samples import UUID, sample

__all__ = ["stores"]  # a fixture


def nested(depth: int) -> Any:
    """Objects within objects."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


NAMESPACE = sample()["namespace.json"]
OBJECT = {"object_id": "o", "bucket_id": "bkt_a"}
CONFIG = sample()["qdrant.json"]


def point(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "vector": {"text": [1, 2, 3]}, "payload": {}} | changes


def vector(**vectors: Any) -> dict[str, Any]:
    return point(vector=vectors)


def config(**changes: Any) -> dict[str, Any]:
    return {**CONFIG, **changes}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


# What is wrong: the file, its content, the line that is told, words of the reason.
NAMESPACES = [
    (None, None, "is missing"),
    ("", 1, "not valid JSON"),
    ('{"a": 1,\n "b": }', 2, "not valid JSON"),
    ("[]", None, "not a JSON object"),
    (without(NAMESPACE, "organization_id"), None, "`organization_id` is missing"),
    (without(NAMESPACE, "namespace_id"), None, "`namespace_id` is missing"),
    (without(NAMESPACE, "namespace_name"), None, "`namespace_name` is missing"),
    (NAMESPACE | {"namespace_name": ""}, None, "is empty"),
    (NAMESPACE | {"namespace_name": "n" * 65}, None, "65 characters, at most 64"),
    (NAMESPACE | {"namespace_id": 7}, None, "not a string"),
    (NAMESPACE | {"namespace_id": "n" * 129}, None, "at most 128"),
    (NAMESPACE | {"namespace_id": "a\0"}, None, "NUL"),
    (NAMESPACE | {"namespace_id": "\ud800"}, None, "surrogate"),
    (NAMESPACE | {"organization_id": None}, None, "not a string"),
    (NAMESPACE | {"infrastructure": []}, None, "`infrastructure` is not an object"),
    (NAMESPACE | {"infrastructure": {"qdrant_collection": 1}}, None, "not a string"),
    (NAMESPACE | {"infrastructure": {"qdrant_collection": "../x"}}, None, "cannot be the name"),
    (without(NAMESPACE, "infrastructure") | {"namespace_id": ".."}, None, "cannot be the name"),
    (NAMESPACE | {"x": nested(100)}, None, "is nested more than 100 deep"),
    (b'{"a": "\xff"}', 1, "not UTF-8: byte 8 is 0xff"),
]

LINES = [
    ("buckets.jsonl", '{"bucket_id": "b", "bucket_name": "b"}\n{"x": \n', 2, "not valid JSON"),
    ("buckets.jsonl", '\n\n{"bucket_id": NaN}\n', 3, "NaN is not a JSON number"),
    ("buckets.jsonl", '{"x": -Infinity}', 1, "-Infinity"),
    ("buckets.jsonl", '{"x": 1e999}', 1, "beyond what a double"),
    ("buckets.jsonl", '{"x": {"y": 1, "y": 2}}', 1, "'y' stands twice"),
    ("buckets.jsonl", '{"x": ' + "9" * 5000 + "}", 1, "not usable"),
    ("buckets.jsonl", '{"x": ' + "[" * 200_000 + "]" * 200_000 + "}", 1, "nested more than 100"),
    ("buckets.jsonl", '{"x": ' + "[" * 100 + "]" * 100 + "}", 1, "is nested more than 100 deep"),
    ("objects.jsonl", [OBJECT, OBJECT | {"x": nested(100)}], 2, "is nested more than 100 deep"),
    ("retrievers.jsonl", '{"x": ' + '{"y": [' * 60 + "]}" * 60 + "}", 1, "nested more than 100"),
    ("buckets.jsonl", '"text"\n', 1, "not a JSON object"),
    ("buckets.jsonl", b'{}\n{"x": "\xc3"}\n'[3:], 1, "not UTF-8"),
    ("buckets.jsonl", "\ufeff{}", 1, "byte order mark"),
    ("buckets.jsonl", [{"bucket_name": "x"}], 1, "`bucket_id` is missing"),
    ("buckets.jsonl", [{"bucket_id": "", "bucket_name": "x"}], 1, "`bucket_id` is empty"),
    ("buckets.jsonl", [{"bucket_id": 5, "bucket_name": "x"}], 1, "not a string"),
    ("buckets.jsonl", [{"bucket_id": "b" * 129, "bucket_name": "x"}], 1, "at most 128"),
    ("buckets.jsonl", [{"bucket_id": "b"}], 1, "`bucket_name` is missing"),
    ("buckets.jsonl", [{"bucket_id": "b", "bucket_name": "x" * 513}], 1, "at most 512"),
    (
        "buckets.jsonl",
        [{"bucket_id": "b", "bucket_name": "x"}, {"bucket_id": "b", "bucket_name": "y"}],
        2,
        "`bucket_id` 'b' stands on line 1 already",
    ),
    (
        "buckets.jsonl",
        [{"bucket_id": "b", "bucket_name": "x"}, {"bucket_id": "c", "bucket_name": "x"}],
        2,
        "`bucket_name` 'x' stands on line 1 already",
    ),
    ("objects.jsonl", [OBJECT, OBJECT], 2, "`object_id` 'o' stands on line 1 already"),
    ("objects.jsonl", [OBJECT | {"object_id": "o" * 256}], 1, "at most 255"),
    ("objects.jsonl", [OBJECT | {"bucket_id": "bkt_x"}], 1, "'bkt_x': buckets.jsonl has no such"),
    ("objects.jsonl", [{"object_id": "o"}], 1, "`bucket_id` is missing"),
    (
        "collections.jsonl",
        [{"collection_id": "c", "collection_name": "n" * 101}],
        1,
        "101 characters, at most 100",
    ),
    ("collections.jsonl", [{"collection_id": "c", "collection_name": None}], 1, "not a string"),
    ("retrievers.jsonl", [{"retriever_id": "r"}], 1, "`retriever_name` is missing"),
]


# Of a document of each kind that is good: a field, its value, words of the reason.
WRONG_TYPES = [
    ("namespace.json", "payload_indexes", 5, "`payload_indexes` is not a list"),
    ("namespace.json", "payload_indexes", [5], "`payload_indexes[]` is not an object"),
    ("namespace.json", "feature_extractors", {}, "`feature_extractors` is not a list"),
    ("namespace.json", "description", 5, "`description` is not a string"),
    ("namespace.json", "document_count", "5", "`document_count` is not a whole number"),
    ("namespace.json", "document_count", True, "`document_count` is not a whole number"),
    ("namespace.json", "auto_create_indexes", 1, "`auto_create_indexes` is not true or false"),
    ("namespace.json", "created_at", "yesterday", "`created_at` is not a time"),
    ("namespace.json", "updated_at", 1764072836, "`updated_at` is not a time"),
    ("buckets.jsonl", "bucket_schema", [], "`bucket_schema` is not an object"),
    ("objects.jsonl", "blobs", {}, "`blobs` is not a list"),
    ("objects.jsonl", "blobs", [7], "`blobs[]` is not an object"),
    ("objects.jsonl", "source_details", 5, "`source_details` is not a list"),
    ("collections.jsonl", "source", "bkt_a", "`source` is not an object"),
    ("collections.jsonl", "taxonomy_applications", 5, "`taxonomy_applications` is not a list"),
    ("collections.jsonl", "taxonomy_applications", [5], "`taxonomy_applications[]` is not an"),
    ("collections.jsonl", "enabled", "yes", "`enabled` is not true or false"),
    ("retrievers.jsonl", "stages", 5, "`stages` is not a list"),
    ("taxonomies.jsonl", "config", [], "`config` is not an object"),
    ("namespace.json", "payload_indexes", [{"field_name": 5}], "`payload_indexes[].field_name` is"),
    (
        "namespace.json",
        "vector_inference_map",
        {"a": 5},
        "`vector_inference_map.*` is not a string",
    ),
    ("namespace.json", "infrastructure", {"min_workers": "x"}, "`infrastructure.min_workers` is"),
    ("buckets.jsonl", "bucket_schema", {"properties": 5}, "`bucket_schema.properties` is not an"),
    ("collections.jsonl", "input_schema", {"properties": 5}, "`input_schema.properties` is not an"),
    (
        "collections.jsonl",
        "feature_extractor",
        {"version": 1},
        "`feature_extractor.version` is not",
    ),
    ("retrievers.jsonl", "stages", [5], "`stages[]` is not an object"),
    ("retrievers.jsonl", "input_schema", {"a": 5}, "`input_schema.*` is not an object"),
    ("retrievers.jsonl", "tags", [5], "`tags[]` is not a string"),
]


@pytest.mark.parametrize(("file", "field", "value", "words"), WRONG_TYPES)
def test_a_field_of_a_wrong_type_is_named(
    stores: Stores, tmp_path: Path, file: str, field: str, value: Any, words: str
) -> None:
    files = sample()
    if file == "namespace.json":
        files[file][field] = value
    else:
        files[file][-1][field] = value
    error = refused(stores, write_bundle(tmp_path, files))
    line = None if file == "namespace.json" else len(files[file])
    assert (error.details["file"], error.details["line"]) == (file, line)
    assert words in error.details["reason"]


def taxonomy(identity: str, name: str, version: object) -> dict[str, Any]:
    return {"taxonomy_id": identity, "taxonomy_name": name, "version": version}


TAXONOMIES = [
    ([taxonomy("t", "a", 0)], 1, "`version` is not a whole number"),
    ([taxonomy("t", "a", True)], 1, "`version` is not a whole number"),
    ([taxonomy("t", "a", 1.0)], 1, "`version` is not a whole number"),
    ([taxonomy("t", "a", 2**31)], 1, "`version` is not a whole number"),
    ([taxonomy("t", "a", 3), taxonomy("t", "b", 3)], 2, "'t' in version 3 stands on line 1"),
    ([taxonomy("t", "a", 3), taxonomy("u", "a", 3)], 2, "'a' in version 3 stands on line 1"),
    ([without(taxonomy("t", "a", 1), "version"), taxonomy("t", "a", 1)], 2, "stands on line 1"),
]

POINTS = [
    ({"vector": {}}, "`id` is missing"),
    ({"id": 1}, "`vector` is missing"),
    (point(vectors={}), "unknown key 'vectors'"),
    (point(id=-1), "`id` -1 is neither"),
    (point(id=2**64), "neither an unsigned 64-bit integer nor a UUID"),
    (point(id=True), "`id` true is neither"),
    (point(id=1.0), "`id` 1.0 is neither"),
    (point(id="17"), "neither"),
    (point(id=UUID.replace("-", "_")), "neither"),
    (point(payload=None), "`payload` is not an object"),
    (point(payload=[1]), "`payload` is not an object"),
    (point(payload=nested(101)), "`payload` is nested more than 100 deep"),
    (point(payload=nested(330)), "`payload` is nested more than 100 deep"),
    (point(payload=nested(900)), "`payload` is nested more than 100 deep"),
    (point(payload={"a": ["\ud800"]}), "surrogate"),
    ('{"id": 1, "vector": {}, "payload": {"a": 1e999}}', "`payload` holds a number"),
    ('{"id": 1, "vector": {}, "payload": {"a": NaN}}', "NaN"),
    (point(vector=[1, 2, 3]), "`vector` is not an object"),
    (vector(text=[1, 2]), "vector 'text' has 2 numbers, qdrant.json says 3"),
    (vector(text=[1, 2, "3"]), "not a list of numbers"),
    (vector(text=[1, 2, True]), "not a list of numbers"),
    (vector(text=[1, 2, None]), "not a list of numbers"),
    (vector(text=None), "not a list of numbers"),
    (vector(text=[[1, 2, 3]]), "not a list of numbers"),
    (vector(text=[1, 2, 1e39]), "beyond what a 32-bit float"),
    (vector(text=[1, 2, 10**400]), "beyond what a 32-bit float"),
    ('{"id": 1, "vector": {"text": [1, 2, 1e999]}}', "beyond what a 32-bit float"),
    (vector(image=[1]), "'image' is not in qdrant.json, which names 'late', 'text', 'words'"),
    (vector(late=[]), "not a list of lists"),
    (vector(late=[1, 2]), "row 1 is not a list of numbers"),
    (vector(late=[[1, 2], [1]]), "row 2 has 1 numbers"),
    (vector(words=[1]), "is sparse"),
    (vector(words={"indices": [1]}), "is sparse"),
    (vector(words={"indices": [1], "values": [1], "x": 1}), "is sparse"),
    (vector(words={"indices": [1, 2], "values": [1]}), "2 indices and 1 values"),
    (vector(words={"indices": [1, 1], "values": [1, 2]}), "an index twice"),
    (vector(words={"indices": [1.0], "values": [1]}), "whole numbers"),
    (vector(words={"indices": 1, "values": []}), "whole numbers"),
    (vector(words={"indices": [-1], "values": [1]}), "unsigned 32-bit"),
    (vector(words={"indices": [2**32], "values": [1]}), "unsigned 32-bit"),
    (vector(words={"indices": [1], "values": ["1"]}), "not a list of numbers"),
    (point(shard_key="a"), "`shard_key` is there, and `sharding_method` in qdrant.json is not"),
]


def params(**changes: Any) -> dict[str, Any]:
    return config(vectors=CONFIG["vectors"] | {"text": {"size": 3, "distance": "Dot"} | changes})


def keyed(*entries: Any, whole: Any = None) -> dict[str, Any]:
    return config(sharding_method="custom", shard_keys=whole or list(entries))


CONFIGS = [
    ("[]", None, "not a JSON object"),
    ('{\n"vectors": ', 2, "not valid JSON"),
    (None, None, "is missing, and says what vectors the points"),
    (config(vectors=[]), None, "`vectors` is not an object"),
    (config(vectors={"text": 3}), None, "vectors['text'] is not an object"),
    (config(vectors={"te\0xt": {}}), None, "a name cannot hold the character NUL"),
    (config(sparse_vectors={"te\0xt": None}), None, "a name cannot hold the character NUL"),
    (params(distance="cosine"), None, "`distance` is none of Cosine, Euclid"),
    (params(distance=["Dot"]), None, "`distance` is none of"),
    (params(size=0), None, "`size` is not"),
    (params(datatype="int8"), None, "`datatype` is none of float32, float16, uint8"),
    (params(size="3"), None, "`size` is not"),
    (params(size=True), None, "`size` is not"),
    (params(datatype=7), None, "`datatype` is none of"),
    (params(multivector_config={"comparator": "min"}), None, "max_sim"),
    (params(hnsw_config={"m": "many"}), None, "vectors.text.hnsw_config"),
    (config(vectors={"size": 3}), None, "vectors['']: `distance`"),
    (config(sparse_vectors={"words": 1}), None, "sparse_vectors['words']"),
    (config(sparse_vectors={"text": {}}), None, "'text' stands under"),
    (config(payload_schema=[]), None, "`payload_schema` is not an object"),
    (config(payload_schema={"f": 1}), None, "payload_schema['f'] is not an object"),
    (config(payload_schema={"f": {"data_type": "words"}}), None, "`data_type` is none of"),
    (config(payload_schema={"f": "words"}), None, "`data_type` is none of"),
    (config(payload_schema={"f": {"data_type": "bool", "params": 1}}), None, "`params` is not"),
    (config(metadata=nested(100)), None, "is nested more than 100 deep"),
    (config(hnsw_config=1), None, "`hnsw_config` is not an object"),
    (config(metadata=[]), None, "`metadata` is not an object"),
    (config(shard_number=0), None, "`shard_number` is not a whole number"),
    (config(on_disk_payload=1), None, "`on_disk_payload` is not true or false"),
    (config(sharding_method="by key"), None, "`sharding_method` is neither auto nor custom"),
    (config(shard_keys=[{"shard_key": "a"}]), None, "`sharding_method` is not custom"),
    (keyed({"shard_key": "a"}, whole=1), None, "`shard_keys` is not a list"),
    (keyed("a"), None, "shard_keys[0] has no `shard_key` that is text or an unsigned"),
    (keyed({"shard_key": 1}, {"shard_key": True}), None, "shard_keys[1] has no `shard_key`"),
    (keyed({"shard_key": -1}), None, "shard_keys[0] has no `shard_key`"),
    (keyed({"shard_key": "a"}, {"shard_key": "a"}), None, "the shard key 'a' stands twice"),
    (keyed({"shard_key": "a", "shards_number": 0}), None, "`shards_number` is not a whole number"),
]

CASES = [
    *(("namespace.json", *case) for case in NAMESPACES),
    *LINES,
    *(("taxonomies.jsonl", *case) for case in TAXONOMIES),
    *(("qdrant.json", *case) for case in CONFIGS),
    *(
        # On the second line, below a point that is good.
        (
            "points.jsonl",
            f"{json.dumps(point(id=99))}\n{case if isinstance(case, str) else json.dumps(case)}",
            2,
            words,
        )
        for case, words in POINTS
    ),
    (
        "points.jsonl",
        [point(id=UUID), point(id=1), point(id=UUID.replace("-", "").upper())],
        3,
        f"`id` {UUID} stands on line 1 already",
    ),
    ("points.jsonl", [point(id=5), point(id=5)], 2, "`id` 5 stands on line 1 already"),
]


@pytest.mark.parametrize(
    ("file", "content", "line", "words"),
    CASES,
    ids=[f"{number}-{case[0]}-{case[3][:30]}" for number, case in enumerate(CASES)],
)
def test_a_mistake_is_named_and_leaves_nothing(
    stores: Stores, tmp_path: Path, file: str, content: Any, line: int | None, words: str
) -> None:
    written = {"objects.jsonl": None} if file == "buckets.jsonl" else {}
    error = refused(stores, write_bundle(tmp_path, sample() | written | {file: content}))
    assert (error.details["file"], error.details["line"]) == (file, line)
    assert words in error.details["reason"]
    assert "\n" not in error.message


KEYED = keyed({"shard_key": "a"}, {"shard_key": 1}, {"shard_key": "1"})


@pytest.mark.parametrize(
    ("points", "line", "words"),
    [
        ([point()], 1, "`shard_key` is missing, and `sharding_method` in qdrant.json is custom"),
        ([point(shard_key="b")], 1, '`shard_key` "b" is not among `shard_keys` in qdrant.json'),
        ([point(shard_key=True)], 1, "`shard_key` true is not among"),
        ([point(shard_key=None)], 1, "`shard_key` null is not among"),
        ([point(shard_key=[])], 1, "`shard_key` [] is not among"),
        (
            [point(shard_key=key) for key in ("a", 1, "1", 1)],
            4,
            "`id` 1 in shard key 1 stands on line 2 already",
        ),
    ],
)
def test_a_point_has_one_of_the_shard_keys_and_each_key_an_id_once(
    stores: Stores, tmp_path: Path, points: list[Any], line: int, words: str
) -> None:
    folder = write_bundle(tmp_path, sample() | {"qdrant.json": KEYED, "points.jsonl": points})
    error = refused(stores, folder)
    assert (error.details["file"], error.details["line"]) == ("points.jsonl", line)
    assert words in error.details["reason"]


def test_shard_keys_need_a_qdrant_that_keeps_them(stores: Stores, tmp_path: Path) -> None:
    points = [point(shard_key=key) for key in ("a", 1, "1")]
    folder = write_bundle(tmp_path, sample() | {"qdrant.json": KEYED, "points.jsonl": points})
    assert refused(stores, folder).message == (
        "qdrant.json: has shard keys, which only a Qdrant server with `cluster.enabled: true` "
        "keeps; set QDRANT_URL to one."
    )


def test_points_beside_no_configuration_are_refused_and_none_are_not(
    stores: Stores, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path, sample() | {"qdrant.json": None})
    assert refused(stores, folder).details["file"] == "qdrant.json"
