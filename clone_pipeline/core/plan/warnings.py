"""What a person must be told of a plan: its warnings, and what `on_dangling: fail` refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import secrets
from ..errors import DanglingReferences
from ..references import LEFT_BEHIND, WAS_SET, Reference
from ..request import CloneRequest
from ..words import Option, Part

if TYPE_CHECKING:
    from .planned import PlannedResource

# Outcome, the words for one and for several, and what is said of them.
_REFERENCE_WARNINGS = (
    (
        "cleared",
        "configuration reference points outside the {clone} and is",
        "configuration references point outside the {clone} and are",
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
        "reference points outside the {clone} and still does, unresolved,",
        "references point outside the {clone} and still do, unresolved,",
        "{} {} because {}.",
    ),
    (
        "mentioned",
        "id of the source stands",
        "ids of the source stand",
        "{} {} in free text, which is never rewritten.",
    ),
    (
        "unlisted",
        "id of the source stands where no reference is known, and was",
        "ids of the source stand where no reference is known, and were",
        "{} {} left as they are; the plan lists them as `unlisted`.",
    ),
)

_SHARED_FILES = (
    "The {clone} refers to the {source}'s S3 files: whoever deletes files with the {source} "
    "deletes them for the {clone}, and the platform's own delete of the {clone}, its buckets or "
    "objects may delete them for the {source}."
)

_WHY_KEPT = "clearing would change what the resource means"

# How many dangling references an error names: people read it as one sentence.
_NAMED = 3


def warnings(
    request: CloneRequest,
    resources: list[PlannedResource],
    references: list[Reference],
    counts: Mapping[str, int],
) -> list[str]:
    """One sentence each. `counts` has the source's points and objects."""
    parties = _parties(request)
    found = of_references(references, parties["clone"], restored=request.restore)
    if without_vectors := _without_vectors(resources):
        found.append(
            "These collections are cold or archived, so their vectors are not all in Qdrant and "
            f"cannot be proven complete: {', '.join(without_vectors)}."
        )
    if request.preserve_resource_ids and (shared := _sharing_vector_index(resources)):
        found.append(
            "With preserved ids these collections name the same S3 vector index as the "
            f"{parties['source']}'s: {', '.join(shared)}."
        )
    if request.include_resources.collections and not counts["points"]:
        found.append(f"The {parties['source']}'s Qdrant collection holds no points.")
    if counts["objects"] and request.files == "share":
        found.append(_SHARED_FILES.format(**parties))
    return found


def of_references(references: list[Reference], made: str, *, restored: bool) -> list[str]:
    """What became of references, one sentence for each outcome; `made` is what the namespace that
    has them is called."""
    outcomes = Counter(_warned_of(reference) for reference in references)
    why_kept = "so it was in what was backed up" if restored else _WHY_KEPT
    found = [
        text.format(count, (one if count == 1 else many).format(clone=made), why_kept)
        for outcome, one, many, text in _REFERENCE_WARNINGS
        if (count := outcomes[outcome])
    ]
    if left := [one for one in references if one.reason == LEFT_BEHIND]:
        found.append(_secrets_left(left))
    return found


def _parties(request: CloneRequest) -> dict[str, str]:
    """What the two namespaces are called: of a restore, the source is the backup."""
    if request.restore:
        return {"source": "backup", "clone": "restored namespace"}
    return {"source": "source", "clone": "clone"}


def _secrets_left(left: list[Reference]) -> str:
    words = "secrets do not go" if len(left) > 1 else "secret does not go"
    named = "; ".join(f"{one.resource} {one.resource_id} {one.path}" for one in left[:_NAMED])
    if len(left) > _NAMED:
        named += f"; and {len(left) - _NAMED} more, listed under `by_hand`"
    return (
        f"{len(left)} {words} to another organization or environment, to be set by hand: {named}."
    )


def told(reference: Reference, *, abroad: bool = False) -> dict[str, Any]:
    """A reference for people, without secrets; `abroad` for those of another organization, who are
    told where something was cleared, and not what it was."""
    shown: dict[str, Any] = secrets.without(vars(reference))
    if abroad and reference.outcome == "cleared":
        shown |= {"old": "", "parked": WAS_SET}
    return shown


def _warned_of(reference: Reference) -> str:
    if reference.reason == LEFT_BEHIND:
        return "secret"
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


def refuse_dangling(
    request: CloneRequest, resources: list[PlannedResource], references: list[Reference]
) -> None:
    """For `on_dangling: fail`. Raises DanglingReferences: it names a few, its details list all."""
    dangling = [item for item in references if item.dangles]
    without_vectors = _without_vectors(resources)
    if not dangling and not without_vectors:
        return
    listed = [f"{item.resource} {item.resource_id} {item.path} -> {item.old}" for item in dangling]
    listed += [f"collection {name} is cold or archived" for name in without_vectors]
    named = "; ".join(listed[:_NAMED])
    outcomes = Counter(item.outcome for item in dangling)
    parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    more: tuple[Part, ...] = ()
    if len(listed) > _NAMED:
        more = (
            f"; and {len(listed) - _NAMED} more, which the plan with ",
            Option("on_dangling", "clear"),
            " lists",
        )
    raise DanglingReferences(
        Option("on_dangling", "fail"),
        f", and {len(listed)} reference{'s' if len(listed) > 1 else ''} would not "
        f"resolve in the {_parties(request)['clone']}{parts and f' ({parts})'}: {named}",
        *more,
        ".",
        references=[told(item) for item in dangling],
    )
