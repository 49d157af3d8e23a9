"""Puts back what was cleared when a backup was made, so that a restored namespace works again.

The ledger keeps each cleared value with the path at which it stood (`clones.parked`). It is put
back into the backup's document before that is rewritten, so that references in it are rewritten,
checked and reported like all others. A list's items were dropped one by one, so they are put back
in the order in which they were found: then each index is right when its turn comes.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection

from .. import secrets
from ..catalog import namespaces as catalog
from ..catalog.namespace import Namespace
from ..errors import Conflict, InvalidRequest
from ..ledger import clones as ledger
from ..references import ACTS, LEFT_BEHIND, PLACED, WAS_SET, Reference
from ..request import CloneRequest
from ..words import Option

Parked = dict[str, Any]

_GOES_ON = re.compile(r"[.\[]")
_INDEX = re.compile(r"\[(\d+)\]")
_NOT_KEPT = "was set, but what it was is not kept"
_OWN = "belongs to one namespace alone, and is not put back"
_MOVED = "has no place any more, or holds something else now"
_BEFORE = "had been cleared already in what was backed up, itself a clone"


@dataclass
class Reinstated:
    """What becomes of `parked`, the values that were cleared when the backup was made: those in
    `put_back` stand where they stood; a person sets those in `by_hand`, each with the reason in
    `why`. `before` is what had been cleared when the backup's source was made, `counted` how many
    of each there were in the backup when it was proven."""

    parked: list[Parked] = field(default_factory=list)
    before: list[Parked] = field(default_factory=list)
    put_back: list[Parked] = field(default_factory=list)
    by_hand: list[Parked] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def document(
        self, kind: str, source_id: str, version: int, document: dict[str, Any]
    ) -> dict[str, Any]:
        """The backup's document with what was cleared in it. The one given stays as it is."""
        entries = of_document(self.parked, kind, source_id, version)
        result, standing = restore_document(document, entries)
        self.put_back += standing
        stands = {id(entry) for entry in standing}
        for entry in entries:
            if id(entry) not in stands:
                self._leave(entry, _MOVED)
        for entry in of_document(self.before, kind, source_id, version):
            if not _is_settled(result, entry):
                self._leave(entry, _BEFORE)
        return result

    def finish(self, references: Iterable[Reference], kinds: Sequence[str]) -> None:
        """Tells of what is left: of resources of those kinds that are gone, and of what rewriting
        has just cleared because somebody had set it in the backup."""
        told = {_place(entry) for entry in (*self.put_back, *self.by_hand)}
        for entry in self.parked:
            if entry["resource"] in kinds and _place(entry) not in told:
                self._leave(entry, _MOVED)
        for one in references:
            entry = asdict(one)
            acts = one.outcome == "cleared" and one.reason == ACTS
            if acts and _place(entry) not in told:
                self._leave(entry, _OWN)

    def _leave(self, entry: Parked, why: str) -> None:
        if entry["parked"] == WAS_SET:
            why = _NOT_KEPT
        elif _is_placed(entry):
            why = _OWN
        if all(_place(entry) != _place(one) for one in self.by_hand):
            self.by_hand.append({**entry, "why": why})


def check_restorable(
    connection: Connection, request: CloneRequest, source: Namespace, organization_id: str
) -> None:
    """Raises InvalidRequest where the source is no backup, or where what it refers to belongs to
    another organization than the one it would be restored in."""
    if not request.preserve_resource_ids:
        raise InvalidRequest(
            Option("restore"),
            " keeps all ids; set ",
            Option("preserve_resource_ids", "true"),
            " with it.",
        )
    if source.clone_id is None:
        raise InvalidRequest(
            f"{source.name!r} was not made by clone-pipeline; clone it, without restore."
        )
    backup = ledger.get(connection, source.clone_id)
    if not backup.request["preserve_resource_ids"]:
        raise InvalidRequest(
            f"{source.name!r} is no backup: it was made with new ids, which are not those of its "
            "source; clone it, without restore."
        )
    origin = backup.plan["source"]["organization_id"]
    if origin != organization_id:
        raise InvalidRequest(
            f"{source.name!r} is a backup from the organization {origin}, and what is put back "
            f"refers to things there; restore it into {origin}, or clone it, without restore."
        )


