"""What the ledger stores as JSON, as types: so that who writes it and who reads it agree.

Rows of earlier versions lack some keys; `read_plan` fills them, and nobody else has to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from ..outputs import Seal, SourceRead
from ..vectors.point import CollectionConfig


class StoredSource(TypedDict):
    """`qdrant_collection` is no alias, but what it stood for when the clone was planned;
    `environment` is what the deployment is called that has it, and `catalog` the identity of its
    catalog."""

    environment: str | None
    catalog: str | None
    organization_id: str
    namespace_id: str
    namespace_name: str
    qdrant_collection: str


class StoredTarget(TypedDict):
    """`replaces_generation`: the live one whose place it takes; None where it takes nobody's.
    `not_in_the_source`: the ids, by kind, of what only that one has."""

    environment: str | None
    organization_id: str
    namespace_id: str
    namespace_name: str
    replaces_generation: int | None
    not_in_the_source: dict[str, list[str]]


class StoredId(TypedDict):
    """One resource of the source, and what it is called in the clone."""

    kind: str
    name: str
    source_id: str
    target_id: str


class StoredSecrets(TypedDict):
    """How many secrets were copied, and how many left behind, to be set by hand."""

    copied: int
    cleared: int


class StoredBase(TypedDict):
    """The clone whose points the lane `delta` begins with, what it is called in a sentence, and the
    last write to them by then. `quiet`: the source as it was read for it, where nobody seems to
    have written to it since; None: somebody has, or it is not known."""

    clone_id: str
    called: str
    qdrant_collection: str
    last_write: str
    quiet: SourceRead | None


def left_alone(plan: StoredPlan) -> SourceRead | None:
    """Of a clone whose points are those that are live, of which none is read or written because
    nobody has written to the source since: the source as it was read for these. Else None."""
    return None if plan["base"] is None else plan["base"]["quiet"]


class StoredPlan(TypedDict):
    """The plan of a clone, without the rewritten documents, which are rows of their own.

    `counts` and `bytes` are of the source; `transport` is empty as long as its points have not been
    looked at. `ids` is what `id_map_from_json` reads, `slices` how many there are; the marks are
    those of `core/refresh/marks.py`, and `source_segments` those of its points (see
    `VectorStore.segments`), all taken before anything was read. `files` is None where they are
    shared, and `base` in every lane but `delta`.
    """

    source: StoredSource
    target: StoredTarget
    include_resources: dict[str, bool]
    counts: dict[str, int]
    bytes: dict[str, int]
    lane: str
    lane_reason: str
    equality: str
    id_map: list[StoredId]
    reference_counts: dict[str, int]
    references: list[dict[str, Any]]
    secrets: StoredSecrets
    unlisted: dict[str, Any]
    put_back: list[dict[str, Any]]
    by_hand: list[dict[str, Any]]
    cleared_before: list[dict[str, Any]]
    ids: dict[str, Any]
    qdrant_config: CollectionConfig
    transport: str
    slices: int
    catalog_mark: str
    source_mark: str
    source_segments: str | None
    files: dict[str, Any] | None
    base: StoredBase | None
    warnings: list[str]


def read_plan(stored: Mapping[str, Any]) -> StoredPlan:
    """A plan as it stands in the ledger, of this version or an earlier one."""
    since = {part: {**_SINCE_IN[part], **stored[part]} for part in _SINCE_IN if stored.get(part)}
    return cast(StoredPlan, {**_SINCE, **stored, **since})


def read_seal(stored: Mapping[str, Any] | None) -> Seal | None:
    """A seal of this version or an earlier one, of which the first gave points one digest that they
    do not have any more."""
    if stored is None:
        return None
    return cast(Seal, {**stored, "points": {"slices": None, **stored["points"]}})


_SINCE_IN: dict[str, dict[str, Any]] = {
    "source": {"environment": None, "catalog": None},
    "target": {"environment": None},
    "base": {"called": "the live generation", "quiet": None},
}
# What plans have had since some version, as it was for those before.
_SINCE: dict[str, Any] = {
    "secrets": {"copied": 0, "cleared": 0},
    "unlisted": {"count": 0, "places": []},
    "put_back": [],
    "by_hand": [],
    "cleared_before": [],
    "transport": "",
    "slices": 1,
    "catalog_mark": "",
    "source_mark": "",
    "source_segments": None,
    "files": None,
    "base": None,
}
