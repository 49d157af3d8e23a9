"""Taxonomies, every version of them."""

from __future__ import annotations

from .base import LIST, OBJECT, TEXT, TRUTH, IdForm, ResourceKind

TAXONOMY = ResourceKind(
    name="taxonomy",
    plural="taxonomies",
    id_form=IdForm("tax_", 12),
    about="Clone the taxonomies, in all their versions, if asked for.",
    after="retrievers",
    switch="taxonomies",
    versioned=True,
    fields={LIST: ("nodes",), OBJECT: ("config",), TRUTH: ("ready",)},
    inside={
        OBJECT: ("nodes[]",),
        TEXT: ("config.taxonomy_type",),
    },
)
