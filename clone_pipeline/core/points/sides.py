"""The two collections of a clone, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..ledger.meter import Meter
from ..references import Places, Rewriter
from ..vectors.equality import EqualityRule
from ..vectors.point import PointId, ShardKey
from ..vectors.port import VectorStore
from ..vectors.slices import in_key
from .retry import Retry


@dataclass(frozen=True)
class Sides:
    """Two collections and what makes points of one into points of the other; with a `shard_key`, as
    far as they hold its points.

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
    shard_key: ShardKey | None = None

    def for_thread(self, rewriter: Rewriter | None) -> Sides:
        """The same with what is not safe for threads."""
        return replace(self, rewriter=rewriter, unlisted=Places())

    def within(self, shard_key: ShardKey | None) -> Sides:
        if shard_key is None:
            return self
        source, target = self.source.within(shard_key), self.target.within(shard_key)
        return replace(self, source=source, target=target, shard_key=shard_key)

    def name(self, point_id: PointId) -> str:
        """What a point is called among differences."""
        return f"{point_id}{in_key(self.shard_key)}"
