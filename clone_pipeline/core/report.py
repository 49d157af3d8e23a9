"""What a step has to say for itself. Metadata, summaries and terminal tables are views of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .kinds import COLLECTION, KINDS
from .outputs import Output, read_output

# How many resources a report lists by name; the ledger has them all.
LISTED = 100


def _steps() -> Iterator[str]:
    yield from ("plan_clone", "clone_config")
    for kind in KINDS:
        yield kind.step
        if kind is COLLECTION:
            yield "copy_points"
    yield from ("copy_files", "verify_clone", "publish_clone")


STEPS = tuple(_steps())

# What a clone is counted in: the fields of `ClonedResourceSummary`, first what is asked for.
_ASKED_FOR_FIRST = sorted(KINDS, key=lambda kind: kind.switch is None)
SUMMARY = (*(kind.plural for kind in _ASKED_FOR_FIRST), "objects", "points")


@dataclass(frozen=True)
class StepReport:
    """One step of one clone.

    `counts` are what stands in the target because of this step (`created` in sum), by the names of
    `ClonedResourceSummary`. `output` is for later steps, `details` are for people. `resumed` says
    that the step had been done before and was not repeated.
    """

    clone_id: str
    step: str
    status: Literal["done", "skipped"] = "done"
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    seconds: float = 0.0
    resources: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    output: Output | None = None
    details: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False

    @property
    def created(self) -> int:
        return sum(self.counts.values())

    @property
    def shown(self) -> dict[str, Any]:
        """All that a person may want to see beside counts and warnings."""
        return ({} if self.output is None else asdict(self.output)) | self.details

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StepReport:
        output = read_output(values)
        known = {} if output is None else output.__dataclass_fields__
        details = {key: it for key, it in values["details"].items() if key not in known}
        known_fields = cls.__dataclass_fields__  # of an earlier version there may be more
        return cls(
            **{name: it for name, it in values.items() if name in known_fields}
            | {"output": output, "details": details}
        )


def pace(points: int, seconds: float) -> int | float | None:
    """Points a second, from the numbers that are shown; None where there is nothing to divide."""
    if points <= 0 or seconds <= 0:
        return None
    rate = points / seconds
    return round(rate) if rate >= 10 else round(rate, 1)


def size(count: float) -> str:
    """A number of bytes, as every door shows it: `6.0 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            short = count < 10 and unit != "B"
            return f"{count:.1f} {unit}" if short else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
