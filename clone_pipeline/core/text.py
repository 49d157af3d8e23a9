"""Text that a database can keep: what Python and JSON have besides is told the same everywhere."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")


def fault(text: str) -> str | None:
    """Why a database cannot keep a text, to follow the name of its place; None where it can."""
    if "\0" in text:
        return "holds the character NUL, which a database cannot keep"
    if _HALF.search(text):
        return "holds half a surrogate pair, which is not text"
    return None


def keepable(text: str) -> str:
    """The text, with what cannot be kept spelled out."""
    if fault(text) is None:
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")


def storable(text: str) -> bool:
    """Whether a database can keep the text; what it cannot is looked up in vain."""
    return fault(text) is None
