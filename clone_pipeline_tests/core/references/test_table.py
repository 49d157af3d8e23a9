"""One test for every row of a configuration: what it says is what happens at its place."""

from __future__ import annotations

from typing import Any

import pytest

from clone_pipeline.core.references import TABLE, Reference, Rewriter, Row
from clone_pipeline.core.references.model import ITSELF, NOTHING, OF_ORGANIZATION

from .examples import (
    IDS,
    NAMES,
    OTHER_ORGANIZATION,
    UNKNOWN,
    at,
    build,
    id_map,
    is_record,
    kind_of,
    outcomes,
    rows,
    run,
)

CLONED = id_map()
ABROAD = id_map(organization=OTHER_ORGANIZATION)
FIELD = "_internal._taxonomy_tax_1_label"
FIELD_CLONED = "_internal._taxonomy_tax_N1_label"


def first_kind(row: Row) -> str:
    return row.target.split(" or ")[0]


CLONABLE = [
    param for param in rows("id", "key", records=False) if first_kind(param.values[0]) in IDS
]


@pytest.mark.parametrize("row", CLONABLE)
def test_an_id_of_the_source_becomes_the_clones(row: Row) -> None:
    (old, new), _ = IDS[first_kind(row)].items()
    document = build(row, old)
    result, references = run(CLONED, row, document)
    assert at(result, row) == new
    (found,) = references
    assert (found.old, found.new, found.outcome) == (old, new, "rewritten")
    assert Rewriter(CLONED).source_ids_left(kind_of(row), document) == [(found.path, old)]


@pytest.mark.parametrize("row", CLONABLE)
def test_an_id_stays_and_is_told_where_ids_are_preserved(row: Row) -> None:
    old = next(iter(IDS[first_kind(row)]))
    document = build(row, old)
    result, references = run(id_map(preserve=True), row, document)
    assert result == document
    assert [(found.outcome, found.reason) for found in references] == [
        ("kept", "ids are preserved")
    ]


@pytest.mark.parametrize("row", CLONABLE)
def test_a_name_of_a_cloned_resource_works_as_it_is(row: Row) -> None:
    (name,) = NAMES[first_kind(row)]
    document = build(row, name)
    result, references = run(CLONED, row, document)
    assert result == document
    assert outcomes(references) == ["kept"]


def check_cleared(row: Row, document: dict[str, Any], result: Any, found: Reference) -> None:
    """The right thing is gone, nothing else, and it can be put back."""
    assert found.outcome == "cleared"
    assert found.new is None
    gone = row.path if row.clears == ITSELF else row.clears
    if gone.endswith("[]"):
        assert at(result, row, gone[:-2]) == []
    elif gone.endswith("{}"):
        assert at(result, row, gone[:-2]) == {}
    else:
        assert at(result, row, gone) is None
    if not gone.endswith("{}"):
        assert found.parked == at(document, row, gone)


@pytest.mark.parametrize("row", CLONABLE)
@pytest.mark.parametrize("how", ["left out", "its name left out", "unknown"])
def test_what_is_outside_the_clone_is_cleared_as_the_row_says(row: Row, how: str) -> None:
    kind = first_kind(row)
    ids = CLONED if how == "unknown" else id_map(without=tuple(row.target.split(" or ")))
    (name,) = NAMES[kind]
    old = {"left out": next(iter(IDS[kind])), "its name left out": name}.get(how, UNKNOWN[kind])
    document = build(row, old)
    result, references = run(ids, row, document)
    (found,) = references
    assert found.old == old
    assert found.reason
    required = row.clears == NOTHING or row.required_unless is not None
    if required or (row.last_stays and how == "unknown"):
        assert (found.outcome, result) == ("unresolved", document)
    else:
        check_cleared(row, document, result, found)


@pytest.mark.parametrize("row", [param for param in CLONABLE if param.values[0].required_unless])
def test_a_value_that_one_variant_requires_is_cleared_in_the_other(row: Row) -> None:
    assert row.required_unless is not None
    document = build(row, UNKNOWN[row.target], beside=dict([row.required_unless]))
    result, (found,) = run(CLONED, row, document)
    check_cleared(row, document, result, found)


@pytest.mark.parametrize("row", [param for param in CLONABLE if param.values[0].scope_of])
def test_a_scope_is_not_taken_from_a_retriever(row: Row) -> None:
    document = build(row, UNKNOWN[row.target], beside={row.scope_of[0]: "ret_1"})
    result, references = run(CLONED, row, document)
    assert sorted(outcomes(references)) == ["rewritten", "unresolved"]
    assert at(result, row) == UNKNOWN[row.target]
    # Where the type is left out, the retriever has nothing of it to read either.
    document = build(row, next(iter(IDS[row.target])), beside={row.scope_of[0]: "ret_1"})
    result, references = run(id_map(without=(row.target,)), row, document)
    assert sorted(outcomes(references)) == ["cleared", "rewritten"]
    assert at(result, row) is None


