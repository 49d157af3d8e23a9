"""The two collections of a clone, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..ledger.meter import Meter
from ..references import Places, Rewriter
from ..vectors.equality import EqualityRule
from ..vectors.port import VectorStore
from .retry import Retry


@dataclass(frozen=True)
class Sides:
    """Two collections and what makes points of one into points of the other.

    `unlisted` counts where in the target's payloads ids of the source stand that no row of the
    table of references names.
    """

    source: VectorStore
    source_name: str
    target: VectorStore
    target_name: str
    rewriter: Rewriter | None
    rule: EqualityRule
    retry: Retry
    meter: Meter
    unlisted: Places = field(default_factory=Places)

    def for_thread(self, rewriter: Rewriter | None) -> Sides:
        """The same with what is not safe for threads."""
        return replace(self, rewriter=rewriter, unlisted=Places())
