"""Ids that are ordinary words: a namespace may be called `production`, `mixpeek` or `s3`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.references import IdMap, Rewriter

from .examples import IDS, id_map, in_stage

WORDS = ("production", "mixpeek", "s3", "https", "default", "us-east-1", "nsfw", "prod_2", "ns")


def word_map(word: str) -> IdMap:
    return id_map(namespace=(word, "ns_new"))


def parameters(word: str, value: Any) -> Any:
    result, _ = Rewriter(word_map(word)).rewrite("retriever", in_stage(value))
    return result["stages"][0]["config"]["parameters"]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_stays_where_no_namespace_has_to_stand(word: str) -> None:
    value = {
        "feature_uri": "mixpeek://text_extractor@v1/e",
        "feature_uris": [{"uri": f"{word}://text_extractor@v1/e"}],
        "parameters": {"env": word, "n": 1},
        "retriever_inputs": {"environment": word, "of": [word]},
        "body": {"stage": word, "deep": {"x": [word]}},
        "input_mappings": [
            {"input_key": "e", "source": {"source_type": "constant", "value": word}}
        ],
        "filters": {"AND": [{"field": "environment", "operator": "eq", "value": word}]},
        "url": f"{word}://files/{word}/x",
        "prompt": f"You work for {word}.",
        "method": word,
        word: word,
    }
    assert parameters(word, value) == value
    _, references = Rewriter(word_map(word)).rewrite("retriever", in_stage(value))
    assert word not in [found.old for found in references]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_rewritten_where_a_namespace_has_to_stand(word: str) -> None:
    rewriter = Rewriter(word_map(word))
    source = {"type": "bucket", "bucket_ids": ["bkt_1"], "source_namespace_id": word}
    result, _ = rewriter.rewrite("collection", {"source": source})
    assert result["source"]["source_namespace_id"] == "ns_new"
    assert rewriter.rewrite("namespace", {"namespace_id": word})[0] == {"namespace_id": "ns_new"}
    payload = {"namespace_id": word, "environment": word, "_internal": {"namespace_id": word}}
    assert rewriter.rewrite_payload(payload)[0] == {
        "namespace_id": "ns_new",
        "environment": word,
        "_internal": {"namespace_id": "ns_new"},
    }
    value = {
        "namespace_id": word,
        "body": {"namespace_id": word, "collection_identifiers": ["col_1"]},
        "filters": {"AND": [{"field": "_internal.namespace_id", "operator": "eq", "value": word}]},
    }
    assert parameters(word, value) == {
        "namespace_id": "ns_new",
        "body": {"namespace_id": "ns_new", "collection_identifiers": ["col_N1"]},
        "filters": {
            "AND": [{"field": "_internal.namespace_id", "operator": "eq", "value": "ns_new"}]
        },
    }


@pytest.mark.parametrize(
    ("word", "old", "new"),
    [
        ("production", "production://col_1/e", "ns_new://col_N1/e"),
        ("production", "production://articles/e", "ns_new://articles/e"),
        ("production", "production://text_extractor@v1/e", "production://text_extractor@v1/e"),
        ("mixpeek", "mixpeek://text_extractor@v1/e", "mixpeek://text_extractor@v1/e"),
        ("mixpeek", "mixpeek://articles/e", "mixpeek://articles/e"),
        ("s3", "s3://articles/key", "s3://articles/key"),
        ("https", "https://articles/key", "https://articles/key"),
        ("s3", "namespace://col_1/e", "namespace://col_N1/e"),
        ("ns_1", "ns_1://col_1/e", "ns_new://col_N1/e"),
    ],
)
def test_a_word_as_scheme_is_a_namespace_only_before_its_own_collections(
    word: str, old: str, new: str
) -> None:
    assert parameters(word, {"feature_uri": old}) == {"feature_uri": new}
    indexes = {"vector_indexes": [{"feature_uri": old}], "index_map": {old: old}}
    result, _ = Rewriter(word_map(word)).rewrite("collection", indexes)
    assert result == {"vector_indexes": [{"feature_uri": new}], "index_map": {new: new}}


def test_other_ids_that_are_words_count_where_their_type_has_to_stand() -> None:
    ids = id_map()
    ids = IdMap(
        namespace=ids.namespace,
        organization=ids.organization,
        ids={**IDS, "bucket": {"images": "bkt_N1"}, "collection": {"video": "col_N1"}},
        names={},
        left_out={},
    )
    value = {
        "collection_id": "video",
        "bucket_ids": ["images"],
        "modality": "video",
        "retriever_inputs": {"kind": "video", "collection_id": "video", "bucket_ids": ["images"]},
    }
    result, _ = Rewriter(ids).rewrite("retriever", in_stage(value))
    assert result["stages"][0]["config"]["parameters"] == {
        "collection_id": "col_N1",
        "bucket_ids": ["bkt_N1"],
        "modality": "video",
        "retriever_inputs": {"kind": "video", "collection_id": "col_N1", "bucket_ids": ["bkt_N1"]},
    }


@given(
    st.sampled_from(WORDS),
    st.recursive(
        st.sampled_from([*WORDS, *(f"{word}://x/y" for word in WORDS), "mixpeek://a@v1/e", 1]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*WORDS, "env", "mode"]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)
@settings(max_examples=100, deadline=None)
def test_no_word_anywhere_else_is_ever_changed(word: str, data: Any) -> None:
    value = {"retriever_inputs": data, "body": data, "headers": data, "mine": data}
    assert parameters(word, value) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        *(("bucket", "bkt"), ("collection", "col"), ("collection", "collar"), ("taxonomy", "tax")),
        *(("taxonomy", "tax_"), ("retriever", "ret"), ("retriever", "return")),
    ],
)
def test_the_prefix_alone_is_a_word(kind: str, word: str) -> None:
    plain = id_map()
    ids = IdMap(
        namespace=plain.namespace,
        organization=plain.organization,
        ids={**plain.ids, kind: {word: "x_new"}},
        names=plain.names,
        left_out={},
    )
    value = {"body": {"about": word, "all": [word]}, f"{kind}_id": word}
    result, _ = Rewriter(ids).rewrite("retriever", in_stage(value))
    new = result["stages"][0]["config"]["parameters"]
    assert new == {**value, f"{kind}_id": "x_new"}


def test_in_a_path_a_bucket_comes_first() -> None:
    plain = id_map()
    ids = IdMap(
        namespace=plain.namespace,
        organization=plain.organization,
        ids={"bucket": {"uploads": "bkt_N"}, "collection": {"uploads": "col_N"}},
        names={},
        left_out={},
    )
    new, _ = Rewriter(ids).rewrite_payload({"lineage_path": "uploads/uploads"})
    assert new == {"lineage_path": "bkt_N/col_N"}
