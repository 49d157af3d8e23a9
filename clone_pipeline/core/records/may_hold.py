"""Which objects may hold something to rewrite, by the text of their documents: for Python, and for
PostgreSQL. Either may take one for such that holds nothing, and never the other way round."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Text, and_, cast, func, not_, or_

from ..catalog.schema import objects
from ..references import OBJECT_KEYS, SourceIds

_KEYS = tuple(f'"{key}"' for key in sorted(OBJECT_KEYS))
# Most objects have an empty `source_details`.
_NOTHING = (":[]", ": []", ":null", ": null")
# A letter of a key, or its underscore, may be escaped; nobody does, so that is no reason to look.
_ESCAPES = (r"\u005", r"\u006", r"\u007")
_HOLDS = re.compile(
    f"(?:{'|'.join(_KEYS)})(?!{'|'.join(map(re.escape, _NOTHING))})"
    f"|{'|'.join(map(re.escape, _ESCAPES))}"
)


def may_hold(text: str) -> bool:
    """Whether a document may hold something to rewrite: one of the keys stands in its text, with a
    value, or an escape that may spell one. A key in user data only costs that object the slower
    way."""
    return _HOLDS.search(text) is not None


def sql_may_hold() -> ColumnElement[bool]:
    """`may_hold` in PostgreSQL's words; a key that stands there twice may hold something, too.

    Text, not JSON functions: those fail on an escaped NUL, which is valid in a document.
    """
    escaped = (func.strpos(document_text(), escape) > 0 for escape in _ESCAPES)
    return or_(*(_holds(document_text(), key) for key in _KEYS), *escaped)


def _holds(text: ColumnElement[str], key: str) -> ColumnElement[bool]:
    # A document does not end with a key, so without one there is nothing after it.
    after = func.split_part(text, key, 2)
    nothing = or_(*(after.startswith(one) for one in _NOTHING))
    only_once = func.split_part(text, key, 3) == ""
    return and_(after != "", not_(and_(nothing, only_once)))


def sql_may_hold_or_name(looked_for: SourceIds | None) -> ColumnElement[bool]:
    """The same, or names one of the ids. `looked_for`: None looks for none."""
    if looked_for is None:
        return sql_may_hold()
    # As `SourceIds.in_text`, coarser: what is read is looked at again.
    beginnings = [*(f'"{one}' for one in looked_for.beginnings), "\\u00"]
    return or_(sql_may_hold(), *(func.strpos(document_text(), one) > 0 for one in beginnings))


def document_text() -> ColumnElement[str]:
    return cast(objects.c.document, Text)
