"""Where an archive lies: files below one address, outside of which nothing is ever touched."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .pieces import Pieces

# Of `write`: whatever there is, and nothing.
ANYTHING, NOTHING = "anything", ""


class Changed(Exception):
    """What was to be written over is not what is there."""


class Stored(NamedTuple):
    """What a file holds, and its version."""

    data: bytes
    version: str


class Place(Protocol):
    """Files by name. Safe to use from several threads.

    Raises NotFound, Forbidden and InvalidRequest for an address that cannot be used,
    StoreUnavailable where it cannot be reached, StorageFailed where it cannot be read or written.
    """

    address: str

    def close(self) -> None: ...

    def sizes(self) -> dict[str, int]:
        """The size of everything that is below the address, by name."""
        ...

    def read(self, name: str, most: int) -> Stored | None:
        """A file, up to one byte more than `most`; None where there is none."""
        ...

    def write(self, name: str, data: Pieces, over: str = ANYTHING) -> str:
        """Writes a file, durable and whole when this returns; its version. Raises Changed where
        what is there has not the version `over`."""
        ...

    def remove(self, name: str) -> None: ...

    def tidy(self) -> None:
        """Leaves nothing of a place in which nothing is."""
        ...
