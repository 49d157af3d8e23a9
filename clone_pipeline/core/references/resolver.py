"""What becomes of one id, one payload field name or one piece of text. Knows no documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .model import KINDS, OF_ORGANIZATION, IdMap

PRESERVED = "ids are preserved"
TEMPLATE = "a template, resolved when it runs"
PAYLOAD_FIELD = "names a payload field, which stays as it is"

_NEVER_CLONED = {
    "alert": "alerts are never cloned",
    "cluster": "clusters are never cloned",
    "evaluation": "evaluations are never cloned",
    "evaluation dataset": "evaluation datasets are never cloned",
    "trigger": "triggers are never cloned",
    "weight set": "weight sets are never cloned",
}
_ID_PREFIXES = {"bucket": "bkt_", "collection": "col_", "retriever": "ret_", "taxonomy": "tax_"}

# Documents that are written directly live in a collection of this name; every namespace has it.
_SYSTEM_COLLECTION = "_direct_upsert"

_TOKEN = re.compile(r"[A-Za-z0-9_]+")
_TAXONOMY_FIELD = re.compile(r"(?<![^.\-+])_taxonomy_")
_PATH_IN_TEXT = re.compile(r"[\w.\-]*_taxonomy_[\w.\-]*")
_PAYLOAD_PATH = re.compile(r"[-+]?[\w\-\[\]*]+(?:\.[\w\-\[\]*]+)*")
_FEATURE_URI = re.compile(r"([A-Za-z0-9][\w.+-]*)://([^/{}]+)(/[^{}]*)?")
_SECRET = re.compile(r"\{\{[^{}]*?\bsecrets?\.([A-Za-z0-9_.-]+)", re.IGNORECASE)


class Verdict(NamedTuple):
    """`left out`: its switch is off; `unknown`: the source has none; `outside`: never cloned."""

    state: Literal["rewritten", "kept", "left out", "unknown", "outside"]
    kind: str
    new: str
    reason: str


class FieldName(NamedTuple):
    """A payload field name, rewritten, with the taxonomies that it spells: (old, new or None)."""

    name: str
    taxonomies: tuple[tuple[str, str | None], ...]


class Resolver:
    """Decisions by one id map."""

    def __init__(self, ids: IdMap) -> None:
        self.map = ids
        self.same_organization = ids.organization[0] == ids.organization[1]
        self._names = {kind: frozenset(names) for kind, names in ids.names.items()}
        self._left_out = {kind: frozenset(left) for kind, left in ids.left_out.items()}
        self._taxonomies = _longest_first(
            {*ids.ids.get("taxonomy", {}), *ids.ids.get("taxonomy", {}).values()}
            | self._left_out.get("taxonomy", frozenset())
        )
        self._known = self._known_ids()
        odd = [re.escape(old) for old in _longest_first(self._known) if not _TOKEN.fullmatch(old)]
        pattern = rf"(?<![A-Za-z0-9_])(?:{'|'.join(odd)})(?![A-Za-z0-9_])"
        self._odd = re.compile(pattern) if odd else None

    def _known_ids(self) -> dict[str, str]:
        """Id of the source -> its kind. Of what is left out, names are told from ids by prefix."""
        known: dict[str, str] = {}
        for kind in KINDS:
            known.update(dict.fromkeys(self.map.ids.get(kind, {}), kind))
            left_out = self._left_out.get(kind, ())
            prefix = _ID_PREFIXES[kind]
            known.update({old: kind for old in left_out if old.startswith(prefix)})
        return known | dict.fromkeys(self.map.own_namespaces, "namespace")

    def is_cloned(self, kind: str) -> bool:
        """Does the clone have resources of this kind at all?"""
        return bool(self.map.ids.get(kind))

    def decide(self, target: str, value: str) -> Verdict:
        """What becomes of an id, or of a name that stands for one, of that kind."""
        if target in _NEVER_CLONED:
            return Verdict("outside", target, value, _NEVER_CLONED[target])
        if target in OF_ORGANIZATION:
            return self.decide_organization(target, value)
        kinds = target.split(" or ")
        for kind in kinds:
            new = self.map.ids.get(kind, {}).get(value)
            if new is not None:
                return self._cloned(kind, value, new)
        for kind in kinds:
            if value in self._names.get(kind, ()):
                return Verdict("kept", kind, value, "a name, which the clone has too")
        for kind in kinds:
            if value in self._left_out.get(kind, ()):
                return Verdict("left out", kind, value, f"{plural(kind)} are not part of the clone")
        if "collection" in kinds and value == _SYSTEM_COLLECTION:
            return Verdict("kept", "collection", value, "every namespace has this collection")
        return Verdict("unknown", target, value, f"the source namespace has no such {target}")

    def decide_organization(self, target: str, value: str) -> Verdict:
        """What becomes of something that belongs to the organization, not to a namespace."""
        if self.same_organization:
            return Verdict("kept", target, value, "belongs to the organization")
        return Verdict("outside", target, value, "belongs to the source's organization")

    def decide_any(self, value: str) -> Verdict | None:
        """What becomes of a constant: an id of any kind, or None where it is just data."""
        kind = self._known.get(value)
        if kind == "namespace":
            return self.decide_namespace(value)
        return None if kind is None else self.decide(kind, value)

    def decide_namespace(self, value: str) -> Verdict:
        if value in self.map.own_namespaces:
            return self._cloned("namespace", value, self.map.namespace[1])
        return Verdict("kept", "namespace", value, "names another namespace on purpose")

    def _cloned(self, kind: str, old: str, new: str) -> Verdict:
        if new == old:
            return Verdict("kept", kind, old, PRESERVED)
        return Verdict("rewritten", kind, new, "")

    def field_name(self, name: str) -> FieldName:
        """`_taxonomy_<id>_...` wherever a segment of the dotted path begins with it."""
        if "_taxonomy_" not in name:
            return FieldName(name, ())
        parts: list[str] = []
        found: list[tuple[str, str | None]] = []
        at = 0
        for match in _TAXONOMY_FIELD.finditer(name):
            old = self._taxonomy_at(name, match.end())
            if old is None:
                continue
            new = self.map.ids.get("taxonomy", {}).get(old)
            found.append((old, new))
            parts += [name[at : match.end()], old if new is None else new]
            at = match.end() + len(old)
        return FieldName("".join([*parts, name[at:]]), tuple(found))

    def _taxonomy_at(self, name: str, start: int) -> str | None:
        """The longest known taxonomy id there, so that tax_a does not stand for tax_a_b."""
        for old in self._taxonomies:
            if name.startswith(old, start) and name.startswith("_", start + len(old)):
                return old
        return None

    def id_path(self, value: str) -> tuple[str, list[str]]:
        """Ids joined by `/`, each known one swapped; and the ones that were."""
        buckets, collections = self.map.ids.get("bucket", {}), self.map.ids.get("collection", {})
        swapped, found = [], []
        for segment in value.split("/"):
            new = buckets.get(segment) or collections.get(segment)
            swapped.append(segment if new is None else new)
            if new is not None:
                found.append(segment)
        return "/".join(swapped), found

    def feature_uri(self, value: str) -> tuple[str, str, str] | None:
        """`namespace://collection/feature` as its three parts; None for every other text."""
        match = _FEATURE_URI.fullmatch(value)
        if match is None or match[1] not in ("namespace", *self.map.own_namespaces):
            return None
        return match[1], match[2], match[3] or ""

    def mentions(self, text: str) -> Iterator[tuple[str, str]]:
        """(kind, id) of every known id that stands literally in a text, each once."""
        found = [token for token in _TOKEN.findall(text) if token in self._known]
        if self._odd is not None:
            found += self._odd.findall(text)
        for path in _PATH_IN_TEXT.findall(text):
            found += [old for old, _ in self.field_name(path).taxonomies]
        for old in dict.fromkeys(found):
            yield self._known.get(old, "taxonomy"), old


def secrets_in(text: str) -> list[str]:
    """Names of the organization secrets that a template asks for, in order, each once."""
    return list(dict.fromkeys(_SECRET.findall(text)))


def is_payload_path(text: str) -> bool:
    return _PAYLOAD_PATH.fullmatch(text) is not None


def plural(kind: str) -> str:
    return "taxonomies" if kind == "taxonomy" else f"{kind}s"


def _longest_first(values: set[str] | dict[str, str]) -> list[str]:
    return sorted(values, key=lambda value: (-len(value), value))
