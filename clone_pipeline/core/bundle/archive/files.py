"""An archive as the files of a bundle, for whoever reads one."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog.documents import Document
from ...errors import BundleError
from ..files import MAX_LINE, POINTS, Line, decoder_of, parse
from .manifest import Manifest, Part, read_manifest
from .parts import read_part, unpacked
from .place import Place


class ArchiveFiles:
    """The files of an archive, whose parts are fetched one at a time and checked each time."""

    def __init__(self, place: Place) -> None:
        """Raises BundleError for a manifest that is missing or broken, and a part that is missing
        or of another size."""
        self._place = place
        self.manifest: Manifest = read_manifest(place)
        self.skipped = frozenset[str]()  # parts that the checked reading leaves out

    def document(self, file: str) -> Document | None:
        lines = list(self.lines(file))
        if len(lines) > 1:
            raise BundleError(f"is the second {file}, and there is one", lines[1].file)
        return lines[0].document if lines else None

    def lines(self, file: str, *, checked: bool = False) -> Iterator[Line]:
        for part in self.manifest.parts_of(file):
            if not (checked and part.name in self.skipped):
                yield from self.lines_of(part, checked=checked)

    def lines_of(self, part: Part, *, checked: bool = False) -> Iterator[Line]:
        """The documents of one part."""
        decoder = decoder_of(part.file, checked=checked)
        with read_part(self._place, part) as opened:
            for number, raw in enumerate(unpacked(opened, part, MAX_LINE), start=1):
                yield Line(part.name, number, len(raw), parse(raw, part.name, number, decoder))

    def measure(self, file: str) -> tuple[int, int]:
        parts = self.manifest.parts_of(file)
        return sum(part.lines for part in parts), sum(part.bytes for part in parts)

    def check_unchanged(self) -> None:
        """Each part is, whenever it is read."""
        return None

    @property
    def point_parts(self) -> list[Part]:
        return self.manifest.parts_of(POINTS)
