"""Collections. Their points are copied by a step of their own."""

from __future__ import annotations

from .base import ResourceKind, clone_small

COLLECTION = ResourceKind(
    name="collection",
    plural="collections",
    step="clone_collections",
    switch="collections",
    clone=clone_small,
)
