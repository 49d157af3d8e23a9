"""Ids of the source at places that no row names: found without the table, and told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.references import IdMap, Places, Rewriter, folded
from clone_pipeline.core.references.model import UNLISTED, UNLISTED_DATA
from clone_pipeline.core.references.unlisted import LISTED
from clone_pipeline.core.vectors.encoded import EncodedPoint
from clone_pipeline.core.vectors.point import Point

from .examples import IDS, KINDS, OTHER_ORGANIZATION, id_map, in_stage
from .test_properties import id_maps, payloads

CLONED = Rewriter(id_map())
EVERY_ID = [old for kind in KINDS for old in IDS[kind]] + ["ns_src"]
FREE_FORM = {
    "join_collection_id": "col_1",
    "lookups": ["col_2", {"deep": {"retriever": "ret_1"}}],
    "headers": {"X-Namespace": "ns_src"},
    "env": {"BUCKET": "bkt_1"},
    "plugin": "plugins://ns_src/rank@v1",
    "url": "https://host/v1/retrievers/ret_2/execute",
    "by_taxonomy": {"tax_1": 0.5},
}


def unlisted(
    kind: str, document: dict[str, Any], rewriter: Rewriter = CLONED
) -> list[tuple[str, str]]:
    """What is told of the clone's document."""
    result, _ = rewriter.rewrite(kind, document)
    found = rewriter.unlisted(kind, result)
    assert {one.outcome for one in found} <= {"unlisted"}
    return [(folded(one.path, one.old), one.old) for one in found]


def test_what_stands_at_no_rows_place_is_named_by_its_path() -> None:
    place = "stages[].config.parameters"
    assert unlisted("retriever", in_stage(FREE_FORM)) == [
        (f"{place}.join_collection_id", "col_1"),
        (f"{place}.lookups[]", "col_2"),
        (f"{place}.lookups[].deep.retriever", "ret_1"),
        (f"{place}.headers.X-Namespace", "ns_src"),
        (f"{place}.env.BUCKET", "bkt_1"),
        (f"{place}.plugin", "ns_src"),
        (f"{place}.url", "ret_2"),
        (f"{place}.by_taxonomy{{}}", "tax_1"),
    ]


@pytest.mark.parametrize("kind", ["namespace", "bucket", "collection", "retriever", "taxonomy"])
def test_it_is_found_in_every_type_of_resource(kind: str) -> None:
    found = unlisted(kind, {"new_field": [{"of": "col_1"}], "ret_1": 1, "other": "bkt_1/col_2"})
    assert found == [
        ("new_field[].of", "col_1"),
        ("{}", "ret_1"),
        ("other", "bkt_1"),
        ("other", "col_2"),
    ]


def test_what_the_table_places_there_is_no_news() -> None:
    documents: dict[str, dict[str, Any]] = {
        "namespace": {
            "source_namespace_id": "ns_src",
            "infrastructure": {"qdrant_collection": "ns_src"},
        },
        "collection": {
            "collection_name": "col_1",
            "source": {"bucket_ids": ["bkt_1"], "source_namespace_id": "ns_other"},
            "disabled_reason": {"source_collection_id": "col_1"},
            "description": "of col_1",
            "logo": "s3://files/ns_src/col_1",
        },
        "retriever": in_stage(
            {
                "collection_id": "col_1",
                "query": "select a/col_1/b from x",
                "filters": {"AND": [{"field": "note", "value": "col_1"}]},
            }
        ),
        "taxonomy": {"nodes": [{"node_id": "col_1"}]},
    }
    for kind, document in documents.items():
        assert unlisted(kind, document) == []


def test_ids_that_are_preserved_are_not_left() -> None:
    rewriter = Rewriter(id_map(preserve=True))
    value = in_stage({"join": "col_1", "headers": {"X-Namespace": "ns_src"}})
    assert unlisted("retriever", value, rewriter) == [
        ("stages[].config.parameters.headers.X-Namespace", "ns_src")
    ]


def test_ids_of_what_is_left_out_point_at_the_source_too() -> None:
    rewriter = Rewriter(id_map(without=("retriever",)))
    document = {"trigger_id": None, "hook": {"retriever": "ret_1", "name": "search"}}
    assert unlisted("collection", document, rewriter) == [("hook.retriever", "ret_1")]


