"""What holds for every document that the table can describe."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core.references import TABLE, IdMap, Rewriter, Row
from clone_pipeline.core.references.model import OF_ORGANIZATION
from clone_pipeline.core.references.table import CONFIGURATION

from .examples import (
    IDS,
    KINDS,
    NAMES,
    OTHER_ORGANIZATION,
    SLOT,
    UNKNOWN,
    build,
    id_map,
    identity,
    in_stage,
    inverse,
    kind_of,
)

FEW = settings(max_examples=80, deadline=None)
CONFIGURATION_KINDS = tuple(kind for kind in CONFIGURATION if kind != "stage")
EVERY_ID = [old for kind in KINDS for old in IDS[kind]] + ["ns_src", "int_1"]
FIELDS = ["_internal._taxonomy_tax_1_label", "_taxonomy_tax_1_b_id", "title", "_taxonomy_tax_x_id"]
LOOK_ALIKES = st.recursive(
    st.sampled_from([*EVERY_ID, *FIELDS, "bkt_1/col_1", "about col_1", None, 1]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*EVERY_ID, *FIELDS, "collection_id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def ids_of(row: Row, cloned_only: bool) -> st.SearchStrategy[str]:
    kind = row.target.split(" or ")[0]
    if kind not in IDS:
        return st.just("some_id")
    others = [] if cloned_only else [UNKNOWN[kind], "{{INPUT.x}}"]
    return st.sampled_from([*IDS[kind], *NAMES[kind], *others])


def leaf(row: Row, cloned_only: bool) -> st.SearchStrategy[Any]:
    """Something that may stand at the row's place."""
    if row.shape in ("id", "key"):
        return ids_of(row, cloned_only)
    if row.shape == "stages":
        return st.lists(parameters(cloned_only), max_size=2)
    if row.shape == "filters":
        fields = ["collection_id", "_internal.lineage.root_bucket_id", "metadata.x", *FIELDS]
        return st.builds(
            lambda field, value: {"AND": [{"field": field, "operator": "eq", "value": value}]},
            st.sampled_from(fields),
            st.sampled_from(EVERY_ID),
        )
    strings = {
        "field name": FIELDS,
        "field names": FIELDS,
        "namespace": ["ns_src", "ns_other"],
        "set": ["ns_src", "int_1"],
        "organization": ["int_1"],
        "id path": ["bkt_1/col_1/col_2", "bkt_x/col_1", "col_11"],
        "ends with own id": ["col_col_1"],
        "signed url": ["https://signed"],
        "node": ["col_1", "doc_1"],
    }
    return st.sampled_from(strings.get(row.shape, EVERY_ID))


def parameters(cloned_only: bool) -> st.SearchStrategy[Any]:
    usable = [row for row in CONFIGURATION["stage"] if is_usable(row, cloned_only)]
    return documents_of(usable, cloned_only).map(lambda stage: stage["stages"][0])


def is_usable(row: Row, cloned_only: bool) -> bool:
    """May the row have a part in a document? In a round trip only if nothing is ever cleared."""
    if not cloned_only:
        return True
    clears = row.shape in ("acts", "signed url", "set")
    never = row.shape == "id" and row.target not in (*KINDS, *OF_ORGANIZATION)
    return not (clears or never)


def merge(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        both = {**one, **other}
        return {k: merge(one[k], other[k]) if k in one and k in other else both[k] for k in both}
    return one + other if isinstance(one, list) and isinstance(other, list) else other


@st.composite
def documents_of(draw: st.DrawFn, rows: list[Row], cloned_only: bool) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for row in draw(st.lists(st.sampled_from(rows), max_size=8)):
        built = build(row, draw(leaf(row, cloned_only)))
        document = merge(document, built)
    return document if document or rows[0].resource != "stage" else in_stage({})


@st.composite
def configurations(draw: st.DrawFn, cloned_only: bool = False) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(CONFIGURATION_KINDS))
    usable = [row for row in CONFIGURATION[kind] if is_usable(row, cloned_only)]
    document = draw(documents_of(usable, cloned_only))
    own = "ns_src" if kind == "namespace" else next(iter(IDS[kind]))
    users = {"metadata": draw(LOOK_ALIKES), "made_by_user": draw(LOOK_ALIKES)}
    return kind, {**document, f"{kind}_id": own, **users}


