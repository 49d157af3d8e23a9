"""What a collection's configuration demands of whoever reads and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .hidden import may_hide

# Several writers share a rate limit. A request that needs all of a minute's is overtaken by every
# smaller one.
_REQUESTS_A_MINUTE = 4

# What a strict mode says of what a collection holds (Qdrant 1.18).
_OF_CONTENT = {
    "max_points_count",
    "max_collection_vector_size_bytes",
    "max_collection_payload_size_bytes",
    "max_payload_index_count",
    "multivector_config",
    "sparse_config",
}

# So many ids in one request or answer.
MAX_IDS = 10_000
# A server that counts exactly holds a sorted set of all ids meanwhile (1.18, `read_filtered` of a
# shard), of which one with a hundred million points may die. More than these are read in pages.
MOST_COUNTED_AT_ONCE = 10_000_000


@dataclass(frozen=True)
class Limits:
    """How many points at most, by the kind of request; None: any number.

    `exact_count`: the server counts points one by one when it is asked to. `hides`: it may hide
    points (see `hidden.py`).
    """

    scroll: int | None = None
    upsert: int | None = None
    retrieve: int | None = None
    delete: int | None = None
    exact_count: bool = True
    hides: bool = False

    @classmethod
    def of(cls, config: dict[str, Any]) -> Limits:
        """From the `config` that the server tells. A rate limit counts points, but pages."""
        hides = may_hide(config.get("optimizer_config"))
        strict_mode = config.get("strict_mode_config")
        if not strict_mode or not strict_mode.get("enabled"):
            return cls(hides=hides)
        written = _share(strict_mode.get("write_rate_limit"))
        batch = strict_mode.get("upsert_max_batchsize")
        return cls(
            scroll=strict_mode.get("max_query_limit"),
            upsert=min((most for most in (batch, written) if most), default=None),
            retrieve=_share(strict_mode.get("read_rate_limit")),
            delete=written,
            exact_count=strict_mode.get("search_allow_exact") is not False,
            hides=hides,
        )


def while_loading(strict_mode: dict[str, Any]) -> dict[str, Any]:
    """A `strict_mode_config` without what it says of the content: a collection may hold more than
    it allows by now, as it was set later, or is looked at seldom."""
    return {key: value for key, value in strict_mode.items() if key not in _OF_CONTENT}


def _share(rate_limit: int | None) -> int | None:
    return None if rate_limit is None else max(1, rate_limit // _REQUESTS_A_MINUTE)
