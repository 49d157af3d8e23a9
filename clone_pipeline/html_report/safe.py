"""The last look at what goes on a page: texts without secrets, and without what moves or hides
other text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clone_pipeline.core import secrets
from clone_pipeline.core.text import keepable


def clean(value: Any) -> Any:
    """The same with every text in it made safe."""
    if isinstance(value, Mapping):
        return {key: clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    return safe(value) if isinstance(value, str) else value


def safe(value: str) -> str:
    return "".join(
        one if one.isprintable() or one == " " else one.encode("unicode_escape").decode("ascii")
        for one in secrets.mask(keepable(value))
    )
