"""What becomes of one id, one payload field name or one piece of text. Knows no documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from ..kinds import KINDS as RESOURCE_KINDS
from .model import KINDS, OF_ORGANIZATION, IdMap

PRESERVED = "ids are preserved"
TEMPLATE = "a template, resolved when it runs"
OTHER_NAMESPACE = "names another namespace of the source's organization"
COUNTERPART = "is its counterpart in the clone's environment"
PAYLOAD_FIELD = "names a payload field, which stays as it is"

_NEVER_CLONED = {
    "alert": "alerts are never cloned",
    "cluster": "clusters are never cloned",
    "evaluation": "evaluations are never cloned",
    "evaluation dataset": "evaluation datasets are never cloned",
    "trigger": "triggers are never cloned",
    "weight set": "weight sets are never cloned",
}
# Without its type's prefix an id cannot be told from a word: the platform lets people choose the
# ids of some namespaces, and `production` or `s3` mean other things elsewhere.
_PREFIXES = {
    "namespace": "ns",
    **{kind.name: kind.id_form.prefix.rstrip("_") for kind in RESOURCE_KINDS},
}
_PLURALS = {kind.name: kind.plural for kind in RESOURCE_KINDS}
# Schemes that never stand for a namespace, whatever its id is.
_SCHEMES = frozenset(
    {"abfs", "az", "data", "file", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "mixpeek"}
    | {"mongodb", "mysql", "postgres", "postgresql", "ray", "redis", "rtsp", "s3", "s3a", "s3n"}
    | {"sftp", "snowflake", "sqlite", "ssh", "tcp", "urn", "ws", "wss"}
)

# Documents that are written directly live in a collection of this name; every namespace has it.
_SYSTEM_COLLECTION = "_direct_upsert"

_TOKEN = re.compile(r"[A-Za-z0-9_]+")
_TAXONOMY_FIELD = re.compile(r"(?<![^.\-+])_taxonomy_")
_PATH_IN_TEXT = re.compile(r"[\w.\-]*_taxonomy_[\w.\-]*")
_PAYLOAD_PATH = re.compile(r"[-+]?[\w\-\[\]*]+(?:\.[\w\-\[\]*]+)*")
_FEATURE_URI = re.compile(r"([A-Za-z0-9][\w.+-]*)://([^/{}]+)(/[^{}]*)?")
# What a template puts in place of: nothing outside of it is a reference. One that is never closed
# is taken to the end, so that each text is looked through once.
_EXPRESSION = re.compile(r"\{\{.*?(?:\}\}|\Z)", re.DOTALL)
_FIELD_IN_EXPRESSION = re.compile(r"(?<![A-Za-z0-9_])_taxonomy_")
_LISTED = re.compile(r"\s*[^\s,{}]+(?:\s*,\s*[^\s,{}]+)+\s*")
_SEPARATOR = re.compile(r"(\s*,\s*)")
_SECRET = re.compile(r"\bsecrets?(?:\.|\[\s*[\"'])([A-Za-z0-9_.-]+)", re.IGNORECASE)


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
        same = ids.organization[0] == ids.organization[1]
        self.shares_organization = same and not ids.other_environment
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
        """Id of the source -> its kind, wherever it may stand: none that may be a word, and so of
        what is left out no names."""
        known: dict[str, str] = {}
        for kind in KINDS:
            known.update(dict.fromkeys(self.map.ids.get(kind, {}), kind))
            left_out = self._left_out.get(kind, ())
            known.update(dict.fromkeys(left_out, kind))
        known |= dict.fromkeys(self.map.own_namespaces, "namespace")
        return {old: kind for old, kind in known.items() if not is_word(kind, old)}

    def is_cloned(self, kind: str) -> bool:
        """Are resources of this kind part of the clone, if the source has any?"""
        return kind in self.map.ids

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
                reason = f"{_PLURALS[kind]} are not part of the clone"
                return Verdict("left out", kind, value, reason)
        if "collection" in kinds and value == _SYSTEM_COLLECTION:
            return Verdict("kept", "collection", value, "every namespace has this collection")
        return Verdict("unknown", target, value, f"the source namespace has no such {target}")

    def decide_organization(self, target: str, value: str) -> Verdict:
        """What becomes of something that belongs to the organization, not to a namespace."""
        if self.shares_organization:
            return Verdict("kept", target, value, "belongs to the organization")
        if (new := self.counterpart(target, value)) is not None:
            return Verdict("rewritten", target, new, COUNTERPART)
        whose = "environment" if self.map.other_environment else "organization"
        return Verdict("outside", target, value, f"belongs to the source's {whose}")

    def counterpart(self, target: str, value: str) -> str | None:
        """What there is in the place of it in the clone's environment; None for nothing."""
        return self.map.counterparts.get(target, {}).get(value)

    def decide_any(self, value: str) -> Verdict | None:
        """What becomes of a constant: an id of any kind, or None where it is just data."""
        kind = self._known.get(value)
        if kind == "namespace":
            return self.decide_namespace(value)
        return None if kind is None else self.decide(kind, value)

    def decide_namespace(self, value: str) -> Verdict:
        if value in self.map.own_namespaces:
            return self._cloned("namespace", value, self.map.namespace[1])
        if not self.shares_organization:
            return Verdict("outside", "namespace", value, OTHER_NAMESPACE)
        return Verdict("kept", "namespace", value, "names another namespace on purpose")

    def _cloned(self, kind: str, old: str, new: str) -> Verdict:
        if new == old:
            return Verdict("kept", kind, old, PRESERVED)
        return Verdict("rewritten", kind, new, "")

    def field_name(self, name: str) -> FieldName:
        """`_taxonomy_<id>_...` wherever a segment of the dotted path begins with it."""
        if "_taxonomy_" not in name:
            return FieldName(name, ())
        return self._swap_taxonomies(name, _TAXONOMY_FIELD)

    def template(self, text: str) -> FieldName:
        """The same in what a template puts in: inside `{{...}}`, and nowhere else."""
        if "{{" not in text or "_taxonomy_" not in text:
            return FieldName(text, ())
        found: list[tuple[str, str | None]] = []

        def swap(match: re.Match[str]) -> str:
            if not match[0].endswith("}}"):
                return match[0]
            name, taxonomies = self._swap_taxonomies(match[0], _FIELD_IN_EXPRESSION)
            found.extend(taxonomies)
            return name

        return FieldName(_EXPRESSION.sub(swap, text), tuple(found))

    def _swap_taxonomies(self, name: str, beginning: re.Pattern[str]) -> FieldName:
        parts: list[str] = []
        found: list[tuple[str, str | None]] = []
        at = 0
        for match in beginning.finditer(name):
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
        for place, segment in enumerate(value.split("/")):
            kinds = (collections, buckets) if place else (buckets, collections)
            new = kinds[0].get(segment) or kinds[1].get(segment)
            swapped.append(segment if new is None else new)
            if new is not None:
                found.append(segment)
        return "/".join(swapped), found

    def feature_uri(self, value: str) -> tuple[str, str, str] | None:
        """`namespace://collection/feature` as its three parts; None for every other text."""
        match = _FEATURE_URI.fullmatch(value)
        if match is None or not self._is_own_scheme(match[1], match[2]):
            return None
        return match[1], match[2], match[3] or ""

    def is_of_another(self, value: str) -> bool:
        """Whether a text is the URI of something in another namespace, out of reach for the clone
        because that namespace belongs to the source's organization."""
        match = None if self.shares_organization else _FEATURE_URI.fullmatch(value)
        if match is None or match[1] in self.map.own_namespaces:
            return False
        return match[1].startswith("ns_")

    def _is_own_scheme(self, scheme: str, collection: str) -> bool:
        """Of an id that may be a word only where a collection of the namespace follows."""
        if scheme == "namespace":
            return True
        if scheme not in self.map.own_namespaces:
            return False
        if not is_word("namespace", scheme):
            return True
        known = self.decide("collection", collection).state != "unknown"
        return known and scheme.lower() not in _SCHEMES

    def mentions(self, text: str) -> Iterator[tuple[str, str]]:
        """(kind, id) of every known id that stands literally in a text, each once."""
        found = [token for token in _TOKEN.findall(text) if token in self._known]
        if self._odd is not None:
            found += self._odd.findall(text)
        for path in _PATH_IN_TEXT.findall(text):
            spelled = [old for old, _ in self.field_name(path).taxonomies]
            found += [old for old in spelled if old in self._known]
        for old in dict.fromkeys(found):
            yield self._known[old], old


