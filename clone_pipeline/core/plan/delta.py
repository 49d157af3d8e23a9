"""Whether a clone may begin with the points of an earlier one, its base: the lane `delta`.

What a refresh replaces carries the clone's ids already, and so does the last backup of a policy.
Where nobody has touched it since it was proven, the Qdrant server copies it with its index, and
only what the source has changed is written. docs/lanes.md shows the table of what is in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .situation import BaseSeen, Situation


@dataclass(frozen=True)
class Obstacle:
    """`reason` ends "not delta, because"; in it `{base}` is what the base is called."""

    situation: str
    fits: Callable[[Situation, BaseSeen], bool]
    reason: str

    def told(self, base: str) -> str:
        return self.reason.format(base=base)


OBSTACLES = (
    Obstacle(
        "`include_resources.collections` is off", lambda it, _: not it.collections,
        "no points are copied",
    ),
    Obstacle(
        "the clone takes no live generation's place, and is no backup after another one of its "
        "policy",
        lambda _, base: not base.there,
        "there is no live generation whose place the clone takes (`if_exists: replace`), and no "
        "proven backup of its policy",
    ),
    Obstacle(
        "Qdrant is embedded", lambda it, _: it.embedded,
        "it needs a Qdrant server: the embedded Qdrant has no snapshots",
    ),
    Obstacle(
        "the collection has custom sharding", lambda it, _: it.custom_sharding,
        "Qdrant loses the points of shard keys under a new name (qdrant#10135)",
    ),
    Obstacle(
        "`files` is `copy`", lambda it, _: it.copies_files,
        "each generation has files of its own, whose locations stand in its payloads",
    ),
    Obstacle(
        "the base was proven by less than `verify: full`, or written to meanwhile",
        lambda _, base: not base.sealed,
        "{base} was not proven point by point at rest",
    ),
    Obstacle(
        "the base was made of another source, or with other options",
        lambda _, base: not base.as_asked,
        "{base} was made of another source, or with other options",
    ),
    Obstacle(
        "the source's Qdrant collection is configured anew", lambda _, base: not base.configured,
        "the clone gets another Qdrant configuration than {base} has",
    ),
    Obstacle(
        "the base was written to, or its points were deleted", lambda _, base: not base.untouched,
        "{base} was written to or deleted since it was proven, or its server was restarted and "
        "tells of fewer writes",
    ),
    Obstacle(
        "the clone's server is older than 1.13", lambda _, base: base.outdated,
        "a Qdrant server before 1.13 cannot stream a shard's snapshot",
    ),
    Obstacle(
        "the clone's Qdrant cluster has several nodes", lambda _, base: base.several_nodes,
        "snapshots of several nodes are not of one moment",
    ),
    Obstacle(
        "shards of the base are being moved, split or repaired", lambda _, base: base.unsettled,
        "not all shards of {base} are active and in their place",
    ),
    Obstacle(
        "payloads of the backup before that would change cannot be counted",
        lambda _, base: base.payloads_to_change is None,
        "the server does not count which payloads of {base} name its namespace",
    ),
    Obstacle(
        "payloads of the backup before name its namespace",
        lambda _, base: bool(base.payloads_to_change),
        "payloads of {base} name its namespace, where each backup names its own",
    ),
)  # fmt: skip


def obstacle(it: Situation, base: BaseSeen) -> Obstacle | None:
    """The first that is in the way; None: the lane `delta` can be taken."""
    return next((one for one in OBSTACLES if one.fits(it, base)), None)
