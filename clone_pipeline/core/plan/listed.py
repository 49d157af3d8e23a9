"""Which references of a plan are told one by one, and in what order: the same at every door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..references import ACTS_AGAIN, PRESERVED

Reference = Mapping[str, Any]

AGAIN = "acts again"
# In this order they are listed: what a person should look at first.
_ORDER = ("cleared", "unresolved", "unlisted", "mentioned", "kept")


@dataclass(frozen=True)
class Listed:
    """`again` is what a restore sets going, and is never cut; `others` may be, being in order;
    `preserved` is how many were kept only because all ids are."""

    again: list[Reference] = field(default_factory=list)
    others: list[Reference] = field(default_factory=list)
    preserved: int = 0

    def first(self, most: int) -> list[Reference]:
        """All that acts again, and of the others as many as there is room for, or all the same."""
        return self.again + self.others[:most]

    def left_out(self, most: int) -> int:
        return max(0, len(self.others) - most)


def listed(references: Iterable[Reference]) -> Listed:
    """Everything but what is simply rewritten."""
    again: list[Reference] = []
    others: dict[str, list[Reference]] = {outcome: [] for outcome in _ORDER}
    preserved = 0
    for one in references:
        if one["reason"] == ACTS_AGAIN:
            again.append(one)
        elif one["reason"] == PRESERVED:
            preserved += 1
        elif one["outcome"] in others:
            others[one["outcome"]].append(one)
    return Listed(again, [one for outcome in _ORDER for one in others[outcome]], preserved)


def outcome(reference: Reference) -> str:
    """What became of it, in a word."""
    return AGAIN if reference["reason"] == ACTS_AGAIN else str(reference["outcome"])


def whose(reference: Reference) -> str:
    """`taxonomy tax_1 version 2`: versions of one resource may hold the same."""
    version = reference.get("version")
    resource = f"{reference['resource']} {reference['resource_id']}"
    return f"{resource} version {version}" if version else resource
