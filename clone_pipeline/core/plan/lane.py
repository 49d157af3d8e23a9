"""Which lane the points of a clone take: one table, the first row that fits decides.

`stream` goes through us and rewrites payloads on the way; `native` copies inside the Qdrant server,
or from one to the other, and keeps the index, but can change nothing. Where points would be
streamed for a refresh or another backup, `delta` (see `delta.py`) writes only those that have
changed. docs/lanes.md shows the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InvalidRequest, WorkError
from ..references import IdMap
from ..references.rewriter import payload_rows
from ..words import Option, Part
from .delta import obstacle
from .situation import Situation

if TYPE_CHECKING:
    from ..vectors.native import NativeLane

Name = Literal["stream", "native", "delta"]
Asked = Literal["auto", "stream", "native", "delta"]

# What the native lane writes while it runs, in sizes of the source's Qdrant collection on disk.
DISK = {"pulled": 1, "relayed": 2}

# A file's name may have 255 bytes. Qdrant 1.18 adds shard, time and more to the collection's name:
# with shard 0 it fails from 207 on.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Row:
    """`allowed`: whether `lane: native` on request may be. `reason` ends "..., because"."""

    situation: str
    fits: Callable[[Situation], bool]
    auto: Name | Literal["refused"]
    allowed: bool
    reason: str


@dataclass(frozen=True)
class Lane:
    name: Name
    reason: str
    warnings: tuple[str, ...] = ()


TABLE = (
    Row(
        "`include_resources.collections` is off", lambda it: not it.collections,
        "stream", False, "no points are copied",
    ),
    Row(
        "the collection has custom sharding, and the clone's Qdrant keeps no shard keys",
        lambda it: it.custom_sharding and not it.keeps_shard_keys,
        "refused", False,
        "the points are in shard keys, which only a Qdrant server with `cluster.enabled: true` "
        "has, and the clone's is none",
    ),
    Row(
        "the collection has custom sharding", lambda it: it.custom_sharding and it.keeps_shard_keys,
        "stream", False,
        "Qdrant loses the points of shard keys under a new name (qdrant#10135)",
    ),
    Row(
        "Qdrant is embedded", lambda it: it.embedded,
        "stream", False, "it needs a Qdrant server: the embedded Qdrant has no snapshots",
    ),
    Row(
        "the source is on another Qdrant server, and is read with a key that only reads",
        lambda it: it.key_only_reads,
        "stream", False, "a Qdrant server gives out snapshots only to a key that may write",
    ),
    Row(
        "the source is on another Qdrant server, of another version",
        lambda it: not it.same_version,
        "stream", False, "the source and the clone are on Qdrant servers of different versions",
    ),
    Row(
        "the server is older than 1.13", lambda it: it.outdated,
        "stream", False, "a Qdrant server before 1.13 cannot stream a shard's snapshot",
    ),
    Row(
        "the name of the source's Qdrant collection has more than 200 bytes",
        lambda it: it.long_name,
        "stream", False,
        "a Qdrant server cannot name the files of a snapshot after so long a collection's name",
    ),
    Row(
        "the Qdrant cluster has several nodes", lambda it: it.several_nodes,
        "stream", False, "snapshots of several nodes are not of one moment",
    ),
    Row(
        "shards are being moved, split or repaired", lambda it: it.unsettled,
        "stream", False, "not all shards of the source are active and in their place",
    ),
    Row(
        "the clone lands in another organization", lambda it: not it.one_organization,
        "stream", False, "payloads must not keep another organization's ids",
    ),
    Row(
        "`preserve_resource_ids` is off, and the source is no adopted collection",
        lambda it: not it.preserves_ids,
        "stream", False, "the ids in payloads change, unless all ids are preserved",
    ),
    Row(
        "`files` is `copy`, and payloads may hold locations of files",
        lambda it: it.copies_files and it.located != 0,
        "stream", False, "the locations of files in payloads change when files are copied",
    ),
    Row(
        "the source is on another Qdrant server, which asks for a key",
        lambda it: it.hands_over_key,
        "stream", True,
        "the clone's Qdrant server would be given the source's key, to read the shards with",
    ),
    Row(
        "`QDRANT_SOURCE_API_KEY` is set", lambda it: it.read_only_source_key,
        "stream", True,
        "QDRANT_SOURCE_API_KEY says that sources are only read, and a snapshot needs more",
    ),
    Row(
        "payloads that would change cannot be counted", lambda it: it.payloads_to_change is None,
        "stream", True, "the server does not count which payloads name the source's namespace",
    ),
    Row(
        "payloads name the source's namespace, or hold presigned URLs",
        lambda it: bool(it.payloads_to_change),
        "stream", True,
        "payloads name the source's namespace or hold presigned URLs, which no clone may keep",
    ),
    Row(
        "everything else", lambda it: True,
        "native", True, "nothing in the points changes, so that the index can be kept",
    ),
)  # fmt: skip


def choose_lane(asked: Asked, it: Situation) -> Lane:
    """The lane, and why. Raises InvalidRequest where the one that is asked for cannot be."""
    row = next(row for row in TABLE if row.fits(it))
    if asked == "native":
        if not row.allowed:
            raise InvalidRequest(
                Option("lane", "native"),
                f" is not possible here, because {row.reason}; use `auto` or `stream`.",
            )
        return Lane("native", "asked for", _told(it))
    if row.auto == "refused":
        raise InvalidRequest(
            f"The points cannot be copied, because {row.reason}; leave collections out with ",
            Option("include_resources.collections", "false"),
            ".",
        )
    if asked == "auto" and row.auto == "native" and not _leaves_alone(it):
        return Lane("native", row.reason)
    if it.lossy and it.collections:
        raise InvalidRequest(*_lossy(it.lossy, row))
    if asked == "stream":
        return Lane("stream", "asked for")
    return _delta_or_stream(asked, it, row)


def _leaves_alone(it: Situation) -> bool:
    """Whether what is live can stay as it is, which costs less still than a native copy. Should its
    points have to be copied after all, it is by the lane `delta`."""
    base = it.base
    return base is not None and base.quiet is not None and not it.lossy and not obstacle(it, base)


def _delta_or_stream(asked: Asked, it: Situation, row: Row) -> Lane:
    if it.base is None:
        return Lane("delta", "asked for") if asked == "delta" else Lane("stream", row.reason)
    hindered = obstacle(it, it.base)
    if hindered is None:
        it_or_source = "it" if it.base.quiet is None else "it or the source"
        reason = f"{it.base.called} was proven, and nobody has written to {it_or_source} since"
        return Lane("delta", reason)
    reason = hindered.told(it.base.called)
    if asked == "delta":
        raise InvalidRequest(
            Option("lane", "delta"),
            f" is not possible here, because {reason}; use `auto` or `stream`.",
        )
    if not it.base.there:
        return Lane("stream", row.reason)
    return Lane("stream", f"{row.reason}; and not delta, because {reason}")


def _told(it: Situation) -> tuple[str, ...]:
    """What whoever asks for the native lane has to know of it."""
    handed = (
        "The clone's Qdrant server is given the key of the source's Qdrant, to read the shards "
        "with.",
    )
    return (*_kept(it), *(handed if it.hands_over_key else ()))


def _kept(it: Situation) -> tuple[str, ...]:
    if it.payloads_to_change == 0:
        return ()
    count = it.payloads_to_change
    who = (
        "Points may" if count is None else "1 point will" if count == 1 else f"{count} points will"
    )
    return (
        f"{who} keep the source's namespace (`_internal.namespace_id`) or presigned URLs in their "
        "payload, because the native lane does not touch payloads.",
    )


def _lossy(names: tuple[str, ...], row: Row) -> list[Part]:
    listed = ", ".join(name or '""' for name in names)
    sentence = (
        f"The vectors {listed} are stored lossily, so that a copy through the stream lane cannot "
        "be proven; "
    )
    if row.allowed:
        return [sentence, "use ", Option("lane", "native"), "."]
    return [
        sentence,
        "leave collections out with ",
        Option("include_resources.collections", "false"),
        f" (the native lane is not possible here, because {row.reason}).",
    ]


# ---- observing -------------------------------------------------------------------------------


def observe(
    asked: Asked,
    known: Situation,
    native: NativeLane | None,
    collection: str,
    ids: IdMap,
    source: NativeLane | None = None,
) -> Situation:
    """`known` with what only the server can tell: its nodes, the shards and the payloads.

    Asks for no more than the choice needs: counting payloads reads all of them. `native` is that of
    the store with the key that would copy, `source` that of the server with the collection where it
    is another one. Raises NotFound, StoreUnavailable, WorkError.
    """
    if native is None or asked in ("stream", "delta"):
        return known
    if not _open(asked, replace(known, payloads_to_change=0, located=0)):
        return known
    there = source or native
    layout = there.layout(collection)
    node = layout.node if there == native else native.node()
    seen = replace(
        known,
        same_version=layout.node.version == node.version,
        outdated=layout.outdated,
        long_name=len(collection.encode()) > _LONGEST_NAME,
        several_nodes=layout.several_nodes or node.several,
        custom_sharding=layout.custom_sharding,
        unsettled=layout.unsettled,
        payloads_to_change=0,
        located=0,
    )
    if not _open(asked, seen):
        return seen
    if known.copies_files:
        seen = replace(seen, located=_count(there, collection, _locations(ids)))
        if not _open(asked, seen):
            return seen
    return replace(seen, payloads_to_change=count_payloads(there, collection, ids))


def _open(asked: Asked, it: Situation) -> bool:
    """Whether the points may still travel natively."""
    row = next(row for row in TABLE if row.fits(it))
    return row.allowed if asked == "native" else row.auto == "native"


def count_payloads(native: NativeLane, collection: str, ids: IdMap) -> int | None:
    """How many payloads name the source's namespace or organization where a clone has its own, or
    hold a presigned URL.

    None where the server refuses to count or takes too long: strict mode may forbid conditions on
    fields without an index.
    """
    return _count(native, collection, _conditions(ids))


def _count(native: NativeLane, collection: str, conditions: list[dict[str, Any]]) -> int | None:
    if not conditions:
        return 0
    try:
        return native.server.count(collection, {"should": conditions})
    except WorkError:
        return None


def _locations(ids: IdMap) -> list[dict[str, Any]]:
    """For every place of the table that holds the location of a file: that there is something."""
    return [
        {"must_not": [{"is_empty": {"key": row.path}}]}
        for row in payload_rows(ids)
        if row.shape == "location"
    ]


def _conditions(ids: IdMap) -> list[dict[str, Any]]:
    """For every place of the table that holds such an id, what the rewriting would change."""
    pairs = {"namespace": ids.namespace, "organization": ids.organization}
    changed = [old for old, new in pairs.values() if old != new]
    found: list[dict[str, Any]] = []
    for row in payload_rows(ids):
        if row.shape == "typed id":
            found.append({"key": row.path, "match": {"any": changed}})
        elif row.shape == "signed url":
            found.append({"must_not": [{"is_empty": {"key": row.path}}]})
        elif row.target not in pairs:
            continue
        elif row.shape == "set":
            own = {"key": row.path, "match": {"value": pairs[row.target][1]}}
            nothing = {"is_empty": {"key": row.path}}
            found.append({"must_not": [own, nothing]})
            # Null and [] count as empty, and a list matches by any of its items.
            found.append({"key": row.path, "values_count": {"lt": 1}})
            found.append({"must_not": [{"is_empty": {"key": f"{row.path}[]"}}]})
        elif row.shape == "id" and pairs[row.target][0] in changed:
            found.append({"key": row.path, "match": {"value": pairs[row.target][0]}})
    return found
