"""References: which places of which documents point at what, and what a clone makes of them."""

from .model import WAS_SET, IdMap, Outcome, Reference, Row
from .records import Found, RecordArray, RecordObject
from .rewriter import Rewriter
from .table import TABLE
from .table_records import OBJECT_KEYS

__all__ = [
    "OBJECT_KEYS",
    "TABLE",
    "WAS_SET",
    "Found",
    "IdMap",
    "Outcome",
    "RecordArray",
    "RecordObject",
    "Reference",
    "Rewriter",
    "Row",
]
