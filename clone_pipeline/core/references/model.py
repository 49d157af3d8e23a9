"""The id map that goes in, the references that come out, and what one row of the table says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from ..kinds import KINDS as RESOURCE_KINDS
from ..objects.location import FileMap
from ..secrets import names_a_secret

KINDS = tuple(kind.name for kind in RESOURCE_KINDS)

# What belongs to the organization, so that all its namespaces share it.
OF_ORGANIZATION = (
    "connection",
    "organization secret",
    "authorization service",
    "identity provider",
    "vector bucket",
)

# What may have a counterpart in another environment, which goes by another name there.
COUNTERPARTS = ("connection", "organization secret", "infrastructure cluster", "vector bucket")

# The reason of what is no reference: a setting that is cleared whatever else is cloned.
ACTS = "acts or belongs to the source alone, and never comes over"
# The reasons of a secret, which is no reference either.
COPIED = "is a secret, copied within one organization"
LEFT_BEHIND = "is a secret, which does not go to another organization or environment"
# The reason of what a restore leaves as it was.
ACTS_AGAIN = "acts again, as in what was backed up"
LED_NOWHERE = "and so it was in what was backed up"
# The reasons of an id that is mentioned: in text, or as data that is right as it is.
IN_TEXT = "stands literally in text"
AS_DATA = "is data, which is right as it is"
# The reasons of an id that stands where the table has no row: what the user stored is the user's.
UNLISTED = "stands where no reference is known, and stays"
UNLISTED_DATA = "stands in user data, and stays"
# All that is kept of a secret.
WAS_SET = "was set"

Outcome = Literal["rewritten", "kept", "cleared", "unresolved", "mentioned", "unlisted"]


@dataclass(frozen=True)
class IdMap:
    """What the clone's ids are. No new id may be an id of the source, other than its own.

    `namespace` and `organization` are (source's, clone's). `ids` has the resources that are cloned,
    by kind: old id -> new id; `names` their names. `left_out` has ids and names of the source's
    resources that are not cloned because their switch is off.

    `restored_from` is set where a backup is restored: the namespace that was backed up, which is
    what values that are put back call their own. Then what acts may act again, and a reference
    that led nowhere before stays as it was.

    `other_environment`: the clone is in another deployment, which has nothing of what belongs to
    the organization, and whose secrets are others.

    `counterparts`: by what they belong to (`COUNTERPARTS`), what there is in its environment in the
    place of things of the source's.

    `foreign_payloads`: the points are of a collection that knows nothing of the platform, so that
    nothing in their payloads is a reference.

    `files` is set where the clone has files of its own: what the copies are called.
    """

    namespace: tuple[str, str]
    organization: tuple[str, str]
    ids: Mapping[str, Mapping[str, str]]
    names: Mapping[str, Collection[str]]
    left_out: Mapping[str, Collection[str]]
    restored_from: str | None = None
    foreign_payloads: bool = False
    other_environment: bool = False
    counterparts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    files: FileMap | None = None

    @property
    def own_namespaces(self) -> tuple[str, ...]:
        """The namespace ids that stand for the clone's own in what is rewritten."""
        return (self.namespace[0], *filter(None, [self.restored_from]))


@dataclass(frozen=True)
class Reference:
    """One reference found in one configuration resource.

    `path` is where it stands in the source's document. `removed` and `parked` are set for a cleared
    reference: the path of what was taken out (the reference or something around it) and its value;
    of a secret only that it "was set". `new` is what stands there now, where that is not nothing.
    """

    resource: str
    resource_id: str
    path: str
    target: str
    old: str
    new: str | None
    outcome: Outcome
    reason: str
    parked: Any = None
    removed: str | None = None
    version: int = 0  # 0 where it has none

    @property
    def dangles(self) -> bool:
        """Whether its target is missing from the clone, or may be."""
        if self.outcome == "unlisted":
            return self.reason == UNLISTED
        gone = self.outcome in ("cleared", "unresolved")
        return gone and self.reason not in (ACTS, LEFT_BEHIND)


Shape = Literal[
    "own id",
    "id",
    "key",
    "namespace",
    "organization",
    "field name",
    "field names",
    "id path",
    "typed id",
    "node",
    "set",
    "constant",
    "filters",
    "stages",
    "inputs",
    "text",
    "acts",
    "ends with own id",
    "signed url",
    "location",
    "verbatim",
]

# What is removed where the target is outside the clone: the place itself, or nothing at all.
ITSELF = "itself"
NOTHING = "nothing"


@dataclass(frozen=True)
class Row:
    """One place of one resource type.

    `path`: `a.b` keys, `[]` each item, `*` each value of an object, `{}` its keys, `**` any depth
    inside a stage. `clears` names what is removed where the target is outside the clone: `ITSELF`,
    the path of something around it, or `NOTHING`, because the schema requires the value.

    Two things would widen what a pipeline reads, so that they are `unresolved` as long as the
    target's type is cloned: emptying a list whose `last_stays`, and clearing a value while one of
    `scope_of` stands beside it. `required_unless` (key, value) makes the value required unless the
    object around it has that value.

    Of what acts, `resets` is what it becomes, the platform's default; what is `placed` says where
    the source's own things are, so that a restore does not put it back either.
    """

    path: str
    target: str
    shape: Shape = "id"
    clears: str = ITSELF
    last_stays: bool = False
    scope_of: tuple[str, ...] = ()
    required_unless: tuple[str, str] | None = None
    resets: str | None = None
    placed: bool = False
    note: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)
    resource: str = ""

    @property
    def steps(self) -> tuple[str, ...]:
        return steps(self.path)

    @property
    def secret(self) -> bool:
        return names_a_secret(self.steps[-1])

    @property
    def levels(self) -> int:
        """How far above the reference the thing stands that is removed with it."""
        return 0 if self.clears == ITSELF else len(self.steps) - len(steps(self.clears))


@cache
def steps(path: str) -> tuple[str, ...]:
    """`a[].b.*` as ("a", "[]", "b", "*")."""
    spaced = path.replace("[]", ".[]").replace("{}", ".{}")
    return tuple(step for step in spaced.split(".") if step)


def rows_of(resource: str, *rows: Row) -> tuple[Row, ...]:
    """The rows with their resource type filled in."""
    return tuple(replace(row, resource=resource) for row in rows)
