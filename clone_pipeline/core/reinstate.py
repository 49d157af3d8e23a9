"""Puts back what was cleared when a backup was made, so that a restored namespace works again.

The ledger keeps each cleared value with the path at which it stood (`clones.parked`). A list's
items were dropped one by one, so they are put back in the order in which they were found: then
each index is right when its turn comes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from . import ledger
from .catalog.namespaces import Namespace
from .errors import InvalidRequest
from .references import WAS_SET, Reference
from .request import CloneRequest

if TYPE_CHECKING:
    from .plan import PlannedResource

Parked = dict[str, Any]

_GOES_ON = re.compile(r"[.\[]")
_INDEX = re.compile(r"\[(\d+)\]")
_SECRET = "is a secret, of which only is known that it was set"  # noqa: S105
_OWN = "two namespaces must not share"
_MOVED = "has no place any more, or holds something else now"


@dataclass
class Reinstated:
    """`put_back` are the parked values that stand where they stood; `by_hand` the others, each with
    the reason in `why`."""

    resources: list[PlannedResource] = field(default_factory=list)
    put_back: list[Parked] = field(default_factory=list)
    by_hand: list[Parked] = field(default_factory=list)


def check_restorable(
    connection: Connection, request: CloneRequest, source: Namespace, organization_id: str
) -> None:
    """Raises InvalidRequest where the source is no backup, or where what it refers to belongs to
    another organization than the one it would be restored in."""
    if not request.preserve_resource_ids:
        raise InvalidRequest("`restore` keeps all ids; set preserve_resource_ids: true with it.")
    if source.clone_id is None:
        raise InvalidRequest(
            f"{source.name!r} was not made by clone-pipeline; clone it, without restore."
        )
    backup = ledger.get(connection, source.clone_id)
    if not backup.request["preserve_resource_ids"]:
        raise InvalidRequest(
            f"{source.name!r} is no backup: it was made without preserve_resource_ids, so its ids "
            "are not those of its source; clone it, without restore."
        )
    origin = backup.plan["source"]["organization_id"]
    if origin != organization_id:
        raise InvalidRequest(
            f"{source.name!r} is a backup from the organization {origin}, and what is put back "
            f"refers to things there; restore it into {origin}, or clone it, without restore."
        )


def read_parked(connection: Connection, source: Namespace) -> list[Parked]:
    """What was cleared when the backup was made; nothing where it is none."""
    return ledger.get(connection, source.clone_id).parked if source.clone_id else []


def reinstate(
    resources: Sequence[PlannedResource], references: Sequence[Reference], parked: Sequence[Parked]
) -> Reinstated:
    """The resources as they are to be restored: with what rewriting the backup itself has just
    cleared (`references`), because somebody set it there, and with what was parked when it was
    made."""
    own = [asdict(one) for one in references if one.parked is not None]
    found = Reinstated(list(resources))
    for entries in (own, parked):
        _put_all_back(found, entries)
    return found


def _put_all_back(found: Reinstated, entries: Sequence[Parked]) -> None:
    documents = {_identity(one): copy.deepcopy(one.document) for one in found.resources}
    seen = {_place(entry) for entry in found.by_hand}
    for entry in entries:
        place = _place(entry)
        document = documents.get(place[:3])
        if document is None or place in seen:
            continue  # of a type that is not asked for; or two references in one removed value
        seen.add(place)
        if entry["parked"] == WAS_SET:
            found.by_hand.append(entry | {"why": _SECRET})
        elif entry["resource"] == "namespace":
            # Where its vectors and plugins are: the restored one has its own.
            found.by_hand.append(entry | {"why": _OWN})
        elif put_back(document, entry["removed"], entry["parked"], entry["old"]):
            found.put_back.append(entry)
        else:
            found.by_hand.append(entry | {"why": _MOVED})
    found.resources = [replace(one, document=documents[_identity(one)]) for one in found.resources]


def still_cleared(references: Sequence[Reference], found: Reinstated) -> list[Reference]:
    """The references as the restored namespace has them: what stands again was not cleared."""
    again = {_place(entry) for entry in found.put_back}
    return [
        replace(one, outcome="kept", parked=None, removed=None)
        if one.removed is not None and _place(asdict(one)) in again
        else one
        for one in references
    ]


def restore_document(
    document: dict[str, Any],
    entries: Sequence[Parked],
    kind: str,
    source_id: str = "",
    version: int = 0,
) -> None:
    """Puts back, in one document of that identity, what a plan has put back in it."""
    for entry in entries:
        if (entry["resource"], _id_of(entry), entry.get("version", 0)) == (
            kind,
            source_id,
            version,
        ):
            put_back(document, entry["removed"], entry["parked"], entry["old"])


def put_back(document: dict[str, Any], path: str, value: Any, dropped: str = "") -> bool:
    """Whether the value stands at the path now: in the place of nothing, between the items of a
    list, or under a key that was `dropped` with it."""
    node: Any = document
    rest = path
    while True:
        if isinstance(node, dict):
            key, rest = _next_key(node, rest, dropped)
            if key is None:
                return False
            if rest:
                node = node.get(key)
                continue
            if node.get(key) in (None, False):
                node[key] = copy.deepcopy(value)
            return bool(node[key] == value)
        index = _INDEX.match(rest)
        if not isinstance(node, list) or index is None:
            return False
        at, rest = int(index[1]), rest[index.end() :].removeprefix(".")
        if at > len(node) or (rest and at == len(node)):
            return False
        if not rest:
            node.insert(at, copy.deepcopy(value))
            return True
        node = node[at]


def _next_key(node: dict[str, Any], path: str, dropped: str) -> tuple[str | None, str]:
    """The key with which the path goes on, and the rest; None where it leads nowhere.

    A key may have dots in it, so it is looked for among those that there are.
    """
    fitting = [key for key in node if path == key or path.startswith((f"{key}.", f"{key}["))]
    if not fitting:
        return (path if path == dropped or not _GOES_ON.search(path) else None), ""
    key = max(fitting, key=len)
    return key, path[len(key) :].removeprefix(".")


def _place(entry: Parked) -> tuple[str, str, int, str]:
    return (entry["resource"], _id_of(entry), entry.get("version", 0), entry["removed"])


def _identity(resource: PlannedResource) -> tuple[str, str, int]:
    # There is one namespace, whatever it is called by now.
    source_id = "" if resource.kind == "namespace" else resource.source_id
    return resource.kind, source_id, resource.version


def _id_of(entry: Parked) -> str:
    return "" if entry["resource"] == "namespace" else str(entry["resource_id"])


def sentences(found: Reinstated) -> list[str]:
    """What a person must be told of it."""
    count = len(found.put_back)
    words = "values are" if count > 1 else "value is"
    told = [
        f"{count} {words} put back that the backup had cleared: what acts in the backup's source, "
        "acts here too."
    ]
    return told[: bool(count)] + [by_hand(entry) for entry in found.by_hand]


def by_hand(entry: Parked) -> str:
    return (
        f"To be set by hand: {entry['removed']} of {entry['resource']} {entry['resource_id']}, "
        f"which {entry['why']}."
    )