NEVER_CLONED = [
    param
    for param in rows("id", records=False)
    if first_kind(param.values[0]) not in (*IDS, *OF_ORGANIZATION)
]


@pytest.mark.parametrize("row", NEVER_CLONED)
def test_a_type_that_is_never_cloned_is_cleared(row: Row) -> None:
    document = build(row, "some_id")
    result, (found,) = run(CLONED, row, document)
    check_cleared(row, document, result, found)
    assert found.reason.endswith("never cloned")


def owned(row: Row) -> Any:
    """Something of the organization at a row's place."""
    return {"store_id": "shared"} if row.path.endswith("authorization") else "shared"


ORGANIZATIONS = [
    param for param in rows("id", records=False) if param.values[0].target in OF_ORGANIZATION
]


@pytest.mark.parametrize("row", ORGANIZATIONS)
def test_what_the_organization_owns_is_kept_within_it(row: Row) -> None:
    document = build(row, owned(row))
    result, references = run(CLONED, row, document)
    assert result == document
    assert outcomes(references) == ["kept"]


@pytest.mark.parametrize("row", ORGANIZATIONS)
def test_what_the_organization_owns_does_not_reach_another_one(row: Row) -> None:
    document = build(row, owned(row))
    result, (found,) = run(ABROAD, row, document)
    if row.clears == NOTHING:
        assert (found.outcome, result) == ("unresolved", document)
    else:
        check_cleared(row, document, result, found)


@pytest.mark.parametrize("row", rows("id", records=False))
def test_a_template_is_kept_and_the_id_in_it_is_told(row: Row) -> None:
    document = build(row, "{{ INPUT.x or 'col_1' }}")
    result, references = run(CLONED, row, document)
    assert result == document
    assert outcomes(references)[:2] == ["kept", "mentioned"]
    assert references[1].old == "col_1"


@pytest.mark.parametrize("row", rows("own id"))
def test_the_resources_own_id_is_set(row: Row) -> None:
    old = "ns_src" if row.target == "namespace" else next(iter(IDS[row.target]))
    new = "ns_new" if row.target == "namespace" else IDS[row.target][old]
    result, references = run(CLONED, row, {row.path: old})
    assert result == {row.path: new}
    assert references == []
    assert Rewriter(CLONED).source_ids_left(row.resource, {row.path: old}) == [(row.path, old)]


@pytest.mark.parametrize("row", rows("namespace"))
def test_the_sources_namespace_becomes_the_clones_and_another_stays(row: Row) -> None:
    result, (found,) = run(CLONED, row, build(row, "ns_src"))
    assert (at(result, row), found.outcome) == ("ns_new", "rewritten")
    result, (found,) = run(CLONED, row, build(row, "ns_other"))
    assert (at(result, row), found.outcome) == ("ns_other", "kept")


@pytest.mark.parametrize("row", rows("organization"))
def test_the_organization_beside_a_resource_becomes_the_clones(row: Row) -> None:
    result, (found,) = run(ABROAD, row, build(row, "int_1"))
    assert (at(result, row), found.outcome) == ("int_2", "rewritten")
    assert run(CLONED, row, build(row, "int_1"))[1] == []


@pytest.mark.parametrize("row", rows("field name", records=False))
def test_a_field_name_that_spells_a_taxonomy_follows_it(row: Row) -> None:
    document = build(row, FIELD)
    result, (*_, found) = run(CLONED, row, document)
    assert at(result, row) == FIELD_CLONED
    assert (found.target, found.old, found.new) == ("taxonomy", "tax_1", "tax_N1")
    result, (*_, found) = run(id_map(without=("taxonomy",)), row, document)
    assert (result, found.outcome) == (document, "kept")
    assert run(CLONED, row, build(row, "title"))[0] == build(row, "title")


@pytest.mark.parametrize("row", rows("field names"))
def test_field_names_are_found_at_any_depth(row: Row) -> None:
    document = build(row, [{"by": [FIELD], FIELD: "x", "text": "of tax_1"}])
    result, references = run(CLONED, row, document)
    assert at(result, row) == [{"by": [FIELD_CLONED], FIELD_CLONED: "x", "text": "of tax_1"}]
    assert outcomes(references) == ["rewritten", "rewritten"]


@pytest.mark.parametrize("row", rows("constant"))
def test_a_constant_is_rewritten_where_it_is_an_id_and_else_is_data(row: Row) -> None:
    result, (found,) = run(CLONED, row, build(row, "col_1"))
    assert (at(result, row), found.outcome) == ("col_N1", "rewritten")
    document = build(row, ["colour", "col_x", 7, {"title": "articles"}])
    assert run(CLONED, row, document) == (document, [])
    document = build(row, "col_1")
    result, (found,) = run(id_map(without=("collection",)), row, document)
    assert (result, found.outcome) == (document, "unresolved")


