"""Retrievers: search pipelines, whose stages refer to everything else."""

from __future__ import annotations

from .base import ResourceKind, clone_small

RETRIEVER = ResourceKind(
    name="retriever",
    plural="retrievers",
    step="clone_retrievers",
    switch="retrievers",
    clone=clone_small,
)
