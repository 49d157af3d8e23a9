"""What may go wrong, and whose fault it is.

CloneError                   one clear sentence; `code` is for machines
  RequestError               the caller can put it right (CLI exit code 2, HTTP 4xx)
    InvalidRequest           a field is missing, unknown or out of bounds
    Unauthorized             no key, or a key that is unknown, expired or revoked
    Forbidden                the key is good, its role is not enough
    NotFound                 no such thing, or not one the caller may know of
    Conflict                 the state does not allow it
      NameTaken              a namespace of that name exists
      InProgress             another run holds this clone
    BundleError              a bundle folder is broken (file, line, reason)
    DanglingReferences       `on_dangling: fail` and something would dangle
  WorkError                  not the caller's fault (CLI exit code 1, HTTP 5xx)
    StoreUnavailable         a store cannot be reached now: may be tried again
    StorageFailed            a disk is full or read-only
    LeaseLost                another run took this clone over; this one must stop
    VerificationFailed       the copy differs from what was read, also after a repair

Errors carry fields, so that metadata, JSON and tests read fields, not text.
"""

from __future__ import annotations

from typing import Any


class CloneError(Exception):
    """Base of everything this package raises on purpose."""

    code = "clone_failed"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


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
