"""References: which places of which documents point at what, and what a clone makes of them."""

from .model import (
    ACTS,
    ACTS_AGAIN,
    COPIED,
    COUNTERPARTS,
    LEFT_BEHIND,
    WAS_SET,
    IdMap,
    Outcome,
    Reference,
    Row,
)
from .record_types import RecordArray, RecordObject
from .records import Found
from .resolver import PRESERVED, is_word
from .rewriter import Rewriter
from .table import PLACED, TABLE
from .table_records import OBJECT_KEYS
from .unlisted import Places, SourceIds, folded

__all__ = [
    "ACTS",
    "ACTS_AGAIN",
    "COPIED",
    "COUNTERPARTS",
    "LEFT_BEHIND",
    "OBJECT_KEYS",
    "PLACED",
    "PRESERVED",
    "TABLE",
    "WAS_SET",
    "Found",
    "IdMap",
    "Outcome",
    "Places",
    "RecordArray",
    "RecordObject",
    "Reference",
    "Rewriter",
    "Row",
    "SourceIds",
    "folded",
    "is_word",
]