class BackedUp(NamedTuple):
    """The namespace that a backup was made of; `internal_id` is its organization's, by which that
    is known again from another environment."""

    namespace_id: str
    name: str
    internal_id: str


def restored_from(connection: Connection, backup: Namespace) -> BackedUp:
    plan = ledger.get(connection, str(backup.clone_id)).plan
    made_of = plan["source"]
    whose = plan["ids"]["organization"][0]
    return BackedUp(made_of["namespace_id"], made_of["namespace_name"], whose)


def read_parked(connection: Connection, source: Namespace) -> Reinstated:
    """What was cleared when the backup was made, nothing of it put back yet."""
    backup = ledger.get(connection, str(source.clone_id))
    rows = list(catalog.read_records(connection, source.key, "taxonomy"))
    versions = {row["taxonomy_id"]: row["version"] for row in rows}
    # Older ledgers do not tell versions of a taxonomy apart: it is clear only where there is one.
    several = Counter(row["taxonomy_id"] for row in rows)
    only = {name: versions[name] for name, count in several.items() if count == 1}
    parked = [
        {"version": only.get(entry["resource_id"]), **entry}
        if entry["resource"] == "taxonomy"
        else entry
        for entry in backup.parked
    ]
    counted = (backup.response or {}).get("cloned_resources", {})
    return Reinstated(parked, backup.plan["cleared_before"], counted=counted)


def cleared_before(
    connection: Connection, request: CloneRequest, source: Namespace
) -> list[Parked]:
    """What a clone that keeps all ids cannot know from its source, because it was cleared there:
    for whoever restores the clone one day."""
    if source.clone_id is None or not request.preserve_resource_ids or request.restore:
        return []  # of a restore, `by_hand` says it
    made = ledger.get(connection, source.clone_id)
    if not made.request["preserve_resource_ids"]:
        return []  # its references are to other ids
    before = [*made.plan.get("cleared_before", []), *made.plan.get("by_hand", [])]
    crossed = made.plan["source"]["organization_id"] != source.organization_id
    # Older ledgers kept what was cleared across organizations: whoever reads this may not know it.
    now = [{**entry, "parked": WAS_SET, "old": ""} if crossed else entry for entry in made.parked]
    places = {_place(entry): secrets.without(entry) for entry in (*before, *now)}
    return list(places.values())


def secrets_to_set(references: Iterable[Reference]) -> list[Parked]:
    """The secrets that were left in the source's organization, each with the reason."""
    left = [asdict(one) for one in references if one.reason == LEFT_BEHIND]
    return [{**entry, "why": _NOT_KEPT} for entry in left]


def restore_document(
    document: dict[str, Any], entries: Sequence[Parked]
) -> tuple[dict[str, Any], list[Parked]]:
    """One document with what was cleared in it put back, and the entries that stand there now."""
    result = copy.deepcopy(document)
    standing: list[Parked] = []
    places: set[str] = set()
    # By list and item: how many of them are put back, or were there again.
    known: Counter[tuple[int, str]] = Counter()
    for entry in entries:
        if entry["parked"] == WAS_SET or _is_placed(entry):
            continue
        if entry["removed"] in places:  # two references in one removed value
            standing.append(entry)
        elif _put_back(result, entry, known):
            places.add(entry["removed"])
            standing.append(entry)
    return result, standing


def of_document(
    entries: Sequence[Parked], kind: str, source_id: str = "", version: int = 0
) -> list[Parked]:
    """The entries of one resource."""
    return [
        entry
        for entry in entries
        if entry["resource"] == kind
        and (kind == "namespace" or entry["resource_id"] == source_id)
        and entry.get("version", 0) == version
    ]


def _put_back(document: dict[str, Any], entry: Parked, known: Counter[tuple[int, str]]) -> bool:
    """Whether the value stands at its path now: in the place of nothing, between the items of a
    list, or under a key that was dropped with it. An item that the list has again, beyond those
    that are `known`, is not put there twice."""
    found = _locate(document, entry["removed"], entry["old"])
    if found is None:
        return False
    (holder, at), value = found, entry["parked"]
    if isinstance(holder, list):
        _put_item_back(holder, int(at), value, known)
        return True
    if holder.get(at) is None or holder[at] is False or holder[at] == entry.get("new"):
        holder[at] = copy.deepcopy(value)
    return _text(holder[at]) == _text(value)


