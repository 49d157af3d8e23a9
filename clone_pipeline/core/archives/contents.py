"""What the ledger keeps of what an archive holds, for whoever looks at it without fetching it."""

from __future__ import annotations

from typing import Any

from .. import secrets
from ..bundle.archive import Place
from ..bundle.archive.files import ArchiveFiles
from ..bundle.cleared import read_cleared
from ..bundle.files import NAMESPACE, RECORD_FILES
from ..points.retry import Retry


def read_contents(place: Place, retry: Retry) -> dict[str, Any]:
    """Its `seal`, and how many `parts` it has; how many values of its configuration are `secrets`,
    which whoever reads the archive can read, and how many it has of what was `cleared`, for a
    restore. No value is among them. Raises what place and files raise.
    """
    return retry(lambda: _read(ArchiveFiles(place)))


def _read(files: ArchiveFiles) -> dict[str, Any]:
    cleared = read_cleared(files)
    configuration = [NAMESPACE, *(file for kind, file in RECORD_FILES.items() if kind != "object")]
    return {
        "seal": files.manifest.seal.model_dump(mode="json"),
        "parts": len(files.manifest.parts),
        "secrets": sum(
            len(secrets.places(line.document))
            for file in configuration
            for line in files.lines(file)
        ),
        "cleared": 0 if cleared is None else len(cleared.parked),
    }
