"""What a step has to say for itself. Metadata, summaries and terminal tables are views of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# How many resources a report lists by name; the ledger has them all.
LISTED = 100

STEPS = (
    "plan_clone",
    "clone_config",
    "clone_buckets",
    "clone_collections",
    "copy_points",
    "clone_retrievers",
    "clone_taxonomies",
    "verify_clone",
    "publish_clone",
)


# What a clone is counted in: the fields of `ClonedResourceSummary`.
SUMMARY = ("collections", "retrievers", "taxonomies", "buckets", "objects", "points")


@dataclass(frozen=True)
class StepReport:
    """One step of one clone.

    `counts` are what stands in the target because of this step (`created` in sum), by the names of
    `ClonedResourceSummary`. `resumed` says that the step had been done before and was not repeated.
    """

    clone_id: str
    step: str
    status: Literal["done", "skipped"] = "done"
    counts: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    bytes: int = 0
    seconds: float = 0.0
    resources: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False

    @property
    def created(self) -> int:
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StepReport:
        return cls(**values)