def is_word(kind: str, value: str) -> bool:
    """Whether an id may be an ordinary word, which means nothing where no id has to stand."""
    prefix = _PREFIXES[kind]
    rest = value[len(prefix) :]
    return not value.startswith(prefix) or len(rest) < 2 or rest[0].isalnum()


def secrets_in(text: str) -> list[str]:
    """Names of the organization secrets that a template asks for, in order, each once."""
    if "{{" not in text:
        return []
    templates = " ".join(_EXPRESSION.findall(text))
    return list(dict.fromkeys(_SECRET.findall(templates)))


def with_secrets(text: str, names: Mapping[str, str]) -> str:
    """A text whose templates ask for secrets by other names."""

    def inside(expression: re.Match[str]) -> str:
        return _SECRET.sub(_renamed, expression[0])

    def _renamed(found: re.Match[str]) -> str:
        return f"{found[0][: found.start(1) - found.start()]}{names.get(found[1], found[1])}"

    return _EXPRESSION.sub(inside, text)


def separated(text: str) -> list[str] | None:
    """What a text lists, `a, b`, and what stands between; None where it is no list of words."""
    if "," not in text or _LISTED.fullmatch(text) is None:
        return None
    return _SEPARATOR.split(text)


def is_payload_path(text: str) -> bool:
    return _PAYLOAD_PATH.fullmatch(text) is not None


def _longest_first(values: set[str] | dict[str, str]) -> list[str]:
    return sorted(values, key=lambda value: (-len(value), value))
