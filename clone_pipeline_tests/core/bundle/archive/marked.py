"""An embedded store that tells its last write and is read in parts, as a server does and is."""

from __future__ import annotations

from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.point import PointId


class Marked(EmbeddedStore):
    mark = "1"

    def last_write(self, collection: str) -> str | None:
        return self.mark

    def split(self, collection: str, parts: int) -> list[PointId]:
        return [110, 120, 140]
