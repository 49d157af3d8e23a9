"""Proves one copy of a file: it is there, it is what was written, and that is what the source has.

The last is proven by what the store made of the bytes when it wrote them, where it made something;
else the copy is read back.
"""

from __future__ import annotations

from hashlib import md5, sha256

from ..ledger.files import FileRow, Proof
from ..objects.location import bucket_and_key
from .refusals import Changed, Missing, Refused
from .store import Files
from .transfer import MD5

_CHUNK = 2**20


class Prover:
    """Safe to use from several threads. Raises what the stores raise."""

    def __init__(self, source: Files, target: Files, bucket: str) -> None:
        self._source = source
        self._target = target
        self._bucket = bucket

    def check(self, row: FileRow, *, read_back: bool) -> tuple[str | None, Proof | None]:
        """What is wrong with a copy (None: nothing), and what proves it.

        `read_back`: a copy of which nothing is proven but its size is read.
        """
        try:
            there = self._target.look(self._bucket, row.key)
        except Missing:
            return "is missing", None
        except Refused as error:
            return f"cannot be looked at ({error})", None
        if there.size != row.size:
            return f"has {there.size:,} bytes and not {row.size:,}", None
        if there.etag != row.etag:
            return "holds other bytes than were written", None
        if row.proof in ("checksum", "etag"):
            return None, row.proof
        return self._read_back(row) if read_back else (None, "size")

    def _read_back(self, row: FileRow) -> tuple[str | None, Proof | None]:
        copied = self._digests(self._target, (self._bucket, row.key), row.etag or "")
        if copied is None:
            return "changed while it was read", None
        simple, strong = copied
        if strong == row.sha256:
            return None, "checksum"
        # One that is made of anything but the bytes differs, and says nothing.
        if simple == row.source_etag and MD5.fullmatch(simple):
            return None, "etag"
        source = self._digests(self._source, bucket_and_key(row.source), row.source_etag or "")
        if source is None:
            return None, "size"  # what was copied is not there any more, to be compared with
        if source != copied:
            return "holds other bytes than its source", None
        return None, "checksum"

    def _digests(self, files: Files, place: tuple[str, str], etag: str) -> tuple[str, str] | None:
        """MD5 and SHA-256 of a file; None where it has another ETag by now."""
        simple, strong = md5(usedforsecurity=False), sha256()
        try:
            with files.reading(*place, etag) as body:
                while content := body.read(_CHUNK):
                    simple.update(content)
                    strong.update(content)
        except (Changed, Missing, Refused):
            return None
        return simple.hexdigest(), strong.hexdigest()
