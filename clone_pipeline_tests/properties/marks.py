"""Documents in which every reference is marked, and what such a document becomes in a clone.

This is the other implementation that clones are compared with: it knows no paths. Whoever writes a
document puts a mark where a reference stands, and says what becomes of it there when its target is
outside the clone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# null    the field becomes null
# drop    the list item, or the object's key, is dropped
# around  the object around it is dropped from its list, or becomes null
# stays   it keeps the source's value, and the plan says so
# data    it keeps the source's value, as data does
Outside = Literal["null", "drop", "around", "stays", "data"]


@dataclass(frozen=True)
class Clone:
    """The ids of a clone, as the ledger has them; `names` of the resources that are cloned."""

    namespace: tuple[str, str]
    organization: tuple[str, str]
    ids: Mapping[str, Mapping[str, str]]
    names: Mapping[str, Collection[str]]
    other_environment: bool = False
    # What the things of the organization are called where the clone is.
    counterparts: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares_organization(self) -> bool:
        """Whether it may use what belongs to the source's organization."""
        return self.organization[0] == self.organization[1] and not self.other_environment


@dataclass(frozen=True)
class Ref:
    """An id, or with `name` the name that stands for one.

    What is of the organization is in every clone within it.
    """

    kind: str
    value: str
    outside: Outside
    name: bool = False

    def inside(self, clone: Clone) -> str | None:
        """What stands there in a clone that has the target; None where it has not."""
        if self.kind in ("namespace", "organization"):
            old, new = clone.namespace if self.kind == "namespace" else clone.organization
            return new if self.value == old else self.value
        if self.kind == "of the organization":
            own = self.value if clone.shares_organization else None
            return clone.counterparts.get(self.value, own)
        if self.name:
            return self.value if self.value in clone.names.get(self.kind, ()) else None
        return clone.ids.get(self.kind, {}).get(self.value)


@dataclass(frozen=True)
class Spelled:
    """A text that is made of references and of what stands between them."""

    parts: tuple[str | Ref, ...]


@dataclass(frozen=True)
class Prose:
    """Free text in which ids stand: never rewritten, always told."""

    text: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Sets:
    """A place that is set to the clone's `namespace` or `organization`, whatever stands there."""

    what: Literal["namespace", "organization"]
    before: Any


@dataclass(frozen=True)
class Becomes:
    """Something that acts, or expires: in no clone. `told`: the plan says so. `cluster`: it may
    have a counterpart in the clone's environment."""

    before: Any
    after: Any = None
    told: bool = True
    cluster: bool = False

    def inside(self, clone: Clone) -> Any:
        """What stands there in a clone."""
        return clone.counterparts.get(self.before, self.after) if self.cluster else self.after


@dataclass(frozen=True)
class Whole:
    """What another organization gets whole or not at all. `key` False: not even its key. A list of
    nothing but what is `elsewhere` becomes null."""

    value: Any
    key: bool = True
    elsewhere: bool = False

    def stays(self, clone: Clone) -> bool:
        return clone.shares_organization


class Scope(list[Any]):
    """References that say what is read: the list may not become empty while there are any."""


class _Gone:
    """Stands for a value that its list or its object loses."""


_GONE = _Gone()
REMOVED = _Gone()


def before(value: Any) -> Any:
    """The source's document: the marks as what they stand for."""
    if isinstance(value, dict):
        return {before(key): before(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [before(inner) for inner in value]
    if isinstance(value, Spelled):
        return "".join(before(part) for part in value.parts)
    if isinstance(value, Ref):
        return value.value
    if isinstance(value, Prose):
        return value.text
    if isinstance(value, Whole):
        return before(value.value)
    return value.before if isinstance(value, Sets | Becomes) else value


def after(value: Any, clone: Clone) -> Any:
    """The clone's document."""
    if isinstance(value, dict):
        return _after_object(value, clone)
    if isinstance(value, list):
        return _after_list(value, clone)
    if isinstance(value, Ref):
        return _after_reference(value, clone)
    if isinstance(value, Spelled):
        return "".join(str(after(part, clone)) for part in value.parts)
    if isinstance(value, Whole) and value.stays(clone):
        return after(value.value, clone)
    if isinstance(value, Whole):
        return _GONE if value.key else REMOVED
    if isinstance(value, Sets):
        return (clone.namespace if value.what == "namespace" else clone.organization)[1]
    return value.inside(clone) if isinstance(value, Becomes) else before(value)


def _after_reference(ref: Ref, clone: Clone) -> Any:
    new = ref.inside(clone)
    if new is not None:
        return new
    if ref.outside == "null":
        return None
    return _GONE if ref.outside in ("drop", "around") else ref.value


def _after_object(value: dict[Any, Any], clone: Clone) -> Any:
    result = {}
    for key, inner in value.items():
        if isinstance(inner, Ref) and inner.outside == "around" and inner.inside(clone) is None:
            return _GONE
        new_key, new = after(key, clone), after(inner, clone)
        if new_key is not _GONE and new is not REMOVED:
            result[new_key] = None if new is _GONE else new
    return result


def _after_list(value: list[Any], clone: Clone) -> Any:
    result = [new for inner in value if (new := after(inner, clone)) is not _GONE]
    if value and not result and all(isinstance(one, Whole) and one.elsewhere for one in value):
        return _GONE
    return before(value) if _must_stay(value, result, clone) else result


def _must_stay(value: list[Any], result: list[Any], clone: Clone) -> bool:
    """May a list not lose the last of its references?"""
    if not isinstance(value, Scope) or not value or result or isinstance(value[0], Whole):
        return False
    return bool(clone.ids.get(value[0].kind))


@dataclass(frozen=True)
class Told:
    """What the plan has to say about one place."""

    path: str
    value: str | None
    outcome: Literal["cleared", "unresolved", "mentioned"]


def told(value: Any, clone: Clone, path: str = "") -> Iterator[Told]:
    """Every place that does not simply point into the clone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{path}.{before(key)}" if path else before(key)
            yield from told(key, clone, place)
            yield from told(inner, clone, place)
    elif isinstance(value, list):
        must_stay = _must_stay(value, [x for x in value if after(x, clone) is not _GONE], clone)
        for index, inner in enumerate(value):
            for one in told(inner, clone, f"{path}[{index}]"):
                yield Told(one.path, one.value, "unresolved") if must_stay else one
    elif isinstance(value, Whole) and value.stays(clone):
        yield from told(value.value, clone, path)
    elif isinstance(value, Spelled):
        for part in value.parts:
            yield from told(part, clone, path)
    else:
        yield from _told_of_one(value, clone, path)


def _told_of_one(value: Any, clone: Clone, path: str) -> Iterator[Told]:
    if isinstance(value, Ref) and value.outside != "data" and value.inside(clone) is None:
        yield Told(path, value.value, "unresolved" if value.outside == "stays" else "cleared")
    elif isinstance(value, Prose):
        yield from (Told(path, one, "mentioned") for one in value.ids)
    elif isinstance(value, Whole) or (isinstance(value, Becomes) and value.told):
        yield Told(path, None, "cleared")
