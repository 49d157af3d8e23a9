"""The three stores and the clock: all that the core is given of the outside world.

A namespace may be cloned from one deployment into another: then there are two `Stores`, of which
the source's can only be read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .catalog.engine import Catalog
from .errors import InvalidRequest
from .objects.address import AWS, FilesAddress
from .objects.s3 import ObjectStore
from .principal import LOCAL_OPERATOR, Principal
from .request import DEFAULT_ENVIRONMENT
from .vectors.port import VectorStore

if TYPE_CHECKING:
    from .vectors.server import ServerStore

PATIENCE_SECONDS = 300.0


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _new_id() -> str:
    return f"clone_{secrets.token_hex(6)}"


@dataclass(frozen=True)
class VectorAddress:
    """Where vectors are: a server with its keys for writing and for reading sources, or, without
    a `url`, the embedded store in `folder`. No `grpc_port` is the one after the URL's."""

    folder: Path
    url: str | None = None
    grpc_port: int | None = None
    api_key: str | None = None
    source_api_key: str | None = None


# By kind (`references.COUNTERPARTS`): what it is called in the source's environment, and here.
Counterparts = Mapping[str, Mapping[str, str]]


class Elsewhere(Protocol):
    """The other environments that this deployment knows of."""

    def open(self, name: str) -> Stores:
        """The stores of an environment, to be read only; the same ones each time. Raises
        InvalidRequest where there is none of that name or its settings cannot be used, and what
        opening them raises."""
        ...

    def counterparts(self, source: str, target: str) -> Counterparts:
        """What there is in the target environment in the place of what there is in the source's."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """`environment` is what this deployment is called. `reader`: who looks
    namespaces up here for a clone into another environment. `sleep` and `wait_seconds` are in
    seconds: for so long the embedded Qdrant is waited for while another process has it, of which
    `on_wait` is told."""

    catalog: Catalog
    vector_address: VectorAddress
    files: FilesAddress = AWS
    environment: str = DEFAULT_ENVIRONMENT
    elsewhere: Elsewhere | None = None
    reader: Principal = LOCAL_OPERATOR
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = _new_id
    on_wait: Callable[[str], None] | None = None
    wait_seconds: float = PATIENCE_SECONDS

    def close(self) -> None:
        self.catalog.close()
        if self.elsewhere is not None:
            self.elsewhere.close()

    @property
    def lets_others_help(self) -> bool:
        """Whether several processes may work on one clone at once: there the catalog is PostgreSQL,
        and the points are on a Qdrant server."""
        return not self.catalog.is_sqlite and self.vector_address.url is not None

    def source(self, environment: str | None, catalog: str | None = None) -> Stores:
        """The stores from which a source in that environment is read; None is this one.

        `catalog` is the identity that its catalog must have: other deployments may give the same
        name to something else. Raises InvalidRequest for an environment that is not known, that is
        this one under another name, or that has another catalog, and what opening it raises.
        """
        if environment is None:
            return self
        found = self._named(environment)
        if catalog is not None and found.catalog.identity() != catalog:
            raise InvalidRequest(
                f"The source is in an environment that another deployment calls {environment!r}, "
                "which is not the one of that name here; go on from that deployment."
            )
        return found

    def _named(self, environment: str) -> Stores:
        if environment == self.environment:
            return self
        if self.elsewhere is None:
            raise InvalidRequest(f"There is no environment {environment!r} here.")
        found = self.elsewhere.open(environment)
        if found.catalog.identity() == self.catalog.identity():
            raise InvalidRequest(
                f"The environments {environment!r} and {self.environment!r} have the same catalog, "
                f"so they are one; leave {environment!r} out."
            )
        return found

    def counterparts(self, source: Stores) -> Counterparts:
        """What there is here in the place of what there is in the source's environment."""
        if self.elsewhere is None or source is self:
            return {}
        return self.elsewhere.counterparts(source.environment, self.environment)

    @contextmanager
    def vectors(self) -> Iterator[VectorStore]:
        """The deployment's vector store. The embedded one admits one process at a time, so it is
        open only while it is used."""
        where = self.vector_address
        store: VectorStore
        if where.url is not None:
            store = _open_server(where.url, where.api_key, where.grpc_port)
        else:
            store = _open_embedded(where.folder, self.wait_seconds, self.on_wait)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def source_vectors(
        self, target: VectorStore, qdrant_url: str | None, qdrant_api_key: str | None = None
    ) -> Iterator[VectorStore]:
        """The store to read a namespace from: its own server where it names one, else `target`.

        `qdrant_api_key` is the namespace's own key; a read-only key of the deployment goes first.
        """
        where = self.vector_address
        elsewhere = qdrant_url is not None and qdrant_url != where.url
        if not elsewhere and (where.url is None or where.source_api_key is None):
            yield target
            return
        with self.server(qdrant_url, qdrant_api_key) as store:
            yield target if store is None else store

    def key_to_read(self, qdrant_url: str | None, qdrant_api_key: str | None = None) -> str | None:
        """The key with which a namespace is read: one that only reads goes first, then the
        namespace's own for a server of its own, else the deployment's."""
        where = self.vector_address
        own = qdrant_url not in (None, where.url)
        return where.source_api_key or (qdrant_api_key if own else where.api_key)

    @contextmanager
    def server(
        self, qdrant_url: str | None, qdrant_api_key: str | None = None
    ) -> Iterator[ServerStore | None]:
        """The Qdrant server to read a namespace from, its own or the deployment's; None where its
        points are in the embedded store."""
        where = self.vector_address
        url = qdrant_url or where.url
        if url is None:
            yield None
            return
        port = where.grpc_port if url == where.url else None
        store = _open_server(url, self.key_to_read(qdrant_url, qdrant_api_key), port)
        try:
            yield store
        finally:
            store.close()

    def objects(self) -> ObjectStore:
        return ObjectStore.open(self.files)


# The client takes most of a second to import, which commands without vectors need not wait for.


def _open_server(url: str, api_key: str | None, grpc_port: int | None) -> ServerStore:
    from .vectors.server import ServerStore

    return ServerStore.open(url, api_key, grpc_port=grpc_port)


def _open_embedded(
    folder: Path, wait_seconds: float, on_wait: Callable[[str], None] | None
) -> VectorStore:
    from .vectors.embedded import EmbeddedStore

    return EmbeddedStore.open(folder, wait_seconds=wait_seconds, on_wait=on_wait)
