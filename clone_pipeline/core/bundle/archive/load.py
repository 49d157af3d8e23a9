"""A namespace from an archive: all of it, or nothing."""

from __future__ import annotations

from ...ledger.meter import Meter
from ...points.retry import Retry
from ...principal import LOCAL_OPERATOR, Principal
from ...stores import Stores
from ...vectors.port import VectorStore
from ..load import LoadReport, Progress, load
from ..rename import AS_IT_IS, Target
from .files import ArchiveFiles
from .place import Place
from .proof import Proof


def load_archive(
    stores: Stores,
    vectors: VectorStore,
    place: Place,
    on_progress: Progress | None = None,
    principal: Principal = LOCAL_OPERATOR,
    meter: Meter | None = None,
    target: Target = AS_IT_IS,
) -> LoadReport:
    """Makes the archive's namespace as `load` does that of a bundle, and proves it: points are read
    back, and the records have the digests of the archive's seal before they can be seen. Of what
    `target` has rewritten, the archive has the digests of the seal, and the stores those of what
    was read from it, rewritten.

    Raises what `load` does, BundleError for an archive that is damaged, with the name of the part,
    VerificationFailed where a store gives back something else than the archive has.
    """
    files = ArchiveFiles(place)
    proof = Proof(files, Retry(stores))
    now = stores.clock()
    return load(files, stores.catalog, vectors, now, on_progress, principal, meter, proof, target)
