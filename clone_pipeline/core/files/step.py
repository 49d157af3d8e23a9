"""The step `copy_files`, and the proof of what it copied, which `verify_clone` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ..difference import Differences
from ..errors import WorkError
from ..ledger.files import (
    PROOFS,
    FileRow,
    Proof,
    Totals,
    forget_copies,
    mark_files,
    read_files,
    read_totals,
)
from ..ledger.work import Work
from ..objects.location import FileMap
from ..objects.s3 import Answer
from ..points.retry import Retry
from ..report import LISTED, StepReport, size
from .crew import several
from .proof import Prover
from .refusals import Refused
from .store import Files
from .transfer import Transfer

# So many files are marked in one transaction.
_MARKED_AT_ONCE = 64
# `verify: sample` reads so many copies back of which only the size is proven.
SAMPLED_FILES = 1000
# So many are named in a sentence.
_NAMED = 3


@dataclass(frozen=True)
class _Stores:
    source: Files
    target: Files
    map: FileMap
    retry: Retry
    transfer: Transfer


@dataclass
class FilesProof:
    """What the proof has found. `damaged` counts the copies that were made again."""

    totals: Totals
    damaged: int = 0
    missing: list[str] = field(default_factory=list)

    def details(self) -> dict[str, Any]:
        return {
            "files": "copied",
            "files_copied": self.totals.states.get("copied", 0),
            "files_bytes": self.totals.bytes,
            "files_proven": {name: self.totals.proofs.get(name, 0) for name in PROOFS},
            "files_damaged": self.damaged,
            "files_missing": self.totals.states.get("missing", 0),
            "files_missing_first": [{"location": one} for one in self.missing],
        }


def copy_files(work: Work) -> StepReport:
    """Copies every file that objects and payloads refer to, unless they are shared.

    Raises LeaseLost when another run has taken over, StoreUnavailable, and WorkError where a file
    is there and cannot be copied; all others are copied first. One that is not there is missing in
    the source too: it is told, and no failure.
    """
    if work.rewriter.ids.files is None:
        return work.skip("copy_files", {}, "skipped: files are shared")
    with _opened(work) as stores:
        _tidy(work, stores)
        with work.lease.write() as connection:
            forget_copies(connection, work.clone.clone_id, "refused")
        copied = _copy_pending(work, stores)
        totals = _totals(work)
    _refuse_incomplete(work, totals)
    report = StepReport(
        clone_id=work.clone.clone_id,
        step="copy_files",
        bytes=totals.bytes,
        warnings=_warnings(work, totals),
        details={
            "copied": f"{totals.states.get('copied', 0):,} files, {size(totals.bytes)}",
            "files_copied": totals.states.get("copied", 0),
            "files_in_this_run": copied,
            "files_missing": totals.states.get("missing", 0),
            "bytes_through_this_process": stores.transfer.bytes_through_us,
            "into": stores.map.root,
            "waits": stores.retry.waits,
            "seconds_waited": round(stores.retry.seconds_waited, 1),
        },
    )
    with work.lease.write() as connection:
        return work.store(connection, report)


def prove_files(work: Work, found: Differences, left: Differences) -> FilesProof | None:
    """Every copy, each marked with what proves it; None where files are shared.

    One that is not what its source has is named in `found` and made again, once; `left` names what
    is wrong after that.
    """
    if work.rewriter.ids.files is None:
        return None
    with _opened(work) as stores:
        _copy_pending(work, stores)  # what a repair of records or points has brought
        damaged = _check(work, stores, found)
        if damaged:
            work.lease.check()
            stores.target.remove(stores.map.bucket, [row.key for row in damaged])
            again = {"state": "pending", "proof": None, "etag": None}
            with work.lease.write() as connection:
                marks = [(row.file_id, again) for row in damaged]
                mark_files(connection, work.clone.clone_id, marks)
            _copy_pending(work, stores)
            _check(work, stores, left)
    totals = _totals(work)
    _refuse_incomplete(work, totals)
    return FilesProof(totals, len(damaged), _first(work, "missing"))


@contextmanager
def _opened(work: Work) -> Iterator[_Stores]:
    files = work.rewriter.ids.files
    assert files is not None  # noqa: S101  # asked by whoever calls
    source_address, target_address = work.source_stores.files, work.stores.files
    with ExitStack() as stack:
        target = source = stack.enter_context(closing(Files.open(target_address)))
        # A client costs a fifth of a second, and mostly there is one S3.
        if replace(source_address, bucket=None, prefix="") != replace(
            target_address, bucket=None, prefix=""
        ):
            source = stack.enter_context(closing(Files.open(source_address)))
        target.region(files.bucket)  # is it there?
        inside = source_address.endpoint_url == target_address.endpoint_url
        transfer = Transfer(source, target, files.bucket, inside=inside)
        yield _Stores(source, target, files, Retry(work.stores, work.lease), transfer)


def _tidy(work: Work, stores: _Stores) -> None:
    """Aborts what a killed run has left unfinished: it is paid for, and nobody sees it."""
    work.lease.check()
    bucket, prefix = stores.map.bucket, stores.map.prefix

    def abort_all() -> None:
        # Without the right to list them, or where there is no such list, the bucket's own rules
        # have to end them.
        with suppress(Refused):
            for key, upload_id in list(stores.target.unfinished(bucket, prefix)):
                stores.target.abort_parts(bucket, key, upload_id)

    stores.retry(abort_all)


def _copy_pending(work: Work, stores: _Stores) -> int:
    """Every file that is not copied yet. Returns how many were."""
    totals = _totals(work)
    waiting = totals.states.get("pending", 0)
    if not waiting:
        return 0
    work.lease.check()
    work.meter.begin("Copied", totals.count, 0, totals.count - waiting, unit="files")
    marks: list[tuple[str, dict[str, Any]]] = []
    copied = 0
    pending = read_files(work.stores.catalog, work.clone.clone_id, "pending")
    transfer, retry = stores.transfer, stores.retry

    def copy(looked: tuple[FileRow, Answer | None]) -> dict[str, Any]:
        work.lease.check()
        return transfer.copy(*looked)

    # What is asked of the source is known when its turn comes, and keeps no copy waiting.
    with (
        closing(several(pending, transfer.look, retry)) as looked,
        closing(several(looked, copy, retry)) as done,
    ):
        for (row, _), values in done:
            marks.append((row.file_id, values))
            copied += values["state"] == "copied"
            work.meter.add(1, values.get("size") or 0)
            if len(marks) >= _MARKED_AT_ONCE:
                _mark(work, marks)
    _mark(work, marks)
    return copied


def _mark(work: Work, marks: list[tuple[str, dict[str, Any]]]) -> None:
    """Raises LeaseLost: then nothing more is copied."""
    with work.lease.write() as connection:
        mark_files(connection, work.clone.clone_id, marks)
    marks.clear()


def _check(work: Work, stores: _Stores, found: Differences) -> list[FileRow]:
    """Looks at every copy. Returns those with which something is wrong."""
    prover = Prover(stores.source, stores.target, stores.map.bucket)
    read_back = {"full": None, "sample": SAMPLED_FILES, "counts": 0}[work.request.verify]
    work.meter.begin("Proved", _totals(work).states.get("copied", 0), 0, unit="files")
    wrong: list[FileRow] = []
    marks: list[tuple[str, dict[str, Any]]] = []

    def to_check() -> Iterator[tuple[FileRow, bool]]:
        weak = 0
        for row in read_files(work.stores.catalog, work.clone.clone_id, "copied"):
            weak += row.proof not in ("checksum", "etag")
            yield row, read_back is None or weak <= read_back

    def check(one: tuple[FileRow, bool]) -> tuple[str | None, Proof | None]:
        return prover.check(one[0], read_back=one[1])

    with closing(several(to_check(), check, stores.retry)) as checked:
        for (row, _), (problem, proof) in checked:
            work.meter.add(1, row.size or 0)
            if problem is not None:
                found.add("file", row.source, problem)
                wrong.append(row)
            elif proof != row.proof:
                marks.append((row.file_id, {"proof": proof}))
            if len(marks) >= _MARKED_AT_ONCE:
                _mark(work, marks)
    _mark(work, marks)
    return wrong


def _totals(work: Work) -> Totals:
    with work.stores.catalog.read() as connection:
        return read_totals(connection, work.clone.clone_id)


def _first(work: Work, state: Any) -> list[str]:
    found = read_files(work.stores.catalog, work.clone.clone_id, state)
    return [row.source for row in islice(found, LISTED)]


def _refuse_incomplete(work: Work, totals: Totals) -> None:
    """Raises WorkError: a clone that owns its files has all of them that there are."""
    count = totals.states.get("refused", 0)
    if not count:
        return
    rows = islice(read_files(work.stores.catalog, work.clone.clone_id, "refused"), _NAMED)
    named = "; ".join(f"{row.source} ({row.error})" for row in rows)
    more = f"; and {count - _NAMED:,} more" if count > _NAMED else ""
    raise WorkError(
        f"{count:,} of {totals.count:,} files could not be copied: {named}{more}. Give the "
        "credentials s3:GetObject and s3:ListBucket there (without the latter S3 answers 403 for "
        "files that do not exist, too), then resume; what is copied stays."
    )


def _warnings(work: Work, totals: Totals) -> list[str]:
    missing = totals.states.get("missing", 0)
    if not missing:
        return []
    first = ", ".join(_first(work, "missing")[:_NAMED])
    are = "does" if missing == 1 else "do"
    return [
        f"{missing:,} of {totals.count:,} S3 files {are} not exist; the clone misses what its "
        f"source misses: {first}."
    ]
