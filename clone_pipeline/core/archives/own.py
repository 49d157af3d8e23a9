"""Whether what lies at an address is the archive that the ledger has there."""

from __future__ import annotations

from hashlib import sha256

from ..bundle.archive import Place
from ..bundle.archive.manifest import MANIFEST, MOST_BYTES, parse_manifest
from ..catalog.documents import parse_time
from ..errors import Conflict
from .records import Archive


def own_manifest(place: Place, archive: Archive) -> str | None:
    """The SHA-256 of the manifest there; None where there is none.

    Where the ledger does not know it, because a run was killed just then, it is the archive's if it
    is of the same namespace and not older than the first run. Raises Conflict where it is another
    one's, BundleError where it cannot be read.
    """
    stored = place.read(MANIFEST, MOST_BYTES)
    if stored is None:
        return None
    checksum = sha256(stored.data).hexdigest()
    if archive.manifest is None:
        found = parse_manifest(stored.data)
        is_own = (
            found.namespace_id == archive.source_namespace_id
            and parse_time(found.created_at, archive.created_at) >= archive.created_at
        )
    else:
        is_own = checksum == archive.manifest
    if not is_own:
        raise Conflict(f"{place.address} holds another archive, which no run of this one wrote.")
    return checksum
