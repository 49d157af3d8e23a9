"""What is in pieces is read as one file, by whoever wants to know its size or reads it twice."""

from __future__ import annotations

import io
from hashlib import sha256

import pytest

from clone_pipeline.core.bundle.archive.pieces import Joined, Pieces, checksum_of
from clone_pipeline.core.bundle.archive.place import Place

PIECES = [b"", b"one", b"", b"two and", b"three", b""]
WHOLE = b"".join(PIECES)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100, -1])
def test_it_reads_as_what_the_pieces_are_together(size: int) -> None:
    file = Joined(PIECES)
    for _ in range(2):
        assert b"".join(iter(lambda: file.read(size) or b"", b"")) == WHOLE
        assert file.tell() == len(WHOLE)
        file.seek(0)


@pytest.mark.parametrize("at", range(len(WHOLE) + 1))
def test_it_reads_from_anywhere(at: int) -> None:
    file = Joined(PIECES)
    assert file.seek(at - len(WHOLE), io.SEEK_END) == at
    assert file.read() == WHOLE[at:]


@pytest.mark.parametrize("pieces", [[], [b""]])
def test_it_may_hold_nothing(pieces: Pieces) -> None:
    file = Joined(pieces)
    assert (file.seek(0, io.SEEK_END), file.read()) == (0, b"")


def test_its_checksum_is_that_of_the_whole() -> None:
    assert checksum_of(PIECES) == sha256(WHOLE).hexdigest()


def test_a_place_puts_them_together(place: Place) -> None:
    pieces = [bytes([number]) * 50_000 for number in range(100)]
    place.write("x", pieces)
    stored = place.read("x", 10_000_000)
    assert stored is not None
    assert stored.data == b"".join(pieces)
