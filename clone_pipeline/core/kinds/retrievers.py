"""Retrievers: search pipelines, whose stages refer to everything else."""

from __future__ import annotations

from .base import LIST, NUMBER, OBJECT, TEXT, IdForm, ResourceKind

RETRIEVER = ResourceKind(
    name="retriever",
    plural="retrievers",
    id_form=IdForm("ret_", 14),
    about="Clone the retrievers, with every reference in their stages.",
    after="collections",
    switch="retrievers",
    fields={LIST: ("stages", "tags"), OBJECT: ("input_schema", "display_config")},
    inside={
        OBJECT: (
            "stages[]",
            "stages[].config",
            "input_schema.*",
            "budget_limits",
        ),
        TEXT: ("tags[]",),
        NUMBER: ("version",),
    },
)
