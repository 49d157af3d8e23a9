"""Copies one file: inside the store where that can be, else through us, in bounded memory.

Nothing is written over, and what is copied is the version that was looked at. What the store says
of the bytes that it wrote is kept, where that is evidence: what a copy carries over from its source
would be the same if not one byte were right.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import md5
from typing import Any

from ..errors import CloneError, StoreUnavailable
from ..ledger.files import FileRow, Proof
from ..objects.location import bucket_and_key
from ..objects.s3 import Answer
from .refusals import Changed, Missing, Refused
from .served import Described
from .store import Files

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LARGEST_COPY = 5 * 10**9  # a little less than the 5 GiB that one request copies at most
_MOST_PARTS = 10_000
# Of what goes through us: so much of each file is in memory.
STREAMED_PART = 8 * 2**20
# Inside the store.
COPIED_PART = 2**30
_PARTS_AT_ONCE = 4
# A source that is written to, or a copy that a killed run has left: it is tried again so often.
_ATTEMPTS = 4
MD5 = re.compile(r"[0-9a-f]{32}")

Place = tuple[str, str]
_Written = tuple[str, Proof | None]  # its ETag, and what proves it


class Transfer:
    """Copies files of `source` into a bucket of `target`. Safe to use from several threads.

    `inside`: both are one store, which can be told to copy. A bucket that it does not let us copy
    from goes through us.
    """

    def __init__(self, source: Files, target: Files, bucket: str, *, inside: bool) -> None:
        self._source = source
        self._target = target
        self._bucket = bucket
        self._inside = inside
        self._lock = threading.Lock()
        self._through_us: set[str] = set()
        self.bytes_through_us = 0

    def look(self, row: FileRow) -> Answer | None:
        """Ahead of `copy`, what the store says of a file; None where that is not asked for, or no
        answer: `copy` will find out why. Raises StoreUnavailable."""
        place = bucket_and_key(row.source)
        if not self._copies_inside(place):
            return None
        try:
            return self._source.look(*place)
        except (Missing, Refused):
            return None

    def copy(self, row: FileRow, found: Answer | None = None) -> dict[str, Any]:
        """Copies a file, of which `look` has found that. Returns what its row is to say: its state,
        and of a copy its size, both ETags and what proves it. Raises StoreUnavailable: then it may
        be tried again."""
        place = bucket_and_key(row.source)
        inside = self._copies_inside(place)
        for _ in range(_ATTEMPTS):
            try:
                if inside:
                    return self._copy_inside(row, place, found or self._source.look(*place))
                copied = self._copy_through_us(row, place)
                # Where the store would not copy it itself, it will not the others of the bucket.
                self._through_us.add(place[0])
                return copied
            except StoreUnavailable as error:
                raise StoreUnavailable(
                    f"{row.source} is not copied: {error.message}", error.retry_after
                ) from error
            except (Missing, Refused) as error:
                if self._is_missing(place):
                    return {"state": "missing", "error": None}
                if not inside:
                    return {"state": "refused", "error": f"the store answers {error or 404}"}
                inside = False  # the clone's own credentials may not reach that bucket
            except Changed:
                # Either the file is another one by now, or a copy stands there that no row of ours
                # tells of: what an attempt has left that did not end. That proves nothing.
                self._target.remove(self._bucket, [row.key])
                found = None
        return {"state": "refused", "error": "it was written to each time that it was copied"}

    def _is_missing(self, place: Place) -> bool:
        """Whether the source itself has no such file."""
        try:
            self._source.look(*place)
        except Missing:
            return True
        except Refused:
            return False
        return False

    def _copies_inside(self, place: Place) -> bool:
        return self._inside and place[0] not in self._through_us

    # Inside the store

    def _copy_inside(self, row: FileRow, place: Place, found: Answer) -> dict[str, Any]:
        copy = self._copy_parts if found.size > LARGEST_COPY else self._copy_whole
        etag, proof = copy(row, place, found)
        return _copied(found.size, found.etag, etag, proof)

    def _copy_whole(self, row: FileRow, place: Place, found: Answer) -> _Written:
        written = self._target.copy(self._bucket, row.key, place, found.etag)
        made = written.get("ChecksumSHA256")
        proof: Proof | None = None
        if made is not None and row.sha256 is not None and _hex(made) == row.sha256:
            # One that the source has too may be its own, carried over.
            carried = "ChecksumSHA256" in self._source.describe(*place).checksums
            proof = None if carried else "checksum"
        return _etag(written), proof

    def _copy_parts(self, row: FileRow, place: Place, found: Answer) -> _Written:
        described = self._source.describe(*place)
        wanted = described.checksums.get("ChecksumCRC64NVME")
        how: dict[str, Any] = dict(described.served)
        if wanted is not None:
            # Made of the parts as they are copied, and good for the whole.
            how |= {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
        size = _part_size(found.size, COPIED_PART)
        with self._in_parts(row.key, how) as upload_id:

            def one(number: int) -> dict[str, Any]:
                first = (number - 1) * size
                last = min(first + size, found.size) - 1
                written = self._target.copy_part(
                    self._bucket, row.key, upload_id, number, place, found.etag, (first, last)
                )
                made = {name: it for name, it in written.items() if name.startswith("Checksum")}
                return {"PartNumber": number, "ETag": _etag(written)} | made

            with ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="part") as pool:
                parts = list(pool.map(one, range(1, -(-found.size // size) + 1)))
            finished = self._target.finish_parts(self._bucket, row.key, upload_id, parts)
        proven = wanted is not None and finished.get("ChecksumCRC64NVME") == wanted
        return _etag(finished), "checksum" if proven else None

    # Through us

    def _copy_through_us(self, row: FileRow, place: Place) -> dict[str, Any]:
        described, first = self._source.read_first(*place, STREAMED_PART)
        if len(first) == described.size:
            etag = self._target.put(self._bucket, row.key, first, described.served)
            made = md5(first, usedforsecurity=False).hexdigest()
        else:
            etag, made = self._put_parts(row, place, described, first)
        with self._lock:
            self.bytes_through_us += described.size
        # The store made it of what it got, and nobody told it what to make.
        proof: Proof | None = "etag" if etag == made else None
        return _copied(described.size, described.etag, etag, proof)

    def _put_parts(
        self, row: FileRow, place: Place, described: Described, content: bytes
    ) -> tuple[str, str]:
        """Its ETag, and the one that it must have: of its parts' own MD5, as S3 makes it."""
        size = _part_size(described.size, STREAMED_PART)
        parts: list[dict[str, Any]] = []
        whole = md5(usedforsecurity=False)
        with self._in_parts(row.key, described.served) as upload_id:
            for first in range(0, described.size, size):
                last = min(first + size, described.size) - 1
                if first or len(content) != size:
                    content = self._source.read_part(*place, described.etag, first, last)
                number = len(parts) + 1
                etag = self._target.put_part(self._bucket, row.key, upload_id, number, content)
                parts.append({"PartNumber": number, "ETag": etag})
                whole.update(md5(content, usedforsecurity=False).digest())
            finished = self._target.finish_parts(self._bucket, row.key, upload_id, parts)
        return _etag(finished), f"{whole.hexdigest()}-{len(parts)}"

    @contextmanager
    def _in_parts(self, key: str, how: Mapping[str, Any]) -> Iterator[str]:
        """An upload that is aborted unless it is finished. After a kill, whoever goes on or
        discards the clone aborts it."""
        upload_id = self._target.begin_parts(self._bucket, key, how)
        try:
            yield upload_id
        except BaseException:
            with suppress(CloneError, Refused):
                self._target.abort_parts(self._bucket, key, upload_id)
            raise


def _part_size(size: int, least: int) -> int:
    return max(least, -(-size // _MOST_PARTS))


def _etag(written: Mapping[str, Any]) -> str:
    return str(written["ETag"]).strip('"')


def _hex(checksum: str) -> str:
    return base64.b64decode(checksum).hex()


def _copied(size: int, source_etag: str, etag: str, proof: Proof | None) -> dict[str, Any]:
    return {
        "state": "copied",
        "size": size,
        "source_etag": source_etag,
        "etag": etag,
        "proof": proof,
        "error": None,
    }
