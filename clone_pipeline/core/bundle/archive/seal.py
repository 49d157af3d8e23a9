"""That an archive holds what its seal says: what was read from the stores, before it was written.

The digests of the seal are made of points and records as the stores gave them, those here of what
the archive gives back: so nothing was lost between them, by whatever.
"""

from __future__ import annotations

from ...catalog.documents import RECORDS
from ...errors import BundleError
from ...points.pages import CONCURRENT, for_each
from ...points.retry import Retry
from ...vectors.digest import Digest
from ...vectors.encoded import EncodedPoint
from ...vectors.point import Point
from ..config import EMPTY, check_config, named_vectors
from ..files import CONFIG, RECORD_FILES, Wrong, identified
from ..points import parse_point
from .files import ArchiveFiles
from .manifest import MANIFEST, Manifest, Part, Sealed, record_digest
from .place import Place


def read_back(place: Place, retry: Retry) -> Manifest:
    """Fetches the whole archive once more and compares it with its checksums and its seal; its
    manifest. In memory is a part at a time, for each of some workers.

    Raises BundleError, with the name of the part, where something is not as it was written.
    """
    files = ArchiveFiles(place)
    check_sum(files.manifest)
    for kind, file in RECORD_FILES.items():
        digest = Digest()
        for line in files.lines(file):
            digest.add(record_digest(identified(RECORDS[kind], line.document)))
        check_records(file, digest, files.manifest.seal.records.get(kind))
    shapes = check_config(named_vectors(files.document(CONFIG) or EMPTY))

    def check(part: Part) -> None:
        digest = Digest()
        for line in files.lines_of(part, checked=True):
            try:
                digest.add(point_digest(parse_point(line.document, shapes)))
            except Wrong as wrong:
                raise line.error(wrong) from None
        check_part(part, digest)

    for_each(files.point_parts, check, CONCURRENT, retry)
    return files.manifest


def check_sum(manifest: Manifest) -> None:
    """The digests of the parts are those that the seal adds up. Raises BundleError."""
    digest = Digest()
    for part in manifest.parts:
        if part.digest is not None:
            digest.merge(Digest(int(part.digest, 16), part.lines))
    if Sealed.of(digest) != manifest.seal.points:
        raise BundleError("has another seal than its parts add up to", MANIFEST)


def check_part(part: Part, digest: Digest) -> None:
    """Of what a part of the points holds. Raises BundleError."""
    if (digest.hexdigest(), digest.count) != (part.digest, part.lines):
        raise BundleError("holds other points than the archive's seal says", part.name)


def check_records(file: str, digest: Digest, sealed: Sealed | None) -> None:
    """Of what an archive has of a file. Raises BundleError."""
    if Sealed.of(digest) != sealed:
        raise BundleError("is not what the archive's seal says", file)


def point_digest(point: Point) -> int:
    return EncodedPoint.of(point).digest(settled=True)
