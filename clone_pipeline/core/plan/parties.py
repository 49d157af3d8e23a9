"""Who clones what to where."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog.namespace import Namespace


@dataclass(frozen=True)
class Parties:
    """`namespace_id` is set where the clone takes over an id that exists (`if_exists: replace`)."""

    source: Namespace
    organization_id: str
    replaces: Namespace | None
    namespace_id: str | None
    # A clone of that name that has not been published: it is resumed, or it is in the way.
    unfinished: Namespace | None
    # Whether what is replaced is no clone of the source that we made.
    adopts: bool = False
    # Whether the source is in another environment.
    elsewhere: bool = False
    # Whether the caller may take an alias that stands for something else.
    may_take_alias: bool = False