@st.composite
def payloads(draw: st.DrawFn, cloned_only: bool = False) -> dict[str, Any]:
    rows = [row for row in TABLE if row.resource == "payload" and is_usable(row, cloned_only)]
    document = draw(documents_of(rows, cloned_only))
    return {**document, "metadata": draw(LOOK_ALIKES), "made_by_user": draw(LOOK_ALIKES)}


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    rows = [row for row in TABLE if row.resource == "object"]
    document = draw(documents_of(rows, False))
    blob = {"properties": {"url": "s3://x", "note": draw(LOOK_ALIKES)}}
    return {**document, "blobs": [blob], "metadata": draw(LOOK_ALIKES), SLOT: draw(LOOK_ALIKES)}


@st.composite
def id_maps(draw: st.DrawFn) -> IdMap:
    without = draw(st.sets(st.sampled_from(KINDS[1:])))
    organization = draw(st.sampled_from([("int_1", "int_1"), OTHER_ORGANIZATION]))
    return id_map(without=tuple(without), organization=organization, preserve=draw(st.booleans()))


@given(configurations(cloned_only=True))
@FEW
def test_the_identity_map_changes_nothing(found: tuple[str, dict[str, Any]]) -> None:
    kind, document = found
    result, references = Rewriter(identity()).rewrite(kind, document)
    assert result == document
    assert not [reference for reference in references if reference.outcome == "rewritten"]


@given(configurations(cloned_only=True))
@FEW
def test_preserved_ids_change_nothing_but_the_namespace(found: tuple[str, dict[str, Any]]) -> None:
    kind, document = found
    result, references = Rewriter(id_map(preserve=True)).rewrite(kind, document)
    rewritten = [reference for reference in references if reference.outcome == "rewritten"]
    assert {reference.target for reference in rewritten} <= {"namespace"}
    back, _ = Rewriter(inverse(id_map(preserve=True))).rewrite(kind, result)
    assert back == document


@given(configurations(cloned_only=True))
@FEW
def test_there_and_back_is_where_it_was(found: tuple[str, dict[str, Any]]) -> None:
    kind, document = found
    there, _ = Rewriter(id_map()).rewrite(kind, document)
    back, _ = Rewriter(inverse(id_map())).rewrite(kind, there)
    assert back == document
    assert list(back) == list(document)


@given(configurations(), id_maps())
@FEW
def test_nothing_of_the_source_is_left_and_user_data_stays(
    found: tuple[str, dict[str, Any]], ids: IdMap
) -> None:
    kind, document = found
    before = copy.deepcopy(document)
    rewriter = Rewriter(ids)
    result, references = rewriter.rewrite(kind, document)
    assert document == before
    assert rewriter.source_ids_left(kind, result) == []
    assert result["metadata"] == document["metadata"]
    assert result["made_by_user"] == document["made_by_user"]
    for reference in references:
        assert reference.resource == kind
        assert (reference.outcome == "cleared") == (reference.removed is not None)


@given(payloads(), id_maps())
@FEW
def test_no_payload_keeps_an_id_of_the_source_or_loses_user_data(
    payload: dict[str, Any], ids: IdMap
) -> None:
    before = copy.deepcopy(payload)
    rewriter = Rewriter(ids)
    result, _ = rewriter.rewrite_payload(payload)
    assert payload == before
    assert rewriter.source_ids_left("payload", result) == []
    assert rewriter.rewrite_payload(result)[0] == result
    assert result["metadata"] == payload["metadata"]
    assert result["made_by_user"] == payload["made_by_user"]


@given(payloads(cloned_only=True))
@FEW
def test_a_payload_there_and_back_is_where_it_was(payload: dict[str, Any]) -> None:
    there, _ = Rewriter(id_map()).rewrite_payload(payload)
    back, _ = Rewriter(inverse(id_map())).rewrite_payload(there)
    assert back == payload
    assert Rewriter(identity()).rewrite_payload(payload)[0] == payload


@given(objects(), id_maps())
@FEW
def test_an_object_keeps_its_files_and_user_data(document: dict[str, Any], ids: IdMap) -> None:
    before = copy.deepcopy(document)
    rewriter = Rewriter(ids)
    result, _ = rewriter.rewrite_object(document)
    assert document == before
    assert rewriter.source_ids_left("object", result) == []
    for key in ("blobs", "metadata", SLOT):
        assert result[key] == document[key]


def test_every_kind_has_rows_to_draw_from() -> None:
    assert {kind_of(row) for row in TABLE} == {*CONFIGURATION_KINDS, "object", "payload"}
