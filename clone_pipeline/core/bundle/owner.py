"""Payloads that name another namespace than the bundle's own: they are loaded as its own.

So points that were taken from elsewhere, or whose `namespace.json` was given another id, do not
belong to a namespace that they are not in; the report says how many did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..catalog.namespace import FOREIGN_PAYLOADS
from ..references import is_word

# So many other namespaces are told by their ids.
_NAMED = 3


@dataclass
class Owner:
    """The namespace that loaded points belong to. `renamed` counts those that named another one,
    `others` has the first ids of such. `foreign`: whoever wrote the payloads knew no namespaces, so
    they stay as they are."""

    namespace_id: str
    foreign: bool = False
    renamed: int = 0
    others: list[str] = field(default_factory=list)

    def own(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload, naming this namespace wherever it names one; a copy where that differs."""
        if self.foreign:
            return payload
        owned, internal = payload, payload.get("_internal")
        if isinstance(internal, dict) and (other := self._other(internal)):
            self._note(other)
            owned = {**owned, "_internal": {**internal, "namespace_id": self.namespace_id}}
        other = self._other(payload)
        # Beside `_internal` it may as well be a field of the user's.
        if other and (internal is None or not is_word("namespace", other)):
            self._note(other)
            owned = {**owned, "namespace_id": self.namespace_id}
        self.renamed += owned is not payload
        return owned

    @classmethod
    def of(cls, namespace: dict[str, Any]) -> Owner:
        """The one that a bundle's namespace is."""
        return cls(namespace["namespace_id"], namespace.get(FOREIGN_PAYLOADS) is True)

    @property
    def warnings(self) -> list[str]:
        """What a person has to be told of it."""
        if not self.renamed:
            return []
        points = "1 point" if self.renamed == 1 else f"{self.renamed:,} points"
        return [
            f"In the bundle {points} named another namespace ({', '.join(self.others)}) in the "
            f"payload; what was loaded names {self.namespace_id}."
        ]

    def _other(self, values: dict[str, Any]) -> str:
        named = values.get("namespace_id")
        return named if isinstance(named, str) and named != self.namespace_id else ""

    def _note(self, other: str) -> None:
        if other not in self.others and len(self.others) < _NAMED:
            self.others.append(other)