def _put_item_back(items: list[Any], at: int, value: Any, known: Counter[tuple[int, str]]) -> None:
    text = _text(value)
    if sum(_text(item) == text for item in items) == known[id(items), text]:
        items.insert(at, copy.deepcopy(value))
    known[id(items), text] += 1


def _locate(document: dict[str, Any], path: str, dropped: str = "") -> tuple[Any, Any] | None:
    """The object and key, or the list and index, that a path leads to; None where it leads
    nowhere."""
    node: Any = document
    rest = path
    while True:
        at: Any
        if isinstance(node, dict):
            at, rest = _next_key(node, rest, dropped)
            if at is None:
                return None
        else:
            index = _INDEX.match(rest)
            if not isinstance(node, list) or index is None:
                return None
            at, rest = int(index[1]), rest[index.end() :].removeprefix(".")
        if not rest:
            return node, at
        if isinstance(node, list) and at >= len(node):
            return None
        node = node[at] if isinstance(node, list) else node.get(at)


def _text(value: Any) -> str:
    """Equal for equal JSON alone: in Python 1 is True."""
    return json.dumps(value, sort_keys=True)


def _is_settled(document: dict[str, Any], entry: Parked) -> bool:
    """Whether somebody has set something there. Of a list's items nobody knows."""
    holder, at = _locate(document, entry["removed"]) or (None, None)
    if not isinstance(holder, dict):
        return False
    return bool(holder.get(at)) and holder[at] != entry.get("new")


def _next_key(node: dict[str, Any], path: str, dropped: str) -> tuple[str | None, str]:
    """The key with which the path goes on, and the rest; None where it leads nowhere.

    A key may have dots in it, so it is looked for among those that there are.
    """
    fitting = [key for key in node if path == key or path.startswith((f"{key}.", f"{key}["))]
    if not fitting:
        return (path if path == dropped or not _GOES_ON.search(path) else None), ""
    key = max(fitting, key=len)
    return key, path[len(key) :].removeprefix(".")


def _is_placed(entry: Parked) -> bool:
    """Whether it says where the source's own vectors or plugins are."""
    return entry["resource"] == "namespace" and entry["removed"] in PLACED


def _place(entry: Parked) -> tuple[str, str, int, str]:
    name = "" if entry["resource"] == "namespace" else str(entry["resource_id"])
    return (entry["resource"], name, entry.get("version", 0), entry["removed"])


def sentences(found: Reinstated) -> list[str]:
    """What a person must be told of it."""
    count = len(found.put_back)
    words = "values are" if count > 1 else "value is"
    kinds = Counter("setting" if one["reason"] == ACTS else "reference" for one in found.put_back)
    parts = [f"{many} {kind}{'s' if many > 1 else ''}" for kind, many in kinds.items()]
    told = [
        f"{count} {words} put back that the backup had cleared ({', '.join(parts)}): what acts in "
        "what was backed up, acts here too."
    ]
    return told[: bool(count)] + [by_hand(entry) for entry in found.by_hand]


def check_whole(
    found: Reinstated, source: Namespace, counts: Mapping[str, int], replaces: Namespace | None
) -> list[str]:
    """What to say of a backup of which something is missing, or to which something was added.

    Only numbers are compared, which costs nothing; what was edited in it is restored as it is.
    Raises Conflict where it would take the place of a namespace.
    """
    apart = [
        f"{counts[kind]:,} {kind} and not {count:,}"
        for kind, count in found.counted.items()
        if counts[kind] != count
    ]
    if not apart:
        return []
    sentence = f"The backup {source.name!r} is not what was proven: it has {', '.join(apart)}"
    if replaces is not None:
        raise Conflict(
            f"{sentence}, so it does not take the place of {replaces.name!r}; restore it under a "
            "new name, and look at that first."
        )
    return [f"{sentence}."]


def by_hand(entry: Parked) -> str:
    # An entry has the id of the namespace that was backed up, which is not the one to change.
    named = (
        ""
        if entry["resource"] == "namespace"
        else f" of {entry['resource']} {entry['resource_id']}"
    )
    place = f"{entry['removed']}{named}"
    return f"To be set by hand in the restored namespace: {place}, which {entry['why']}."