CONDITION = {"field": "_internal.lineage.root_bucket_id", "operator": "eq", "value": "bkt_1"}


@pytest.mark.parametrize("row", rows("filters"))
def test_a_filter_value_is_rewritten_by_its_field(row: Row) -> None:
    document = build(row, {"AND": [CONDITION, {"field": "note", "value": "bkt_1"}]})
    result, references = run(CLONED, row, document)
    ours, users = at(result, row)["AND"]
    assert (ours["value"], users["value"]) == ("bkt_N1", "bkt_1")
    assert outcomes(references) == ["rewritten", "mentioned"]


@pytest.mark.parametrize("row", rows("stages"))
def test_a_stage_list_is_walked_wherever_one_stands(row: Row) -> None:
    stage = {"stage_name": "s", "config": {"parameters": {"taxonomy_id": "tax_1"}}}
    result, (found,) = run(CLONED, row, build(row, [stage]))
    assert at(result, row)[0]["config"]["parameters"] == {"taxonomy_id": "tax_N1"}
    assert found.path.endswith("[0].config.parameters.taxonomy_id")


@pytest.mark.parametrize("row", rows("inputs"))
def test_only_a_document_references_own_values_are_references(row: Row) -> None:
    value = {"collection_id": "col_1", "document_id": "doc_1"}
    schema = {"type": "document_reference", "default": value, "enum": ["col_1"]}
    result, references = run(CLONED, row, build(row, schema))
    assert at(result, row)["default"] == {**value, "collection_id": "col_N1"}
    assert at(result, row)["enum"] == ["col_N1"]
    assert outcomes(references) == ["rewritten", "rewritten"]
    document = build(row, {"type": "string", "default": "col_1"})
    result, (found,) = run(CLONED, row, document)
    assert (result, found.outcome) == (document, "mentioned")


@pytest.mark.parametrize("row", rows("text"))
def test_free_text_is_never_changed_and_always_told(row: Row) -> None:
    document = build(row, {"say": ["look in col_1, not in col_1x", "col_x"]})
    result, references = run(CLONED, row, document)
    assert result == document
    (found,) = [found for found in references if found.target != "secret"]
    assert (found.old, found.outcome) == ("col_1", "mentioned")


@pytest.mark.parametrize("row", rows("acts"))
@pytest.mark.parametrize("value", ["https://x/?key=1", {"cron": "* * * * *"}, True])
def test_what_acts_never_comes_over_live(row: Row, value: Any) -> None:
    result, (found,) = run(CLONED, row, build(row, value))
    assert at(result, row) is False if value is True else at(result, row) == row.resets
    assert (found.outcome, found.new) == ("cleared", row.resets)
    assert found.parked == ("was set" if row.secret else value)
    assert not row.secret or "key=1" not in repr(found)
    for off in (None, False, "", row.resets):
        assert run(CLONED, row, build(row, off)) == (build(row, off), [])


@pytest.mark.parametrize("row", rows("ends with own id"))
def test_a_name_made_of_the_own_id_is_made_anew(row: Row) -> None:
    result, (found,) = run(CLONED, row, {"collection_id": "col_2", row.path: "col_col_2"})
    assert result == {"collection_id": "col_N2", row.path: "col_col_N2"}
    assert found.outcome == "rewritten"
    for other in ("shared-index", "col_col_1"):
        result, (found,) = run(CLONED, row, {"collection_id": "col_2", row.path: other})
        assert (result[row.path], found.outcome, found.parked) == (None, "cleared", other)


@pytest.mark.parametrize("row", rows("verbatim"))
def test_what_is_not_ours_is_never_touched(row: Row) -> None:
    text = "s3://files/ns_src/col_1/_taxonomy_tax_1_label"
    for leaf in ("col_1", "ns_src", text, {"collection_id": "col_1", "tax_1": ["bkt_1"]}):
        document = build(row, leaf)
        result, references = run(ABROAD, row, document)
        assert result == document
        assert references == []


def test_every_row_is_tested_here_or_among_the_records() -> None:
    tested = {
        *("own id", "id", "key", "namespace", "organization", "field name", "field names"),
        *("constant", "filters", "stages", "inputs", "text", "acts", "ends with own id"),
        *("verbatim", "id path", "typed id", "set", "node", "signed url"),
        *("location",),
    }
    assert {row.shape for row in TABLE} == tested
    assert len({(row.resource, row.path) for row in TABLE}) == len(TABLE)
    for row in TABLE:
        if row.shape == "id" and is_record(row):
            assert row.target in {*IDS, "namespace", "organization"}
