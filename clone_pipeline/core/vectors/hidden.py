"""Points that a Qdrant server has taken, and hides until they are indexed.

That is what `optimizers_config.prevent_unoptimized` asks for: beyond `indexing_threshold`, a point
that was written is neither read nor counted before the optimizer has come to it, and *for a while
nor is the one whose place it takes*; a write that is waited for takes until then. The same after a
restart, of whatever was not indexed by then (1.18.3, measured). So what is read meanwhile looks
whole and is not.

What a segment hides it goes on hiding when the setting is taken back, and the server may have the
setting for all its collections (`storage.optimizers_overwrite`): then only the segments tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StoreUnavailable

_SETTING = "prevent_unoptimized"
# How often is looked while the server indexes them.
_LOOK_SECONDS = 2.0
# What a collection is called that is being indexed, or would be if it had threads for that.
_INDEXING = "yellow"


def may_hide(optimizers: Mapping[str, Any] | None) -> bool:
    """Whether a collection with these `optimizers_config` may."""
    return bool(optimizers and optimizers.get(_SETTING))


def shown(optimizers: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a collection that is being loaded, which shows every point at once."""
    return {**optimizers, _SETTING: False} if may_hide(optimizers) else {**optimizers}


def loaded(optimizers: Mapping[str, Any] | None) -> dict[str, Any]:
    """What has to be set for it at the end of the load. What the collection has by then stays shown
    (1.18.3, measured)."""
    return {_SETTING: True} if may_hide(optimizers) else {}


def refuse_hidden(
    where: str, collection: str, told: Mapping[str, Any], in_segments: int = 0
) -> None:
    """Raises StoreUnavailable where the server hides points; it asks to wait as long as it indexes.
    `told` is what it tells of the collection, `in_segments` how many its segments hide."""
    hidden = (told.get("update_queue") or {}).get("deferred_points") or in_segments
    if not hidden:
        return
    threads = told["config"]["optimizer_config"].get("max_optimization_threads")
    fine = (told["status"], told["optimizer_status"]) == (_INDEXING, "ok")
    indexes = fine and threads != 0
    now = "and is indexing them" if indexes else "but does not index them now"
    raise StoreUnavailable(
        f"{where} hides {hidden:,} points of {collection} until they are indexed "
        f"(`{_SETTING}`), {now}.",
        retry_after=_LOOK_SECONDS if indexes else None,
    )
