"""What goes wrong in a vector store, as errors of ours: the one place that knows the client's."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ..errors import (
    CloneError,
    NoShardKey,
    NotFound,
    StorageFailed,
    StoreUnavailable,
    WorkError,
)

_TRY_AGAIN = {408, 429, 502, 503, 504}
_RPC_TRY_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
)
# A server that dies in the middle of an answer.
_LOST_WORDS = ("rst_stream", "stream removed", "socket closed", "connection reset", "goaway")
# A node of a cluster that another one cannot reach, or lost in the middle of an answer, or whose
# shard has just been moved away, which calls it an internal error (Qdrant 1.18: replica_set in
# lib/collection/src/shards, consensus_manager.rs in lib/storage/src/content_manager, and the words
# of tonic, hyper and h2).
_NODE_AWAY = re.compile(
    r"transport error|tcp connect error|error trying to connect|active replica|"
    r"temporarily unavailable|service is currently unavailable|h2 protocol error|hyper::error|"
    r"broken pipe|connection (?:reset|refused|closed|aborted)|operation (?:was )?(?:cancell?ed|"
    r"aborted)|tonic status error: code: 'unknown error'|please retry|"
    r"consensus operation commit failed|leader is not established|local shard \d+ not found"
)
# A rate limit that no wait makes large enough for the request.
_TOO_MUCH_WORDS = "larger than rate limiter capacity"
# It is a bad request to a server that has the collection, but not the key (Qdrant 1.18:
# lib/collection/src/shards/shard_holder/mod.rs).
_NO_SHARD_KEY = re.compile(r"\bShard key .* not found$")
_DISK_WORDS = ("no space left", "read-only file system", "disk quota", "disk full")
# SQLite says these in words only; Python 3.10 does not pass its result codes on.
_SQLITE_DISK_WORDS = ("readonly", "read-only", "disk is full", "disk i/o error", "unable to open")
_SQLITE_BUSY_WORDS = ("is locked", "is busy")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raises every error as one of ours; `where` names the store at the start of a sentence."""
    try:
        yield
    except CloneError:
        raise
    except Exception as error:
        raise _translate(error, where) from error


def _translate(error: Exception, where: str) -> CloneError:
    if isinstance(error, ResourceExhaustedResponse):
        return StoreUnavailable(
            f"{where} asks to wait {error.retry_after_s} s: {one_line(error)}.",
            retry_after=float(error.retry_after_s),
        )
    if isinstance(error, QdrantException):
        return StoreUnavailable(f"{where} asks to wait: {one_line(error)}.")
    if isinstance(error, UnexpectedResponse):
        return _refusal(error, where)
    if isinstance(error, ResponseHandlingException):
        return _transport(error.source, where)
    if isinstance(error, grpc.RpcError):
        return _rpc(error, where)
    if isinstance(error, sqlite3.Error):
        return _sqlite(error, where)
    if isinstance(error, OSError):
        return StorageFailed(f"{where} cannot be used: {error.strerror or one_line(error)}.")
    return WorkError(f"{where} refused the operation: {one_line(error)}.")


def _refusal(error: UnexpectedResponse, where: str) -> CloneError:
    # What tells the kind may stand behind what is shown.
    reason, words = _server_words(error), error.content.decode(errors="replace").lower()
    if error.status_code in _TRY_AGAIN and _TOO_MUCH_WORDS not in reason:
        wait = error.headers.get("retry-after", "")
        return StoreUnavailable(
            f"{where} is busy: {reason}.", retry_after=float(wait) if wait.isdigit() else None
        )
    if error.status_code == 404:
        return NotFound(f"{where}: {reason}.")
    if _NO_SHARD_KEY.search(reason):
        return NoShardKey(f"{where}: {reason}.")
    if error.status_code in (401, 403):
        return WorkError(f"{where} does not let this API key do that: {reason}.")
    if any(word in words for word in _DISK_WORDS):
        return StorageFailed(f"{where} cannot store: {reason}.")
    if error.status_code == 500 and _NODE_AWAY.search(words):
        return StoreUnavailable(f"{where} cannot reach a node of its cluster: {reason}.")
    return WorkError(f"{where} refused the operation: {reason}.")


def _server_words(error: UnexpectedResponse) -> str:
    try:
        return one_line(json.loads(error.content)["status"]["error"])
    except (ValueError, LookupError, TypeError):
        return f"HTTP status {error.status_code} {error.reason_phrase}".rstrip()


def _transport(source: object, where: str) -> CloneError:
    if isinstance(source, httpx.TimeoutException):
        return StoreUnavailable(
            f"{where} did not answer in time; whether the operation was done is not known."
        )
    if isinstance(source, httpx.TransportError):
        return StoreUnavailable(f"{where} cannot be reached: {one_line(source)}.")
    return WorkError(f"{where} gave an answer that cannot be understood: {one_line(source)}.")


def _rpc(error: Any, where: str) -> CloneError:
    code, said = error.code(), str(error.details() or error.code())
    reason, words = one_line(said), said.lower()
    if any(word in words for word in _DISK_WORDS):
        return StorageFailed(f"{where} cannot store: {reason}.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return StoreUnavailable(
            f"{where} did not answer in time; whether the operation was done is not known."
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_MUCH_WORDS not in words:
        wait = dict(error.trailing_metadata() or ()).get("retry-after", "")
        return StoreUnavailable(
            f"{where} is busy: {reason}.", retry_after=float(wait) if wait.isdigit() else None
        )
    if code in _RPC_TRY_AGAIN or any(word in words for word in _LOST_WORDS):
        return StoreUnavailable(f"{where} cannot be reached: {reason}.")
    if code is grpc.StatusCode.INTERNAL and _NODE_AWAY.search(words):
        return StoreUnavailable(f"{where} cannot reach a node of its cluster: {reason}.")
    if code is grpc.StatusCode.NOT_FOUND:
        return NotFound(f"{where}: {reason}.")
    if _NO_SHARD_KEY.search(reason):
        return NoShardKey(f"{where}: {reason}.")
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return WorkError(f"{where} does not let this API key do that: {reason}.")
    return WorkError(f"{where} refused the operation: {reason}.")


def _sqlite(error: sqlite3.Error, where: str) -> CloneError:
    reason = one_line(error)
    words = reason.lower()
    if any(word in words for word in _SQLITE_DISK_WORDS):
        return StorageFailed(f"{where} cannot be written: {reason}.")
    if any(word in words for word in _SQLITE_BUSY_WORDS):
        return StoreUnavailable(f"{where} is in use by another program: {reason}.")
    return WorkError(f"{where} is damaged: {reason}.")


def one_line(error: object) -> str:
    """What the error says, on one line, short, without a full stop."""
    words = " ".join(str(error).split()) or type(error).__name__
    return (words if len(words) <= 300 else f"{words[:297]}...").rstrip(".!")
