"""The end of an archive: what its manifest lists goes, and nothing else that lies beside it."""

from __future__ import annotations

from hashlib import sha256

from ...errors import Conflict
from ...points.retry import Retry
from .manifest import MANIFEST, MOST_BYTES, is_part, parse_manifest
from .place import Place
from .state import STATE, unfinished_of


def remove_archive(place: Place, manifest: str, retry: Retry) -> int:
    """Removes an archive, which is known by the SHA-256 of its manifest; how many files went.

    The manifest goes last: it is what says what there is to remove, for whoever goes on where this
    was cut off. Until then whoever loads the archive is told of the part that is missing. Raises
    Conflict where another archive lies there.
    """
    stored = retry(lambda: place.read(MANIFEST, MOST_BYTES))
    if stored is None:
        place.tidy()
        return 0
    if sha256(stored.data).hexdigest() != manifest:
        raise Conflict(
            f"{place.address} holds another archive than the one that was written there; nothing "
            "is removed."
        )
    # A dump that was killed at its very end has left its notes.
    names = [*(part.name for part in parse_manifest(stored.data).parts), STATE, MANIFEST]
    return _remove(place, names, retry)


def remove_unfinished(place: Place, namespace_id: str, retry: Retry) -> int:
    """Removes what a dump of that namespace has left that never came to its end; how many files
    went: its parts, and its notes last. Nothing, where there is an archive, or no such notes."""
    names = retry(place.sizes)
    if MANIFEST in names or STATE not in names:
        return 0
    if unfinished_of(place) != namespace_id:
        return 0
    return _remove(place, [*filter(is_part, names), STATE], retry)


def _remove(place: Place, names: list[str], retry: Retry) -> int:
    there = retry(place.sizes)
    doomed = [name for name in names if name in there]
    for name in doomed:
        retry(lambda: place.remove(name))  # noqa: B023  # at once
    place.tidy()
    return len(doomed)
