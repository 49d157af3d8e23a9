"""How deep a JSON document may be nested: one bound for all that is loaded, read and sent.

An object or a list in another one is one level deeper; a document itself is level 1.
"""

from __future__ import annotations

from typing import Any

# Below what every later step can do. The walk along the table of references takes three calls a
# level, of Python's thousand. Qdrant 1.18 takes payloads of up to 124 levels, and does not start
# again when one of 124 stands in its log. As deep as MongoDB lets a document be, so it refuses
# nothing that the platform can have stored.
MAX_DEPTH = 100


def is_too_deep(value: Any) -> bool:
    """Whether objects and lists stand in each other more than MAX_DEPTH deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def may_be_too_deep(text: bytes) -> bool:
    """What a glance at the JSON says: for most documents it is not."""
    return text.count(b"{") + text.count(b"[") > MAX_DEPTH
