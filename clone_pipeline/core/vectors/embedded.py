"""The embedded Qdrant: a folder, everything in memory, one process at a time.

It is Qdrant's own local mode with its traps closed. It loads a folder before it locks it, so that
a second process overwrites what the first one made: a lock of ours comes first. It commits point
by point with a sync for each: the sync here is one for each call. It brings the points of a
half-made collection back to life: `create` and `delete` clean up whatever is left. It forgets
payload indexes and everything else that has no effect in it: who asks for a configuration has to
remember it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from qdrant_client import models
from qdrant_client.local.qdrant_local import QdrantLocal
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from ..errors import CloneError, NotFound, StoreUnavailable, WorkError
from ..private import make_folder
from .embedded_models import point_of, point_struct, sparse_models, text_indexes, vectors_models
from .encoded import EncodedPage, EncodedPoint
from .faults import one_line, translated
from .ids import canonical_id
from .lock import FolderLock
from .models import checked
from .point import CollectionConfig, Page, Point, PointId, ShardKey
from .port import Attempt, once


def identity_of(folder: Path) -> str:
    """The same whatever the folder is called, without the store being opened. Raises OSError."""
    status = folder.stat()
    return f"embedded {status.st_dev} {status.st_ino}"


class EmbeddedStore:
    """Safe for threads, not for forked processes. Close it: others wait for it."""

    embedded = True
    transport = "in this process"
    native = None

    def __init__(self, folder: Path, lock: FolderLock, client: QdrantLocal) -> None:
        self._folder = folder
        self._lock = lock
        self._client = client
        self._pid = os.getpid()
        self._busy = threading.RLock()
        self._fast: set[str] = set()
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: Path,
        wait_seconds: float = 300,
        on_wait: Callable[[str], None] | None = None,
    ) -> EmbeddedStore:
        """The store in `folder`, made if it is new. Loads all of it into memory.

        Waits while another process (or another part of this one) has it open; `on_wait` gets one
        sentence about that. Raises StoreUnavailable after `wait_seconds`, StorageFailed where the
        folder cannot be made or written, WorkError where what is in it cannot be read.
        """
        with translated(f"The embedded Qdrant in {folder}"):
            make_folder(folder)
            lock = FolderLock(folder)
            lock.acquire(wait_seconds, on_wait)
            try:
                _make_empty(folder)
                return cls(folder, lock, _load_when_free(folder))
            except BaseException:
                lock.release()
                raise

    def close(self) -> None:
        """Closing again does nothing, and so does closing a forked copy."""
        with self._busy:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            try:
                self._client.close()
            finally:
                self._lock.release()

    def identity(self) -> str:
        return identity_of(self._folder)

    def exists(self, collection: str) -> bool:
        with self._operation():
            return collection in self._client.collections

    def resolve(self, name: str) -> str:
        return name

    def aliases(self, collection: str) -> list[str]:
        return []

    def move_alias(self, alias: str, collection: str, stale: Sequence[str] = ()) -> None:
        raise WorkError("An alias needs a Qdrant server.")

    def read_config(self, collection: str) -> CollectionConfig:
        with self._operation(collection):
            config = self._client.get_collection(collection).config
            vectors, sparse = config.params.vectors or {}, config.params.sparse_vectors or {}
            # The rest of what it reports are constants, not what was asked for.
            named = {"": vectors} if hasattr(vectors, "size") else vectors
            return _kept(named, sparse, config.metadata)

    def kept_config(self, config: CollectionConfig) -> CollectionConfig:
        vectors, sparse = vectors_models(config), sparse_models(config)
        return _kept(vectors, sparse, config.get("metadata"))

    def create(
        self, collection: str, config: CollectionConfig, *, for_loading: bool = False
    ) -> None:
        vectors, sparse = vectors_models(config), sparse_models(config)
        indexes = text_indexes(config)
        with self._operation():
            self._remove(collection)
            self._client.create_collection(
                collection,
                vectors_config=vectors,
                sparse_vectors_config=sparse or None,
                metadata=config.get("metadata"),
            )
            for field, params in indexes.items():
                self._client.create_payload_index(collection, field, field_schema=params)
            left = self._client.count(collection).count
            if left:
                raise WorkError(
                    f"The new collection {collection} in {self._folder} holds {left} points."
                )
            self._sync(collection)

    def finish_loading(self, collection: str, config: CollectionConfig) -> None:
        """It has no index to build."""

    def create_index(self, collection: str, field: str, schema: Any) -> None:
        """It remembers none, see above."""

    def delete(self, collection: str) -> None:
        with self._operation():
            if self._remove(collection):
                self._sync(collection)

    def within(self, shard_key: ShardKey) -> NoReturn:
        raise _no_keys()

    def keeps_shard_keys(self) -> bool:
        return False

    def set_shard_keys(self, collection: str, entries: Sequence[Mapping[str, Any]]) -> NoReturn:
        raise _no_keys()

    def count(self, collection: str) -> int:
        with self._operation(collection):
            return int(self._client.count(collection).count)

    def last_write(self, collection: str) -> str | None:
        return None

    def refuse_hidden(self, collection: str) -> None:
        return

    def segments(self, collection: str) -> str | None:
        return None

    def split(self, collection: str, parts: int) -> list[PointId]:
        """It sorts all ids for every page: parts would only do that more often."""
        return []

    def read(
        self,
        collection: str,
        limit: int,
        offset: PointId | None = None,
        attempt: Attempt = once,
    ) -> EncodedPage:
        page = attempt(partial(self.scroll, collection, limit, offset))
        return EncodedPage(map(EncodedPoint.of, page.points), len(page.points), page.next)

    def write(
        self, collection: str, points: Sequence[EncodedPoint], attempt: Attempt = once
    ) -> None:
        attempt(partial(self.upsert, collection, [point.plain() for point in points]))

    def scroll(self, collection: str, limit: int, offset: PointId | None = None) -> Page:
        with self._operation(collection):
            records, following = self._client.scroll(
                collection, limit=limit, offset=offset, with_payload=True, with_vectors=True
            )
        points = [point_of(record) for record in records]
        return Page(points, None if following is None else canonical_id(following))

    def retrieve(self, collection: str, ids: Sequence[PointId]) -> list[Point]:
        with self._operation(collection):
            records = self._client.retrieve(
                collection, [canonical_id(one) for one in ids], with_payload=True, with_vectors=True
            )
        return [point_of(record) for record in records]

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        structs = [point_struct(checked(point)) for point in points]
        with self._operation(collection):
            if structs:
                with self._durable(collection):
                    self._client.upsert(collection, structs)

    def delete_points(self, collection: str, ids: Iterable[PointId]) -> None:
        wanted: list[models.ExtendedPointId] = [canonical_id(one) for one in ids]
        with self._operation(collection):
            if wanted:
                with self._durable(collection):
                    self._client.delete(collection, models.PointIdsList(points=wanted))

    def search(
        self,
        collection: str,
        vector_name: str,
        vector: Sequence[float],
        limit: int,
        any_of: Mapping[str, Sequence[str]],
    ) -> list[tuple[Point, float]]:
        conditions = [
            models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
            for field, values in any_of.items()
        ]
        query: Any = list(vector)
        with self._operation(collection):
            found = self._client.query_points(
                collection,
                query=query,
                using=vector_name or None,
                query_filter=models.Filter(must=list(conditions)),
                limit=limit,
                with_payload=True,
            )
        return [(point_of(one), one.score) for one in found.points]

    @contextmanager
    def _operation(self, collection: str | None = None) -> Iterator[None]:
        """One thread at a time, in the process that opened the store, errors as ours."""
        if os.getpid() != self._pid:
            raise WorkError(
                f"The embedded Qdrant in {self._folder} was opened by process {self._pid}; a "
                "forked process would write behind its back and has to open it itself."
            )
        with self._busy, translated(f"The embedded Qdrant in {self._folder}"):
            if self._closed:
                raise WorkError(f"The embedded Qdrant in {self._folder} is closed.")
            if collection is not None and collection not in self._client.collections:
                raise NotFound(
                    f"The embedded Qdrant in {self._folder} has no collection {collection}."
                )
            yield

    @contextmanager
    def _durable(self, collection: str) -> Iterator[None]:
        """What is written within is on the disk afterwards, with one sync instead of one a point.

        SQLite in WAL mode with `synchronous = NORMAL` stays whole through a crash, but may lose
        the last commits when the power fails; a checkpoint syncs them all.
        """
        connection = self._connection(collection)
        if collection not in self._fast:
            # Where the file system cannot do it, the mode stays as it was: slow, and as safe.
            if connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                connection.execute("PRAGMA synchronous = NORMAL")
            self._fast.add(collection)
        yield
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise StoreUnavailable(
                f"The embedded Qdrant in {self._folder} is being read by another program, which "
                f"keeps collection {collection} from being written to the disk."
            )

    def _connection(self, collection: str) -> sqlite3.Connection:
        storage = self._client.collections[collection].storage
        if storage is None:
            raise WorkError(f"The embedded Qdrant in {self._folder} is not kept on a disk.")
        return storage.storage

    def _remove(self, collection: str) -> bool:
        """Removes a collection, or the directory or the entry that a crash left of it."""
        held = self._client.collections.get(collection)
        directory = self._directory(collection)
        if held is None and not directory.exists():
            return False
        if held is not None:
            held.close()  # the client leaves that to the garbage collector
        self._fast.discard(collection)
        self._client.delete_collection(collection)
        if directory.exists():
            shutil.rmtree(directory)
        return True

    def _sync(self, collection: str) -> None:
        """The list of collections and the directories, which the client does not sync."""
        directory = self._directory(collection)
        for path in (self._folder / "meta.json", self._folder, directory.parent, directory):
            if path.exists():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _directory(self, collection: str) -> Path:
        return self._folder / "collection" / collection


def _no_keys() -> WorkError:
    return WorkError("Shard keys need a Qdrant server: the embedded one has none.")


def _make_empty(folder: Path) -> None:
    """The list of collections, where there is none yet: all of it or nothing. The client, killed or
    on a full disk, would leave an empty file there that nobody can read any more."""
    meta = folder / "meta.json"
    if not meta.exists():
        partial = folder / "meta.json.tmp"
        partial.write_text(json.dumps({"collections": {}, "aliases": {}}))
        partial.replace(meta)


@retry(
    retry=retry_if_exception_type(StoreUnavailable),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _load_when_free(folder: Path) -> QdrantLocal:
    """A killed process loses our lock a moment before it loses the client's own."""
    return _load(folder)


def _load(folder: Path) -> QdrantLocal:
    # The user cannot help how many points there are, and hears of a server in the documentation.
    warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
    try:
        # Threads are kept apart by a lock of ours.
        return QdrantLocal(location=str(folder), force_disable_check_same_thread=True)
    except (CloneError, OSError, sqlite3.OperationalError):
        raise
    except RuntimeError as error:
        if "already accessed" not in str(error):
            raise
        raise StoreUnavailable(
            f"The embedded Qdrant in {folder} is in use by another program that is not "
            "clone-pipeline; close that program first."
        ) from error
    except Exception as error:
        # Points are pickled: what comes out of a damaged one can be anything.
        raise WorkError(
            f"The embedded Qdrant in {folder} cannot be read: {one_line(error)}."
        ) from error


def _kept(vectors: object, sparse: object, metadata: Any) -> CollectionConfig:
    known: CollectionConfig = {
        "vectors": _dump(vectors),
        "sparse_vectors": _dump(sparse),
        "payload_schema": {},
    }
    return known | ({"metadata": metadata} if metadata else {})


def _dump(params: object) -> dict[str, object]:
    assert isinstance(params, dict)  # noqa: S101
    return {name: one.model_dump(mode="json", exclude_none=True) for name, one in params.items()}
