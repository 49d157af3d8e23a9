"""The vectors of a template: a configuration, and no points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ..errors import WorkError
from .encoded import EncodedPage, EncodedPoint
from .point import CollectionConfig, Page, Point, PointId, ShardKey
from .port import Attempt, once


class EmptyStore:
    """To read from only: every collection in it is empty and has the one configuration."""

    transport = "no points"
    native = None

    def __init__(self, config: CollectionConfig, *, embedded: bool) -> None:
        self._config = config
        # As the store that it is copied to, so that the two are compared by one rule.
        self.embedded = embedded

    def close(self) -> None:
        return None

    def identity(self) -> str:
        return "template"

    def exists(self, collection: str) -> bool:
        return True

    def resolve(self, name: str) -> str:
        return name

    def aliases(self, collection: str) -> list[str]:
        return []

    def move_alias(self, alias: str, collection: str, stale: Sequence[str] = ()) -> None:
        raise WorkError("A template has no Qdrant collection for an alias.")

    def read_config(self, collection: str) -> CollectionConfig:
        return self._config

    def kept_config(self, config: CollectionConfig) -> CollectionConfig:
        return config

    def within(self, shard_key: ShardKey) -> EmptyStore:
        return self

    def keeps_shard_keys(self) -> bool:
        return True

    def count(self, collection: str) -> int:
        return 0

    def last_write(self, collection: str) -> str | None:
        return "never"

    def refuse_hidden(self, collection: str) -> None:
        return

    def segments(self, collection: str) -> str | None:
        return None

    def split(self, collection: str, parts: int) -> list[PointId]:
        return []

    def read(
        self,
        collection: str,
        limit: int,
        offset: PointId | None = None,
        attempt: Attempt = once,
    ) -> EncodedPage:
        return EncodedPage([], 0, None, 0)

    def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
        return Page([], None)

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        return []

    def search(
        self,
        collection: str,
        vector_name: str,
        vector: Sequence[float],
        limit: int,
        any_of: Mapping[str, Sequence[str]],
    ) -> list[tuple[Point, float]]:
        return []

    # ---- a source is never written ----

    def create(
        self, collection: str, config: CollectionConfig, *, for_loading: bool = False
    ) -> NoReturn:
        raise _read_only()

    def finish_loading(self, collection: str, config: CollectionConfig) -> NoReturn:
        raise _read_only()

    def create_index(self, collection: str, field: str, schema: Any) -> NoReturn:
        raise _read_only()

    def delete(self, collection: str) -> NoReturn:
        raise _read_only()

    def set_shard_keys(self, collection: str, entries: Sequence[Mapping[str, Any]]) -> NoReturn:
        raise _read_only()

    def write(
        self, collection: str, points: Sequence[EncodedPoint], attempt: Attempt = once
    ) -> NoReturn:
        raise _read_only()

    def upsert(self, collection: str, points: Sequence[Point]) -> NoReturn:
        raise _read_only()

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> NoReturn:
        raise _read_only()


def _read_only() -> WorkError:
    return WorkError("A template has no points, and none can be written to it.")
