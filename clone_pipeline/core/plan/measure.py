"""The whole plan: a draft, with its points, the lane they take, and how they will be proven."""

from __future__ import annotations

from dataclasses import replace

from ..errors import InvalidRequest
from ..generations.alias import check_alias
from ..references import Rewriter
from ..refresh.marks import mark
from ..request import CloneRequest
from ..source import is_on_same_server, open_source, read_config, source_environment
from ..stores import Stores
from ..vectors.equality import rule
from ..vectors.port import VectorStore
from ..vectors.slices import cut, shard_keys
from .base import choose_with_base, only_if_quiet, sealed_base
from .draft import asked_lane, situation_of
from .files import FilesPlan, measure_files
from .lane import DISK, observe
from .plan import Plan
from .restore import check_whole, sentences
from .warnings import warnings

# Small on purpose: a first page tells the size of a point well enough for an estimate.
_SAMPLED_POINTS = 100


def measure_points(stores: Stores, draft: Plan, policy: str | None = None) -> Plan:
    """The whole plan: with the points, their configuration and how they will be proven.

    Raises StoreUnavailable, StorageFailed, and what is wrong with the points.
    """
    request, source = draft.request, draft.source
    with (
        stores.vectors() as target,
        open_source(stores, target, source, source_environment(request)) as store,
    ):
        _refuse_same_server(stores, request, target, store)
        # A key that the target does not know is told before anything is written.
        target.exists(source.qdrant_collection)
        # An alias may be switched to another collection while this one is copied.
        collection = store.resolve(source.qdrant_collection)
        stored = read_config(store, source, collection)
        with stores.catalog.read() as connection:
            check_alias(
                connection,
                target,
                request,
                draft.target_organization_id,
                draft.replaces,
                may_take=draft.may_take_alias,
            )
        config = Rewriter(draft.id_map).rewrite_qdrant_config(stored)
        # Before anything is read: what is written from now on is seen by comparing with it.
        source_mark, segments = mark(store, collection), store.segments(collection)
        points, point_bytes = _measure_points(store, collection, request)
        keys = shard_keys(config)
        slices = cut(store, collection, points, keys)
        equality = rule(target.embedded or store.embedded, config)
        known = situation_of(stores, request, source, draft.id_map)
        known = replace(
            known,
            lossy=tuple(equality.refused),
            custom_sharding=keys is not None,
            keeps_shard_keys=keys is None or target.keeps_shard_keys(),
        )
        asked = asked_lane(request, source)
        same_server = is_on_same_server(stores, source, source_environment(request))
        theirs = target.native if same_server else store.native
        seen = observe(asked, known, target.native, collection, draft.id_map, theirs)
        with stores.catalog.read() as connection:
            sealed = sealed_base(connection, draft, policy, config)
        sealed = only_if_quiet(sealed, store, target, collection, source_mark, stores.clock())
        lane, base = choose_with_base(asked, seen, sealed, target, draft.id_map)
        inside = "inside Qdrant" if same_server else "from Qdrant to Qdrant"
        transport = inside if lane.name == "native" else store.transport
        notes = [*lane.warnings, *_alias_warnings(store.aliases(collection))]
    files = _measure_files(stores, draft)
    # At its peak; which way a copy inside Qdrant will take is not known before.
    times = 1 if lane.name == "stream" else DISK["relayed"]
    needed = draft.bytes["disk_needed"] + point_bytes * times
    counts = {**draft.counts, "points": points}
    return replace(
        draft,
        counts=counts,
        bytes={**draft.bytes, "points": point_bytes, "disk_needed": needed},
        qdrant_config=config,
        source_collection=collection,
        equality=equality.sentence,
        lane=lane.name,
        lane_reason=lane.reason,
        base=base,
        transport=transport,
        slices=slices,
        source_mark=source_mark,
        source_segments=segments,
        files=files,
        warnings=[
            *check_whole(draft.reinstated, source, counts, draft.replaces),
            *sentences(draft.reinstated),
            *notes,
            *([] if files is None else files.sentences),
            *warnings(request, draft.resources, draft.references, counts),
        ],
    )


def _refuse_same_server(
    stores: Stores, request: CloneRequest, target: VectorStore, source: VectorStore
) -> None:
    """Two environments on one Qdrant are one, whatever their catalogs say: what is made in the one
    takes room and time from the other. Raises InvalidRequest."""
    where = stores.source(source_environment(request))
    if where is not stores and source.identity() == target.identity():
        raise InvalidRequest(
            f"The environments {where.environment!r} and {stores.environment!r} have the same "
            "Qdrant; give the target one of its own."
        )


def _measure_files(stores: Stores, draft: Plan) -> FilesPlan | None:
    """Raises what the object stores raise, and NotFound for a bucket that is not there."""
    root = draft.id_map.files
    if root is None:
        return None
    where = stores.source(source_environment(draft.request))
    count = draft.counts["objects"]
    with where.catalog.read() as connection:
        return measure_files(
            connection, draft.source.key, count, where.files, stores.files, root.root
        )


def _measure_points(store: VectorStore, collection: str, request: CloneRequest) -> tuple[int, int]:
    if not request.include_resources.collections:
        return 0, 0
    count = store.count(collection)
    sample = list(store.read(collection, _SAMPLED_POINTS).points) if count else []
    if not sample:
        return count, 0
    return count, count * sum(len(point.encoded) for point in sample) // len(sample)


def _alias_warnings(aliases: list[str]) -> list[str]:
    return [
        f"The alias {alias!r} points at the source's Qdrant collection; what searches through it "
        "goes on searching the source."
        for alias in aliases
    ]
