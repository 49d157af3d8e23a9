"""What decides on the lane of a clone's points."""

from __future__ import annotations

from dataclasses import dataclass

from ..ledger.stored import StoredBase
from ..outputs import SourceRead

LIVE = "the live generation"


@dataclass(frozen=True)
class BaseSeen:
    """What was found of the base of the lane `delta`: the live generation that is replaced, or the
    last backup of the policy that asks for another one.

    `there`: there is such a one. `called`: in a sentence. `sealed`: proven point by point, with a
    last write that is known; `base` is None where it is not. `as_asked`: made of the same source,
    with the same options. `configured`: with the configuration that the clone gets.
    `namespace_id`: its own, where the clone gets another one; `payloads_to_change`: how many of its
    payloads name that; None: could not be counted. `quiet`: of what is live, the source as it was
    read for it, where nobody seems to have written to it since; its records seem the same too.
    """

    there: bool = True
    called: str = LIVE
    sealed: bool = True
    as_asked: bool = True
    configured: bool = True
    untouched: bool = True
    outdated: bool = False
    several_nodes: bool = False
    unsettled: bool = False
    namespace_id: str | None = None
    payloads_to_change: int | None = 0
    quiet: SourceRead | None = None
    base: StoredBase | None = None


NO_BASE = BaseSeen(there=False)


@dataclass(frozen=True)
class Situation:
    """What decides on the lane.

    `keeps_shard_keys`: whether the clone's Qdrant does. `payloads_to_change`: how many points name
    the source's namespace (or organization) in their payload; None: could not be counted. Of a
    source on another server: `key_only_reads`, `hands_over_key` where the clone's server would need
    the source's key, `same_version` of both servers. `lossy`:
    the vectors that cannot be proven equal after a copy through us. `located`: of a clone that
    `copies_files`, in how many payloads something stands where locations of files stand; None:
    could not be counted. `base`: what `delta` would begin with;
    None: not looked at yet.
    """

    collections: bool = True
    embedded: bool = False
    key_only_reads: bool = False
    hands_over_key: bool = False
    same_version: bool = True
    outdated: bool = False
    long_name: bool = False
    several_nodes: bool = False
    custom_sharding: bool = False
    keeps_shard_keys: bool = True
    unsettled: bool = False
    one_organization: bool = True
    preserves_ids: bool = True
    read_only_source_key: bool = False
    payloads_to_change: int | None = 0
    lossy: tuple[str, ...] = ()
    copies_files: bool = False
    located: int | None = 0
    base: BaseSeen | None = None
