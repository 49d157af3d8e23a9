"""What a step leaves for the steps after it, and for whoever asks what came of it.

Beside these a report has `details`, which are for people: nobody reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypedDict, TypeVar

T = TypeVar("T", bound="Output")


class HasOutput(Protocol):
    """A `StepReport`, as far as it is needed here."""

    @property
    def step(self) -> str: ...

    @property
    def output(self) -> Output | None: ...


@dataclass(frozen=True)
class Output:
    """The output of the step `STEP`. Its fields are JSON, as the ledger stores them."""

    STEP: ClassVar[str]

    @classmethod
    def of(cls: type[T], report: HasOutput) -> T:
        """The output in a report of this step. Raises TypeError where it has none."""
        if not isinstance(report.output, cls):
            raise TypeError(f"The report of {report.step} has no {cls.__name__}.")
        return report.output

    @classmethod
    def among(cls: type[T], reports: Mapping[str, HasOutput]) -> T:
        """The output of this step among the reports of a clone."""
        return cls.of(reports[cls.STEP])


class Consistency(TypedDict):
    """What became of a source that was written to while it was copied: `quiet` or `moving`, the
    catch-up passes and how many points each found changed, that in words, and the mark of what was
    read last."""

    state: str
    passes: int
    points_changed: list[int]
    outcome: str
    mark: str


class SourceRead(TypedDict):
    """A source whose points were read whole: its mark by then, of which segments it consisted (see
    `VectorStore.segments`), which process the clone's server was, when that was (ISO 8601), and
    by which version of this program."""

    mark: str
    segments: str
    target: str
    read_at: str
    read_by: str


class SealedPoints(TypedDict):
    """`slices` has a digest for each slice; None where the points were counted only."""

    count: int
    slices: list[str] | None


class Seal(TypedDict):
    """Digests of what was published: of the records by kind, of the points, of the collection's
    configuration."""

    records: dict[str, str]
    points: SealedPoints
    qdrant_config: str


@dataclass(frozen=True)
class Planned(Output):
    """The run that planned the clone, and when it began to (ISO 8601)."""

    STEP = "plan_clone"

    begun_at: str
    run_id: str | None


@dataclass(frozen=True)
class CopiedObjects(Output):
    """The digest of the objects as they were read, rewritten."""

    STEP = "clone_buckets"

    objects_digest: dict[str, Any]


@dataclass(frozen=True)
class CopiedPoints(Output):
    """How many points the last run copied, and at which pace (a second); None where points were not
    asked for. `consistency` is None in the native lane, which does not read the source. `changes`
    is None in every lane but `delta`: how many points were `inserted`, `changed`, `deleted` and
    `unchanged` since the generation, or the backup, that it begins with was made."""

    STEP = "copy_points"

    points_in_this_run: int | None
    points_per_second: float | None = None
    consistency: Consistency | None = None
    changes: dict[str, int] | None = None


@dataclass(frozen=True)
class Proof(Output):
    """What was proven (`full`, `sample`, `counts`), how much there is, and its seal. `last_write`
    is that of the clone's points if every one was read, and nobody wrote meanwhile. `unchanged`:
    the clone is, to the last record, what it would replace. `source` is None where it cannot be
    told later on whether the source was written to since."""

    STEP = "verify_clone"

    proven: str
    counted: dict[str, int]
    seal: Seal
    last_write: str | None = None
    unchanged: bool = False
    source: SourceRead | None = None


class StepTaken(TypedDict):
    step: str
    status: str
    created: int
    size: str
    seconds: float


@dataclass(frozen=True)
class Published(Output):
    """The `CloneNamespaceResponse`, and what it took. `environment` is where the clone is.
    `backup_policy` is the policy that the clone is a backup for; `seconds_in_all` are those of the
    last run, of which there were `runs`; `changes` as in `CopiedPoints`; `unchanged`: nothing was
    published, what was live stays and is the clone. `quiet_since`: no point was read for that,
    because nobody had written to the source since then (ISO 8601)."""

    STEP = "publish_clone"

    organization_id: str
    backup_policy: str | None
    response: dict[str, Any]
    seconds_in_all: float
    runs: int
    points_in_this_run: int | None
    points_per_second: float | None
    proven: str
    steps: list[StepTaken]
    environment: str | None = None
    changes: dict[str, int] | None = None
    unchanged: bool = False
    quiet_since: str | None = None

    @property
    def read_at(self) -> datetime | None:
        return datetime.fromisoformat(self.quiet_since) if self.quiet_since else None

    def why_nothing(self) -> str:
        """Why nothing was published, where that is so."""
        if (at := self.read_at) is None:
            return "what was live stays, and was proven anew"
        return (
            "what was live stays; its points were not read again, because nobody had written to "
            f"the source since {at:%Y-%m-%d %H:%M} UTC"
        )


_OUTPUTS: dict[str, type[Output]] = {
    one.STEP: one for one in (Planned, CopiedObjects, CopiedPoints, Proof, Published)
}


def read_output(report: Mapping[str, Any]) -> Output | None:
    """The output in a stored report; those of earlier versions have it among their details."""
    kind = _OUTPUTS.get(report["step"])
    stored = report["output"] if "output" in report else report["details"]
    if kind is None or not stored or report["status"] == "skipped":
        return None
    return kind(**{one.name: stored[one.name] for one in fields(kind) if one.name in stored})