def test_only_what_may_be_a_reference_is_refused() -> None:
    result, _ = CLONED.rewrite("bucket", {"metadata": {"of": "col_1"}, "hook": "col_1"})
    found = {one.path: one for one in CLONED.unlisted("bucket", result)}
    assert (found["hook"].reason, found["hook"].dangles) == (UNLISTED, True)
    assert (found["metadata.of"].reason, found["metadata.of"].dangles) == (UNLISTED_DATA, False)


def test_the_organization_is_looked_for_in_another_one() -> None:
    abroad = Rewriter(id_map(organization=OTHER_ORGANIZATION))
    assert list(abroad.unlisted_places("payload", {"owner": "int_1"})) == ["owner"]
    assert list(CLONED.unlisted_places("payload", {"owner": "int_1"})) == []


def test_a_record_is_looked_through_for_whole_ids() -> None:
    record = {
        "seen_in": ["col_1", "col_N1", "col_12"],
        "col_1": {"x": "tax_1"},
        "way": "bkt_1/col_1",
        "note": "about col_1",
        "url": "s3://files/ns_src/col_1",
        "key_prefix": "ns_src/f.mp4",
        "document_id": "col_1",
    }
    assert list(CLONED.unlisted_places("payload", record)) == ["seen_in[]", "{}", "col_1.x", "way"]


LONG_PATH = "/".join(["bkt_1", *["col_1"] * 40])
PIECES = st.sampled_from(
    [*EVERY_ID, "col_N1", "col_11", "bkt_1/col_1", "x/col_1", LONG_PATH, 'a"\x05col_1', "ä"]
)
RECORDS = st.dictionaries(
    PIECES | st.text(max_size=3),
    st.recursive(
        PIECES | st.text(max_size=5) | st.integers(-5, 5) | st.none() | st.floats(0, 1),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(PIECES | st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@given(RECORDS)
@settings(max_examples=300, deadline=None)
@pytest.mark.outside
def test_nothing_is_overlooked_before_a_record_is_decoded(record: dict[str, Any]) -> None:
    ids = CLONED.source_ids
    point = EncodedPoint.of(Point(7, {"v": [1.0]}, record))
    where = ids.in_encoded(point.encoded, point.payload_end)
    text = json.dumps(record)
    if list(ids.in_record(record)):
        assert where == "whole"
        assert ids.in_text(text)
        assert ids.in_text(json.dumps(record, ensure_ascii=False))
        escaped = "".join(f"\\u{ord(one):04x}" if one == "o" else one for one in text)
        assert ids.in_text(escaped)


@given(payloads(), id_maps())
@settings(max_examples=200, deadline=None)
@pytest.mark.outside
def test_where_nothing_stands_no_row_finds_anything(payload: dict[str, Any], map: IdMap) -> None:
    """So that the proof may look at the encoding alone."""
    rewriter = Rewriter(map)
    assert rewriter.source_ids.complete
    point = EncodedPoint.of(Point(7, {"v": [1.0]}, payload))
    if rewriter.source_ids.in_encoded(point.encoded, point.payload_end) == "nowhere":
        assert rewriter.source_ids_left("payload", payload) == []


@given(RECORDS)
@settings(max_examples=100, deadline=None)
def test_where_an_id_was_rewritten_nothing_is_found(record: dict[str, Any]) -> None:
    payload = {"collection_id": "col_1", "_internal": {"lineage": {"path": "bkt_1/col_1"}}}
    rewritten, _ = CLONED.rewrite_payload(payload | {"data": record})
    alone, _ = CLONED.rewrite_payload({"data": record})
    assert list(CLONED.unlisted_places("payload", rewritten)) == list(
        CLONED.unlisted_places("payload", alone)
    )


def test_a_word_is_not_looked_for_and_the_others_are_not_relied_on() -> None:
    ids = Rewriter(id_map(namespace=("production", "ns_new"))).source_ids
    assert "production" not in ids.left
    assert not ids.complete
    assert CLONED.source_ids.complete


def test_the_places_are_bounded_and_the_most_come_first() -> None:
    places = Places()
    for number in range(5000):
        places.add("payload", f"of.{number}")
    places.add("payload", "seen_in", 7)
    both = Places()
    both.merge(places)
    both.merge(places)
    told = both.to_json()
    assert told["count"] == 2 * 5007
    assert told["places"][0] == {"resource": "payload", "path": "(other places)", "count": 8014}
    assert len(told["places"]) == LISTED
    assert (both.of("payload"), both.of("object")) == (10014, 0)
