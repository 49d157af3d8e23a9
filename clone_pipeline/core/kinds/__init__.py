"""The resource types that a clone is made of: one module each, one table of them.

Here is what the types *are*; what is done with them follows from that. A new one is a module here
with its line in `KINDS`, its rows in the reference table (`references/table.py`), and its table in
the catalog (`catalog/schema/` and a migration). Its op, its step, its place in plans, proofs,
bundles and reports come by themselves.

Only what Mixpeek's own contract spells out is spelled out elsewhere too: the switches of
`include_resources`, the fields of `ClonedResourceSummary`, and the API's routes.
"""

from .base import IdForm, ResourceKind
from .buckets import BUCKET
from .collections import COLLECTION
from .retrievers import RETRIEVER
from .taxonomies import TAXONOMY

# In the order of their steps and files; what others hang on comes first.
KINDS: tuple[ResourceKind, ...] = (BUCKET, COLLECTION, RETRIEVER, TAXONOMY)

__all__ = ["BUCKET", "COLLECTION", "KINDS", "RETRIEVER", "TAXONOMY", "IdForm", "ResourceKind"]
