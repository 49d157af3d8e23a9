"""One test for every row of a record: what it says is what happens at its place."""

from __future__ import annotations

from typing import Any

import pytest

from clone_pipeline.core.objects.location import FileMap
from clone_pipeline.core.references import Rewriter, Row

from .examples import IDS, OTHER_ORGANIZATION, UNKNOWN, at, build, id_map, outcomes, rows, run

CLONED = id_map()
ABROAD = id_map(organization=OTHER_ORGANIZATION)


@pytest.mark.parametrize(
    "row", [param for param in rows("id", records=True) if param.values[0].target in IDS]
)
def test_an_id_in_a_record_is_rewritten_and_any_other_kept(row: Row) -> None:
    (old, new), _ = IDS[row.target].items()
    result, (found,) = run(CLONED, row, build(row, old))
    assert (at(result, row), found.path, found.outcome) == (new, row.path, "rewritten")
    for ids, stays in ((CLONED, UNKNOWN[row.target]), (id_map(without=(row.target,)), old)):
        document = build(row, stays)
        result, (found,) = run(ids, row, document)
        assert (result, found.outcome) == (document, "kept")


@pytest.mark.parametrize("row", rows("typed id"))
def test_an_id_in_a_record_follows_the_type_beside_it(row: Row) -> None:
    for kind in ("bucket", "collection", "taxonomy"):
        (old, new), _ = IDS[kind].items()
        result, (found,) = run(CLONED, row, build(row, old, beside={"type": kind}))
        assert (at(result, row), found.outcome) == (new, "rewritten")
    document = build(row, "col_1", beside={"type": "cluster"})
    result, (found,) = run(CLONED, row, document)
    assert (result, found.outcome) == (document, "kept")


@pytest.mark.parametrize("row", rows("id path"))
def test_each_known_segment_of_a_lineage_path_is_rewritten(row: Row) -> None:
    document = build(row, "bkt_1/col_1/col_x/col_2")
    result, (found,) = run(CLONED, row, document)
    assert (at(result, row), found.outcome) == ("bkt_N1/col_N1/col_x/col_N2", "rewritten")
    left = Rewriter(CLONED).source_ids_left(row.resource, document)
    assert left == [(row.path, old) for old in ("bkt_1", "col_1", "col_2")]
    assert outcomes(run(CLONED, row, build(row, "bkt_x/col_1x"))[1]) == ["kept"]


@pytest.mark.parametrize("row", rows("set"))
def test_the_clones_own_ids_are_set_whatever_stood_there(row: Row) -> None:
    new = {"namespace": "ns_new", "organization": "int_2"}[row.target]
    for old in ("ns_src", "int_1", "stale", None):
        result, (found,) = run(ABROAD, row, build(row, old))
        assert (at(result, row), found.outcome) == (new, "rewritten")
    assert outcomes(run(ABROAD, row, build(row, new))[1]) == ["kept"]
    assert run(ABROAD, row, {"_internal": {}}) == ({"_internal": {}}, [])


@pytest.mark.parametrize("row", rows("field name", records=True))
def test_a_payload_key_that_spells_a_taxonomy_follows_it(row: Row) -> None:
    document = build(row, "_taxonomy_tax_1_score")
    result, (found,) = run(CLONED, row, document)
    assert (at(result, row), found.outcome) == ("_taxonomy_tax_N1_score", "rewritten")
    ((_, old),) = Rewriter(CLONED).source_ids_left(row.resource, document)
    assert old == "tax_1"
    result, (found,) = run(id_map(without=("taxonomy",)), row, document)
    assert (result, found.outcome) == (document, "kept")


@pytest.mark.parametrize("row", rows("node"))
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("col_1", "col_N1"),
        (["col_1", "doc_1"], ["col_N1", "doc_1"]),
        ([{"node_id": "col_1", "label": "col_1"}], [{"node_id": "col_N1", "label": "col_1"}]),
        ("doc_1", "doc_1"),
        (None, None),
    ],
)
def test_the_node_of_a_taxonomy_is_rewritten_where_it_is_a_collection(
    row: Row, old: Any, new: Any
) -> None:
    inside = row.path.removesuffix("*").removesuffix(".")
    for suffix in ("id", "assignments"):
        values = {f"_taxonomy_tax_1_{suffix}": old}
        result, _ = run(CLONED, row, {inside: values} if inside else values)
        assert (result[inside] if inside else result) == {f"_taxonomy_tax_N1_{suffix}": new}


@pytest.mark.parametrize("row", rows("signed url"))
def test_a_signed_url_is_never_persisted(row: Row) -> None:
    document = build(row, "https://signed", beside={"url": "s3://bucket/key"})
    result, (found,) = run(CLONED, row, document)
    assert "https://signed" not in repr(result)
    assert "s3://bucket/key" in repr(result)
    assert found.outcome == "cleared"


@pytest.mark.parametrize("row", rows("location"))
def test_the_location_of_a_file_is_its_copys_where_files_are_copied(row: Row) -> None:
    copied = id_map(files=FileMap("s3://copies/ns_new/clone_1/"))
    old, new = "s3://footage/a.mp4", "s3://copies/ns_new/clone_1/footage/a.mp4"
    result, (found,) = run(copied, row, build(row, old))
    assert (at(result, row), found.path, found.outcome) == (new, row.path, "rewritten")
    assert Rewriter(copied).source_ids_left(row.resource, build(row, old)) == [
        (row.path.replace("[]", "[0]"), old)
    ]
    shared = build(row, old)
    assert run(CLONED, row, shared) == (shared, [])


@pytest.mark.parametrize("row", rows("location"))
@pytest.mark.parametrize(
    ("location", "outcome"),
    [
        ("https://example.org/a.mp4", "elsewhere"),
        ("footage/a.mp4", "without bucket"),
        ("s3://footage", "kept"),
        ("s3://footage/half \ud800", "kept"),
        ("s3://copies/ns_new/clone_1/footage/a.mp4", "kept"),
    ],
)
def test_what_is_no_file_to_be_copied_stays_and_is_counted(
    row: Row, location: str, outcome: str
) -> None:
    document = build(row, location)
    result, found = run(id_map(files=FileMap("s3://copies/ns_new/clone_1/")), row, document)
    assert result == document
    inline = outcome == "without bucket" and row.path.endswith("data")
    assert outcomes(found) == ([] if inline else [outcome])


@pytest.mark.parametrize(
    "row", [param for param in rows("id", records=True) if param.values[0].target not in IDS]
)
def test_a_flat_payloads_own_namespace_and_organization_are_the_clones(row: Row) -> None:
    old, new = {"namespace": ("ns_src", "ns_new"), "organization": ("int_1", "int_2")}[row.target]
    result, (found,) = run(ABROAD, row, build(row, old))
    assert (at(result, row), found.outcome) == (new, "rewritten")
    document = build(row, "another")
    assert run(ABROAD, row, document)[0] == document
