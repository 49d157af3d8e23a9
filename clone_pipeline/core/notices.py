"""What a person must be told of a plan: its warnings, and what `on_dangling: fail` refuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from .errors import DanglingReferences
from .references import Reference
from .request import CloneRequest

if TYPE_CHECKING:
    from .plan import PlannedResource

# Outcome, the words for one and for several, and what is said of them.
_REFERENCE_WARNINGS = (
    (
        "cleared",
        "configuration reference points outside the clone and is",
        "configuration references point outside the clone and are",
        "{} {} cleared.",
    ),
    (
        "setting",
        "setting acts or belongs to the source alone, and is",
        "settings act or belong to the source alone, and are",
        "{} {} cleared.",
    ),
    (
        "unresolved",
        "reference points outside the clone and keeps",
        "references point outside the clone and keep",
        "{} {} the source's value, because {}.",
    ),
    (
        "mentioned",
        "id of the source stands",
        "ids of the source stand",
        "{} {} in free text, which is never rewritten.",
    ),
)

_WHY_KEPT = "clearing would change what the resource means"

# How many dangling references an error names: people read it as one sentence.
_NAMED = 3


def warnings(
    request: CloneRequest,
    resources: list[PlannedResource],
    references: list[Reference],
    points: int,
) -> list[str]:
    """One sentence each."""
    outcomes = Counter(_warned_of(reference) for reference in references)
    why_kept = "so it was in what was backed up" if request.restore else _WHY_KEPT
    found = [
        text.format(count, one if count == 1 else many, why_kept)
        for outcome, one, many, text in _REFERENCE_WARNINGS
        if (count := outcomes[outcome])
    ]
    if without_vectors := _without_vectors(resources):
        found.append(
            "These collections are cold or archived, so their vectors are not all in Qdrant and "
            f"cannot be proven complete: {', '.join(without_vectors)}."
        )
    if request.preserve_resource_ids and (shared := _sharing_vector_index(resources)):
        found.append(
            "With preserved ids these collections name the same S3 vector index as the source's: "
            f"{', '.join(shared)}."
        )
    if request.include_resources.collections and not points:
        found.append("The source's Qdrant collection holds no points.")
    found.append(
        "The clone refers to the source's S3 files: whoever deletes files with the source deletes "
        "them for the clone."
    )
    return found


def _warned_of(reference: Reference) -> str:
    cleared_setting = reference.outcome == "cleared" and not reference.dangles
    return "setting" if cleared_setting else reference.outcome


def _without_vectors(resources: list[PlannedResource]) -> list[str]:
    return [
        item.name
        for item in resources
        if item.kind == "collection"
        and item.document.get("lifecycle_state") in ("cold", "archived")
    ]


def _sharing_vector_index(resources: list[PlannedResource]) -> list[str]:
    return [
        item.name
        for item in resources
        if item.kind == "collection" and item.document.get("s3_vector_index")
    ]


def refuse_dangling(resources: list[PlannedResource], references: list[Reference]) -> None:
    """For `on_dangling: fail`. Raises DanglingReferences: it names a few, its details list all."""
    dangling = [item for item in references if item.dangles]
    without_vectors = _without_vectors(resources)
    if not dangling and not without_vectors:
        return
    listed = [f"{item.resource} {item.resource_id} {item.path} -> {item.old}" for item in dangling]
    listed += [f"collection {name} is cold or archived" for name in without_vectors]
    named = "; ".join(listed[:_NAMED])
    if len(listed) > _NAMED:
        named += f"; and {len(listed) - _NAMED} more, which the plan with on_dangling: clear lists"
    raise DanglingReferences(
        f"on_dangling: fail, and {len(listed)} reference{'s' if len(listed) > 1 else ''} would not "
        f"resolve in the clone: {named}.",
        references=[asdict(item) for item in dangling],
    )
