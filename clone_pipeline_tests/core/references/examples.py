"""Documents made from the table: for every row one that has a reference at its place."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from clone_pipeline.core.objects.location import FileMap
from clone_pipeline.core.references import TABLE, IdMap, Reference, Rewriter, Row
from clone_pipeline.core.references.table import RECORDS

IDS = {
    "bucket": {"bkt_1": "bkt_N1", "bkt_2": "bkt_N2"},
    "collection": {"col_1": "col_N1", "col_2": "col_N2"},
    "retriever": {"ret_1": "ret_N1", "ret_2": "ret_N2"},
    "taxonomy": {"tax_1": "tax_N1", "tax_1_b": "tax_N2"},
}
NAMES = {
    "bucket": {"footage"},
    "collection": {"articles"},
    "retriever": {"search"},
    "taxonomy": {"topics"},
}
NAMESPACE = ("ns_src", "ns_new")
ORGANIZATION = ("int_1", "int_1")
OTHER_ORGANIZATION = ("int_1", "int_2")
KINDS = tuple(IDS)

# A key that is neither dropped nor rewritten where an object's keys are ids.
SLOT = "footage"

UNKNOWN = {"bucket": "bkt_x", "collection": "col_x", "retriever": "ret_x", "taxonomy": "tax_x"}


def id_map(
    *,
    without: tuple[str, ...] = (),
    organization: tuple[str, str] = ORGANIZATION,
    namespace: tuple[str, str] = NAMESPACE,
    preserve: bool = False,
    files: FileMap | None = None,
) -> IdMap:
    """The map of a clone of everything, or of everything but some kinds."""
    kinds = [kind for kind in KINDS if kind not in without]
    ids = {
        kind: {old: old if preserve else new for old, new in IDS[kind].items()} for kind in kinds
    }
    return IdMap(
        namespace=namespace,
        organization=organization,
        ids=ids,
        names={kind: NAMES[kind] for kind in kinds},
        left_out={kind: {*IDS[kind], *NAMES[kind]} for kind in without},
        files=files,
    )


def identity() -> IdMap:
    return id_map(preserve=True, namespace=("ns_src", "ns_src"))


def inverse(ids: IdMap) -> IdMap:
    return IdMap(
        namespace=ids.namespace[::-1],
        organization=ids.organization[::-1],
        ids={kind: {new: old for old, new in mapping.items()} for kind, mapping in ids.ids.items()},
        names=ids.names,
        left_out=ids.left_out,
    )


def build(row: Row, leaf: Any, beside: Mapping[str, Any] | None = None) -> Any:
    """A document of the row's resource with `leaf` at its place (as the key, for `{}`)."""
    value = leaf
    steps = [step for step in row.steps if step != "**"]
    for index, step in reversed(list(enumerate(steps))):
        last = index == len(steps) - 1
        if step == "[]":
            value = [value]
        elif step == "{}":
            value = {leaf: {"type": "string"}}
        else:
            extra = dict(beside or {}) if last else {}
            value = {**extra, (SLOT if step == "*" else step): value}
    return in_stage(value) if row.resource == "stage" else value


def in_stage(parameters: Any) -> dict[str, Any]:
    config = {"stage_id": "any", "parameters": parameters}
    return {"retriever_id": "ret_own", "stages": [{"stage_name": "s", "config": config}]}


def at(document: Any, row: Row, path: str | None = None) -> Any:
    """What stands at the row's place, or at a path around it; KeyError or IndexError if nothing."""
    value = document
    if row.resource == "stage":
        value = document["stages"][0]["config"]["parameters"]
    for step in Row(path or row.path, "").steps:
        if step == "[]":
            value = value[0]
        elif step == "{}":
            (value,) = value
        elif step != "**":
            value = value[SLOT if step == "*" else step]
    return value


def kind_of(row: Row) -> str:
    """Which document `Rewriter.rewrite` is given."""
    return "retriever" if row.resource == "stage" else row.resource


def is_record(row: Row) -> bool:
    return row.resource in RECORDS


def rows(*shapes: str, records: bool | None = None) -> list[Any]:
    return [
        pytest.param(row, id=f"{row.resource}:{row.path}")
        for row in TABLE
        if row.shape in shapes and records in (None, is_record(row))
    ]


def run(ids: IdMap, row: Row, document: dict[str, Any]) -> tuple[dict[str, Any], list[Reference]]:
    """Rewrites, and checks what always holds: the input is untouched, no id of the source left."""
    before = copy.deepcopy(document)
    rewriter = Rewriter(ids)
    if row.resource == "object":
        result, in_it = rewriter.rewrite_object(document)
    elif row.resource == "payload":
        result, in_it = rewriter.rewrite_payload(document)
    else:
        result, references = rewriter.rewrite(kind_of(row), document)
    assert document == before
    assert rewriter.source_ids_left(kind_of(row), result) == []
    if not is_record(row):
        return result, references
    found = [
        Reference(row.resource, "", path, row.target, "", None, outcome, "")  # type: ignore[arg-type]
        for path, outcome in in_it.counts.elements()
    ]
    return result, found


def outcomes(references: list[Reference]) -> list[str]:
    return [reference.outcome for reference in references]
