"""The resource types that a clone is made of: one module each, one contract.

A new resource type is a module here, its rows in the reference table, an op, and a catalog table.
"""

from .base import ResourceKind
from .buckets import BUCKET
from .collections import COLLECTION
from .retrievers import RETRIEVER
from .taxonomies import TAXONOMY

KINDS: tuple[ResourceKind, ...] = (BUCKET, COLLECTION, RETRIEVER, TAXONOMY)

__all__ = ["BUCKET", "COLLECTION", "KINDS", "RETRIEVER", "TAXONOMY", "ResourceKind"]
