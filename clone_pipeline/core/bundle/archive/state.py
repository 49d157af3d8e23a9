"""How far an unfinished dump is: its own file, beside its parts, until its manifest is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import Conflict, InProgress
from ...points.retry import Retry
from ...vectors.slices import Slice, from_firsts
from .manifest import (
    MANIFEST,
    MOST_BYTES,
    VERSION,
    VERSIONS,
    WITH_SHARD_KEYS,
    Part,
    is_part,
)
from .place import NOTHING, Changed, Place

STATE = "unfinished.json"


class Piece(BaseModel):
    """What is done of one slice of the points: its parts, and where to go on (None: it is done)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parts: list[Part] = []
    next: int | str | None = None


class _State(BaseModel):
    """`mark` tells the points that the parts were read from, null where the store cannot; `firsts`
    are the ids at which they were cut into slices; with shard keys it is `slices` that tell."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["clone-pipeline archive, unfinished"] = "clone-pipeline archive, unfinished"
    version: int = VERSION
    namespace_id: str
    mark: str | None
    firsts: Sequence[int | str] = ()
    slices: Sequence[dict[str, Any]] | None = None
    pieces: dict[str, Piece] = {}


class Unfinished:
    """The state of the dump that is being written here. Safe for its threads; of two dumps into
    one place the one that began later goes on, and the other one hears of it."""

    def __init__(self, place: Place, state: _State, version: str, retry: Retry) -> None:
        self._place = place
        self._state = state
        self._version = version
        self._retry = retry
        self._writing = threading.Lock()

    @property
    def slices(self) -> list[Slice]:
        """As they were when the dump began."""
        if self._state.slices is None:
            return from_firsts(self._state.firsts)
        return [Slice.from_json(index, one) for index, one in enumerate(self._state.slices)]

    @property
    def pieces(self) -> Mapping[str, Piece]:
        return self._state.pieces

    @property
    def parts(self) -> list[Part]:
        """Of the points, all that are written."""
        return [part for piece in self._state.pieces.values() for part in piece.parts]

    def store(self, piece: str, done: Piece) -> None:
        """The checkpoint of a slice, after its parts. Raises InProgress."""
        with self._writing:
            self._state.pieces[piece] = done
            self.write()

    def write(self) -> None:
        """Raises InProgress where another dump has written here since."""
        data = self._state.model_dump_json().encode()
        try:
            self._version = self._retry(lambda: self._place.write(STATE, [data], self._version))
        except Changed:
            there = self._retry(lambda: self._place.read(STATE, MOST_BYTES))
            # Where an answer was lost, it was tried again and is there already.
            if there is None or there.data != data:
                raise InProgress(
                    f"Another dump into {self._place.address} began; this one stops."
                ) from None
            self._version = there.version


def begin(
    place: Place, namespace_id: str, mark: str | None, slices: Sequence[Slice], retry: Retry
) -> Unfinished:
    """Goes on with the unfinished dump of just these points, or begins one.

    Raises Conflict where there is an archive, a dump of another namespace, or anything that is not
    ours; InProgress.
    """
    refuse_foreign(place)
    stored = place.read(STATE, MOST_BYTES)
    before = None if stored is None else _parse(place, stored.data)
    if before is not None and before.namespace_id != namespace_id:
        raise Conflict(
            f"{place.address} holds an unfinished dump of {before.namespace_id}; name a new place."
        )
    if before is not None and mark is not None and before.mark == mark:
        state = before
    else:
        state = _State(namespace_id=namespace_id, mark=mark, **_bounds(slices))
    unfinished = Unfinished(place, state, NOTHING if stored is None else stored.version, retry)
    # Also where it goes on: whoever else was at it hears of it.
    unfinished.write()
    return unfinished


def _bounds(slices: Sequence[Slice]) -> dict[str, Any]:
    if any(part.shard_key is not None for part in slices):
        bounds = [part.to_json() for part in slices]
        return {"version": WITH_SHARD_KEYS, "slices": bounds}
    return {"firsts": [part.first for part in slices if part.first is not None]}


def unfinished_of(place: Place) -> str | None:
    """The id of the namespace of which an unfinished dump lies here; None where none does. Raises
    Conflict for notes that are not ours."""
    stored = place.read(STATE, MOST_BYTES)
    return None if stored is None else _parse(place, stored.data).namespace_id


def refuse_foreign(place: Place) -> None:
    """Raises Conflict where something is there that an unfinished dump cannot have left."""
    names = place.sizes()
    if MANIFEST in names:
        raise Conflict(f"{place.address} holds an archive already; name a new place.")
    foreign = next((name for name in sorted(names) if name != STATE and not is_part(name)), None)
    if foreign is not None or (names and STATE not in names):
        found = foreign or min(names)
        raise Conflict(
            f"{place.address} holds {found!r}, which no dump of this namespace has left there; "
            "name a new place."
        )


def mark_of(*known: str | None) -> str:
    """One short text for where points are and what they are known by."""
    return sha256(json.dumps(known).encode()).hexdigest()


def _parse(place: Place, data: bytes) -> _State:
    try:
        state = _State.model_validate_json(data)
    except ValidationError:
        state = None
    if state is None or state.version not in VERSIONS:
        raise Conflict(
            f"{place.address} holds {STATE!r}, which this program has not written; name a new "
            "place."
        )
    return state
