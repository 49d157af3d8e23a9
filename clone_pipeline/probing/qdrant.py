"""Whether a Qdrant can be read, with what it could be written, and where it is a target, that it
can."""

from __future__ import annotations

import secrets
import shutil
from contextlib import closing, suppress
from dataclasses import replace

import httpx

from clone_pipeline.core.errors import NotFound, StorageFailed, StoreUnavailable, WorkError
from clone_pipeline.core.report import size
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline.core.vectors.embedded import EmbeddedStore, identity_of
from clone_pipeline.core.vectors.point import Point
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.core.vectors.server import ServerStore
from clone_pipeline.deployment import Where
from clone_pipeline.environments.places import qdrant_place
from clone_pipeline.probing.clocks import Clock, compare, read_date
from clone_pipeline.probing.findings import CANARY, Findings, spelled

_WAIT_SECONDS = 10.0  # for another process to finish with an embedded store
_CONFIG = {"vectors": {"": {"size": 2, "distance": "Dot"}}}
_VECTOR = [1.0, 0.5]


def check_qdrant(where: Where, findings: Findings, clock: Clock) -> str | None:
    """The store's identity; None where it could not be asked."""
    if where.vectors.url is None:
        return _check_embedded(where, findings)
    return _check_server(where, where.vectors.url, findings, clock)


def qdrant_identity(where: Where) -> str:
    """The store's. Raises what it raises; OSError where there is no embedded one."""
    if where.vectors.url is None:
        return identity_of(where.vectors.folder)
    with closing(_open(where.to_read)) as store:
        return store.identity()


def _check_embedded(where: Where, findings: Findings) -> str | None:
    folder = where.vectors.folder
    if not folder.is_dir():
        findings.add(
            "qdrant", "ok", f"There is no Qdrant in {folder} yet; one is made at first use."
        )
        return None
    identity = None
    with (
        findings.trying("qdrant"),
        closing(EmbeddedStore.open(folder, wait_seconds=_WAIT_SECONDS)) as store,
    ):
        identity = store.identity()
        free = size(shutil.disk_usage(folder).free)
        findings.add("qdrant", "ok", f"The embedded Qdrant in {folder} opens; {free} are free.")
        if where.access == "write":
            _try_collection(store, findings)
    return identity


def _check_server(where: Where, url: str, findings: Findings, clock: Clock) -> str | None:
    identity = None
    with_key = "qdrant.read_only_api_key" if where.vectors.source_api_key else "qdrant.api_key"
    advice = f"check {spelled(where.name, 'qdrant.url')} and {spelled(where.name, with_key)}"
    with findings.trying("qdrant", advice), closing(_open(where.to_read)) as store:
        version, known = store.version(), len(store.collections())
        nodes = _nodes(store)
        apart = f", a cluster of {nodes} nodes (no native lane)" if nodes > 1 else ""
        findings.add(
            "qdrant",
            "ok",
            f"Qdrant {version} answers at {qdrant_place(where.vectors)}{apart}; {known:,} "
            f"{'collection' if known == 1 else 'collections'} can be read.",
        )
        identity = store.identity()
        _check_clock(store, findings, clock)
        if store.transport != "gRPC":
            findings.add("qdrant", "warning", f"Points travel over {store.transport}.")
    if identity is None:
        return None
    _check_keys(where, findings)
    if where.access == "write":
        advice = f"a target needs {spelled(where.name, 'qdrant.api_key')}, which may write"
        with findings.trying("qdrant", advice), closing(_open(where.vectors)) as store:
            _try_collection(store, findings)
    return identity


def _open(address: VectorAddress) -> ServerStore:
    return ServerStore.open(str(address.url), address.api_key, grpc_port=address.grpc_port)


def _nodes(store: ServerStore) -> int:
    """How many there are; 1 where the key may not ask."""
    try:
        return len(store.rest.get("/cluster").get("peers") or {}) or 1
    except WorkError:
        return 1


def _check_clock(store: ServerStore, findings: Findings, clock: Clock) -> None:
    """By the date of an answer, which the store itself has no use for."""
    with suppress(httpx.HTTPError):
        theirs = read_date(httpx.get(store.address()[0], timeout=10).headers.get("date"))
        if theirs is not None:
            compare(findings, "qdrant", "Qdrant", theirs, clock())


def _check_keys(where: Where, findings: Findings) -> None:
    """Which of the keys could write though they need not."""
    reading, writing = where.vectors.source_api_key, where.vectors.api_key
    keys: dict[str, str | None] = {"qdrant.read_only_api_key": reading} if reading else {}
    if where.access == "read" and (writing or not reading):
        keys["qdrant.api_key"] = writing
    for key, value in keys.items():
        with findings.trying("qdrant"), closing(_open(replace(where.vectors, api_key=value))) as it:
            if _may_write(it):
                whose = f"The key {spelled(where.name, key)}" if value else "Whoever has no key"
                findings.add(
                    "qdrant",
                    "warning",
                    f"{whose} could write there; one that only reads (`read_only_api_key` of "
                    "Qdrant's own configuration) is enough for a source.",
                )


def _may_write(store: ServerStore) -> bool:
    """Asked by removing what there is not: a snapshot of a collection that there is not. Qdrant
    (1.18, `src/actix/api/snapshot_api.rs`) looks at the key first and does nothing after."""
    absent = f"{CANARY}{secrets.token_hex(6)}"
    try:
        store.rest.ask("DELETE", "/snapshots/none", absent)
    except NotFound:
        return True
    except StoreUnavailable:
        raise
    except WorkError:
        return False
    return True


def _try_collection(store: VectorStore, findings: Findings) -> None:
    """Writes a collection with a point, reads it back and removes it, also where that fails."""
    name = f"{CANARY}{secrets.token_hex(6)}"
    point = Point(1, {"": _VECTOR}, {"written_by": "clone-pipeline environments check"})
    made = False
    try:
        store.create(name, _CONFIG)
        made = True
        store.upsert(name, [point])
        if store.retrieve(name, [1]) != [point]:
            raise StorageFailed("Qdrant does not have a point that was just written to it.")
    finally:
        _remove(store, name, findings, made=made)
    findings.add("qdrant", "ok", "A collection was written, read back and removed.")


def _remove(store: VectorStore, name: str, findings: Findings, *, made: bool) -> None:
    with findings.trying("qdrant", f"remove the collection {name} by hand, should it be there"):
        try:
            store.delete(name)
        except StoreUnavailable:
            raise
        except WorkError:
            if made:  # else it may not be made either, which is told
                raise
