"""What a file is to hold, in pieces that are never put together."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Any

# Many megabytes at once, come and gone in several threads, leave holes between what stays: glibc
# gives them back at once only until it has seen some (mallopt(3), M_MMAP_THRESHOLD).
Pieces = Sequence[bytes]


def checksum_of(pieces: Pieces) -> str:
    checksum = sha256()
    for piece in pieces:
        checksum.update(piece)
    return checksum.hexdigest()


class Joined(io.RawIOBase):
    """Pieces as a file to be read, more than once and from anywhere."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = self._ends[-1] if self._ends else 0
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._ends, self._at)
        if number == len(self._pieces):
            return 0
        start = self._at - self._ends[number] + len(self._pieces[number])
        some = memoryview(self._pieces[number])[start : start + len(buffer)]
        buffer[: len(some)] = some
        self._at += len(some)
        return len(some)
