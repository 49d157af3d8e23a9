"""Lines as parts of bounded size, compressed, with their checksums; and back."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from hashlib import sha256

from ...errors import BundleError
from ...points.retry import Retry
from ...vectors.digest import Digest
from ...vectors.point import PointId, ShardKey
from .manifest import MANIFEST, Part, part_name
from .pieces import Pieces, checksum_of
from .place import Place
from .zstd import CompressionParameter, ZstdCompressor, ZstdError, ZstdFile

# Of lines, before they are compressed; a part holds one at least. As large as a page of points may
# be in memory several times over, and small enough to be sent again.
PART_BYTES = 32 * 1024 * 1024
# Digits of numbers, which most of it is, do not get smaller by more work (benchmarks/archives.py).
_LEVEL = 1
_UNPACKED_AT_ONCE = 1024 * 1024


class Open:
    """A part that is being filled; with points of one shard key, where there are any."""

    def __init__(self, shard_key: ShardKey | None = None) -> None:
        self._shard_key = shard_key
        self._compressor = ZstdCompressor(
            options={
                CompressionParameter.compression_level: _LEVEL,
                CompressionParameter.checksum_flag: 1,
            }
        )
        self._chunks: list[bytes] = []
        self._bytes = 0
        self.lines = 0
        self.digest: Digest | None = None
        self.first: PointId | None = None

    @property
    def is_full(self) -> bool:
        return self._bytes >= PART_BYTES

    def add(self, line: bytes) -> None:
        self._bytes += len(line)
        self.lines += 1
        if chunk := self._compressor.compress(line):
            self._chunks.append(chunk)

    def add_point(self, point_id: PointId, line: bytes, digest: int) -> None:
        if self.digest is None:
            self.digest, self.first = Digest(), point_id
        self.digest.add(digest)
        self.add(line)

    def close(self, stem: str, piece: int, number: int) -> tuple[Part, Pieces]:
        """The part, and what it holds."""
        data = [*self._chunks, self._compressor.flush()]
        checksum = checksum_of(data)
        part = Part(
            name=part_name(stem, piece, number, checksum),
            bytes=sum(map(len, data)),
            lines=self.lines,
            sha256=checksum,
            first=self.first,
            digest=None if self.digest is None else self.digest.hexdigest(),
            shard_key=self._shard_key,
        )
        return part, data


def write_lines(place: Place, retry: Retry, stem: str, lines: Iterable[bytes]) -> list[Part]:
    """The parts of a file; none for no lines."""
    parts: list[Part] = []
    current = Open()
    for line in lines:
        if current.is_full:
            parts.append(store(place, retry, current, stem, 0, len(parts)))
            current = Open()
        current.add(line)
    if current.lines:
        parts.append(store(place, retry, current, stem, 0, len(parts)))
    return parts


def store(place: Place, retry: Retry, filled: Open, stem: str, piece: int, number: int) -> Part:
    part, data = filled.close(stem, piece, number)
    retry(lambda: place.write(part.name, data))
    return part


def fits(place: Place, part: Part) -> bool:
    """Whether a part is there as it was written."""
    stored = place.read(part.name, part.bytes)
    return stored is not None and sha256(stored.data).hexdigest() == part.sha256


def read_part(place: Place, part: Part) -> io.BufferedIOBase:
    """The lines of a part, which is as it was written. Raises BundleError."""
    stored = place.read(part.name, part.bytes)
    if stored is None:
        raise BundleError("is missing", part.name)
    if len(stored.data) != part.bytes or sha256(stored.data).hexdigest() != part.sha256:
        raise BundleError(f"is damaged: its checksum is not the one in {MANIFEST}", part.name)
    # Each time that more is unpacked, other threads take the interpreter.
    return io.BufferedReader(ZstdFile(io.BytesIO(stored.data)), _UNPACKED_AT_ONCE)


def unpacked(opened: io.BufferedIOBase, part: Part, most: int) -> Iterator[bytes]:
    """Its lines, none of which is longer than `most` bytes. Raises BundleError."""
    number = 0
    try:
        while raw := opened.readline(most + 1):
            number += 1
            if len(raw) > most:
                raise BundleError(f"is longer than {most} bytes", part.name, number)
            yield raw
    except (ZstdError, EOFError):
        raise BundleError("is not compressed as the parts of an archive are", part.name) from None
    if number != part.lines:
        reason = f"has {number} lines, and {MANIFEST} says {part.lines}"
        raise BundleError(reason, part.name)
