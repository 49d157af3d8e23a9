"""What a vector store must be able to do for us, free of any client's model types.

Points travel as plain values: `Point(id, vectors, payload)`, where `vectors` maps a vector name to
a dense vector (list of float), a sparse one (`{"indices": [...], "values": [...]}`) or a
multivector (list of list of float). A point may have any subset of the collection's vectors,
also none. The unnamed vector has the name "".

A collection's configuration travels as the JSON of a bundle's `qdrant.json`:
`{"vectors": {...}, "sparse_vectors": {...}, "payload_schema": {...}}` in Qdrant's REST shape, and,
where set, `hnsw_config`, `quantization_config`, `optimizers_config`, `on_disk_payload`,
`strict_mode_config`, `shard_number`, `metadata`, ...

With `"sharding_method": "custom"` it also has `shard_keys`, `[{"shard_key": "a", "shards_number":
1}, ...]`, integers before texts. Points are then read and written through `within(shard_key)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .point import CollectionConfig, Page, Point, PointId, ShardKey

if TYPE_CHECKING:
    from .encoded import EncodedPage, EncodedPoint
    from .native import NativeLane

T = TypeVar("T")


class Attempt(Protocol):
    """Makes a request of a store, and may make it again while the store is unavailable."""

    def __call__(self, request: Callable[[], T], /) -> T: ...


def once(request: Callable[[], T], /) -> T:
    """An Attempt that leaves it at one."""
    return request()


class VectorStore(Protocol):
    """One Qdrant, embedded or a server.

    Raises StoreUnavailable when it cannot be reached or is busy, StorageFailed when its disk is
    full or read-only, NotFound for a collection that does not exist, InvalidRequest for an id or a
    vector that no store should hold, WorkError for anything else that it refuses.
    """

    embedded: bool

    @property
    def transport(self) -> str:
        """How points travel, for people: `gRPC`, or what stands in for it and why."""
        ...

    @property
    def native(self) -> NativeLane | None:
        """What copies a collection inside the store, index and all; None where it cannot."""
        ...

    def close(self) -> None: ...

    def identity(self) -> str:
        """Equal for two ways to the same store, whatever they call it."""
        ...

    def exists(self, collection: str) -> bool: ...

    def resolve(self, name: str) -> str:
        """The collection that an alias stands for; any other name as it is."""
        ...

    def aliases(self, collection: str) -> list[str]:
        """The aliases that stand for a collection."""
        ...

    def move_alias(self, alias: str, collection: str, stale: Sequence[str] = ()) -> None:
        """Lets an alias stand for a collection, whatever it stood for before; the `stale`
        ones go. All of it in one request, and none where it is so already."""
        ...

    def read_config(self, collection: str) -> CollectionConfig:
        """The configuration as the store knows it (the embedded store has forgotten most)."""
        ...

    def kept_config(self, config: CollectionConfig) -> CollectionConfig:
        """What `read_config` tells of a collection that was created with this configuration."""
        ...

    def create(
        self, collection: str, config: CollectionConfig, *, for_loading: bool = False
    ) -> None:
        """Makes the collection with its payload indexes, empty, whatever was left of that name.

        `for_loading`: vectors are not indexed until `finish_loading`, so that a graph is not built
        again and again while its points come in.
        """
        ...

    def finish_loading(self, collection: str, config: CollectionConfig) -> None:
        """Lets the vectors be indexed, as the configuration says. Does not wait for it."""
        ...

    def create_index(self, collection: str, field: str, schema: Any) -> None:
        """Makes one payload index, in the form in which `payload_schema` has it."""
        ...

    def delete(self, collection: str) -> None:
        """Removes the collection and whatever is left of it; nothing happens if there is none."""
        ...

    def within(self, shard_key: ShardKey) -> VectorStore:
        """The same store, of which a collection's points are those of one shard key alone: to read,
        write, count, split and delete them. Not to be closed. Raises NoShardKey when it is used
        on a collection that does not have that key."""
        ...

    def keeps_shard_keys(self) -> bool:
        """Whether a collection can have shard keys here."""
        ...

    def set_shard_keys(self, collection: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Makes the shard keys that are missing, and takes those away that are not among `entries`
        (as in `shard_keys` of a configuration), with all their points."""
        ...

    def count(self, collection: str) -> int: ...

    def last_write(self, collection: str) -> str | None:
        """A text that changes with every write to the collection; None where the store has none.

        Equal before and after means that nothing was written in between.
        """
        ...

    def refuse_hidden(self, collection: str) -> None:
        """Raises StoreUnavailable where the store has points that it does not show yet, so that
        what is read of the collection may not be whole."""
        ...

    def segments(self, collection: str) -> str | None:
        """A text that changes when the collection is made anew, or put back from a snapshot, which
        `last_write` need not tell; also when the store arranges the points otherwise, or starts
        anew. None where it has none."""
        ...

    def split(self, collection: str, parts: int) -> list[PointId]:
        """Up to `parts - 1` ids, ascending, that cut the collection into parts of about one size.

        Each is the first id of a part. Nothing where the store is not read in parts.
        """
        ...

    def read(
        self,
        collection: str,
        limit: int,
        offset: PointId | None = None,
        attempt: Attempt = once,
    ) -> EncodedPage:
        """As `scroll`, without decoding what nobody looks at. Each request on its own is an
        attempt, also those that are made while the page is gone through."""
        ...

    def write(
        self, collection: str, points: Sequence[EncodedPoint], attempt: Attempt = once
    ) -> None:
        """As `upsert`. Each request on its own is an attempt: under a rate limit that admits a part
        of them, to begin with the first one again would never come to an end."""
        ...

    def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
        """A page that starts at `offset` (inclusive), vectors and payload included.

        It may hold fewer points than `limit` while there are more: only `next` tells the end.
        """
        ...

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        """In the order of `ids`; what is not there is left out."""
        ...

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Durable when it returns. Point by point: a crash in it may leave a part of them."""
        ...

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> None: ...

    def search(
        self,
        collection: str,
        vector_name: str,
        vector: Sequence[float],
        limit: int,
        any_of: Mapping[str, Sequence[str]],
    ) -> list[tuple[Point, float]]:
        """The nearest points with their scores, best first, without their vectors.

        `any_of` keeps points whose payload field has one of the values, for every field named.
        """
        ...
