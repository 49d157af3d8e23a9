"""What may go wrong, and whose fault it is.

CloneError                   one clear sentence; `code` is for machines
  RequestError               the caller can put it right (CLI exit code 2, HTTP 4xx)
    InvalidRequest           a field is missing, unknown or out of bounds
    Unauthorized             no key, or a key that is unknown, expired or revoked
    Forbidden                the key is good, its role is not enough
    NotFound                 no such thing, or not one the caller may know of
      NoShardKey             the Qdrant collection does not have that shard key
    Conflict                 the state does not allow it
      NameTaken              a namespace of that name exists
      InProgress             another run holds this clone
    BundleError              a bundle folder is broken (file, line, reason)
    DanglingReferences       `on_dangling: fail` and something would dangle
  WorkError                  not the caller's fault (CLI exit code 1, HTTP 5xx)
    StoreUnavailable         a store cannot be reached now: may be tried again
    StorageFailed            a disk is full or read-only
    UnreadableRecord         another service wrote a row that cannot be read
    LeaseLost                another run took this clone over; this one must stop
    VerificationFailed       the copy differs from what was read, also after a repair

Errors carry fields, so that metadata, JSON and tests read fields, not text. What a sentence says
of an option or a command is a part of its own, so that each door says it in its own words.
"""

from __future__ import annotations

from typing import Any

from .secrets import mask, without
from .words import Part, as_text


class CloneError(Exception):
    """Base of everything this package raises on purpose.

    `said` are the parts of the sentence; in `message` options are fields of the request.
    """

    code = "clone_failed"

    def __init__(self, *said: Part, **details: Any) -> None:
        # It may quote an address, and ends in logs and metadata.
        self.said = tuple(mask(part) if isinstance(part, str) else part for part in said)
        self.message = mask(as_text(self.said))
        super().__init__(self.message)
        self.details = without(details)


class RequestError(CloneError):
    code = "bad_request"


class InvalidRequest(RequestError):
    code = "invalid_request"


class Unauthorized(RequestError):
    code = "unauthorized"


class Forbidden(RequestError):
    code = "forbidden"


class NotFound(RequestError):
    code = "not_found"


class NoShardKey(NotFound):
    code = "no_shard_key"


class Conflict(RequestError):
    code = "conflict"


class NameTaken(Conflict):
    code = "namespace_name_taken"


class InProgress(Conflict):
    code = "clone_in_progress"


class DanglingReferences(RequestError):
    code = "dangling_references"


class BundleError(RequestError):
    """`file` is relative to the bundle folder, `line` counts from 1 (None: the whole file)."""

    code = "broken_bundle"

    def __init__(self, reason: str, file: str, line: int | None = None) -> None:
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {reason}.", file=file, line=line, reason=reason)


class WorkError(CloneError):
    code = "work_failed"


class StoreUnavailable(WorkError):
    """`retry_after` is the wait in seconds that the store asked for, if it did."""

    code = "store_unavailable"

    def __init__(self, message: str, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class StorageFailed(WorkError):
    code = "storage_failed"


class UnreadableRecord(WorkError):
    """`kind` and `id` name the resource, `reason` says what is wrong with its row."""

    code = "unreadable_record"

    def __init__(self, kind: str, identity: str, reason: str) -> None:
        super().__init__(
            f"The {kind} {identity!r} cannot be read from the catalog: {reason}; whoever wrote it "
            "has to put it right.",
            kind=kind,
            id=identity,
            reason=reason,
        )


class LeaseLost(WorkError):
    code = "lease_lost"


class VerificationFailed(WorkError):
    code = "verification_failed"


def unexpected(error: Exception) -> CloneError:
    """A mistake of ours as one sentence: its first line only, because further lines of a
    database's or a client's error quote values."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f": {lines[0][:300].rstrip('.:')}" if lines else ""
    return CloneError(f"Unexpected {type(error).__name__}{reason}.")
