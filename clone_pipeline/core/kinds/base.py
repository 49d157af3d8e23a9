"""What is known of a resource type: everything that the rest of the program goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What a field of a document has to be, as a sentence says it.
LIST, OBJECT, TEXT = "a list", "an object", "a string"
NUMBER, TRUTH, TIME = "a whole number", "true or false", "a time in ISO 8601"

# Fields by what they have to be.
Fields = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class IdForm:
    """How the platform writes ids of one kind: documented prefix and number of characters.

    Some people choose ids of their own: then there is no prefix to go by.
    """

    prefix: str
    length: int


@dataclass(frozen=True)
class ResourceKind:
    """A resource type that a clone is made of. What follows from its names is a property.

    `name` has at most 16 characters. `plural` is what it is called in the request, the summary and
    the reports; so are its table and its file in a bundle. `about` is what an operator reads of its
    step. `after` says whose step comes before: the plural of a kind that stands before it in
    `KINDS`, or `namespace`.

    `switch` is the field of `include_resources` that asks for it; None: it always comes along.
    `versioned`: several rows, told apart by a column `version`, are one resource. `fields` are
    those that have to have a type, because the platform's client fails on another one; all others
    may hold anything. `inside`: the same of what stands in lists and objects, by its path.
    """

    name: str
    plural: str
    id_form: IdForm
    about: str
    after: str
    switch: str | None = None
    versioned: bool = False
    fields: Fields = field(default_factory=dict)
    inside: Fields = field(default_factory=dict)

    @property
    def id_field(self) -> str:
        return f"{self.name}_id"

    @property
    def name_field(self) -> str:
        return f"{self.name}_name"

    @property
    def columns(self) -> tuple[str, ...]:
        """The document's fields that stand in columns of their own."""
        return (self.id_field, *["version"] * self.versioned, self.name_field)

    @property
    def step(self) -> str:
        """The op that clones it."""
        return f"clone_{self.plural}"
