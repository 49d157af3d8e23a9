"""The catalog's tables: the platform's own metadata, and our ledger beside it.

The platform's services read and write the first group too; `docs/catalog.md` is that contract.

Resources are raw JSON documents. Identity (ids, the version of a taxonomy) and the name stand in
columns **only**; `document` holds every other field as it was written. So a million objects get a
new bucket id in one `INSERT ... SELECT`, without a document being parsed. `assemble` and `split`
in `documents.py` go from one form to the other.

`document` is JSON kept as text (SQLite TEXT, PostgreSQL `json`, never `jsonb`): key order, numbers
and escapes stay as they were written, so digests over the text are exact.
"""

from __future__ import annotations

from .api import api_requests, idempotency_keys, templates
from .columns import UtcTime, metadata
from .ledger import (
    archives,
    clone_attempts,
    clone_digests,
    clone_files,
    clone_resources,
    clone_runs,
    clone_slices,
    clone_steps,
    clones,
    loads,
)
from .platform import (
    api_keys,
    buckets,
    collections,
    namespaces,
    objects,
    organizations,
    retrievers,
    taxonomies,
)

__all__ = [
    "UtcTime",
    "api_keys",
    "api_requests",
    "archives",
    "buckets",
    "clone_attempts",
    "clone_digests",
    "clone_files",
    "clone_resources",
    "clone_runs",
    "clone_slices",
    "clone_steps",
    "clones",
    "collections",
    "idempotency_keys",
    "loads",
    "metadata",
    "namespaces",
    "objects",
    "organizations",
    "retrievers",
    "taxonomies",
    "templates",
]
