"""Taxonomies, every version of them."""

from __future__ import annotations

from .base import ResourceKind, clone_small

TAXONOMY = ResourceKind(
    name="taxonomy",
    plural="taxonomies",
    step="clone_taxonomies",
    switch="taxonomies",
    clone=clone_small,
)
