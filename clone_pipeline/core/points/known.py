"""What is known of the points that a clone has: the id and a digest of each, in the order of ids.

An entry has 25 bytes: 17 for the id, which sort as the stores sort ids, and the lower 8 of the
point's digest. So one changed point in 2^64 looks unchanged; the proof, which knows whole digests,
finds it.
"""

from __future__ import annotations

from uuid import UUID

from ..vectors.point import PointId

_INTEGER, _UUID = b"\0", b"\1"
_ID_BYTES, _DIGEST_BYTES = 17, 8
_ENTRY_BYTES = _ID_BYTES + _DIGEST_BYTES
_DIGESTS = 2**64


def key(point_id: PointId) -> bytes:
    """The id, so that bytes sort as ids do."""
    if isinstance(point_id, str):
        return _UUID + bytes.fromhex(point_id.replace("-", ""))
    return _INTEGER + point_id.to_bytes(_ID_BYTES - 1, "big")


def _id(key: bytes) -> PointId:
    if key[:1] == _INTEGER:
        return int.from_bytes(key[1:], "big")
    return str(UUID(bytes=key[1:]))


def entry(point_id: PointId, digest: int) -> bytes:
    return key(point_id) + short(digest)


def short(digest: int) -> bytes:
    """What is kept of a digest."""
    return (digest % _DIGESTS).to_bytes(_DIGEST_BYTES, "big")


class Known:
    """Entries that are gone through once, side by side with the points of the source.

    `entries` ascend; of them those from `first` (None: the lowest) to before `until` (None: to the
    end) count.
    """

    def __init__(
        self, entries: bytes, first: PointId | None = None, until: PointId | None = None
    ) -> None:
        self._entries = entries
        self._at = 0 if first is None else self._place(first)
        self._end = len(entries) if until is None else self._place(until)

    def _place(self, point_id: PointId) -> int:
        """Where the first entry stands that is not before this id."""
        wanted, low, high = key(point_id), 0, len(self._entries) // _ENTRY_BYTES
        while low < high:
            middle = (low + high) // 2
            if self._key(middle * _ENTRY_BYTES) < wanted:
                low = middle + 1
            else:
                high = middle
        return low * _ENTRY_BYTES

    def _key(self, at: int) -> bytes:
        return self._entries[at : at + _ID_BYTES]

    def pass_to(self, point_id: PointId | None) -> list[PointId]:
        """Goes on to that id (None: to the end). Returns the ids in between."""
        passed = []
        until = None if point_id is None else key(point_id)
        while self._at < self._end and (until is None or self._key(self._at) < until):
            passed.append(_id(self._key(self._at)))
            self._at += _ENTRY_BYTES
        return passed

    def take(self, point_id: PointId) -> bytes | None:
        """What is kept of the digest of that point, which is the next one; None: it is not there.
        To be called after `pass_to`."""
        at = self._at
        if at >= self._end or self._key(at) != key(point_id):
            return None
        self._at += _ENTRY_BYTES
        return self._entries[at + _ID_BYTES : self._at]
