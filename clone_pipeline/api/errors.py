"""Errors as the platform writes them: one envelope, whatever went wrong and wherever."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from clone_pipeline.core import errors
from clone_pipeline.core.errors import CloneError
from clone_pipeline.core.words import as_text, without_hints

logger = logging.getLogger(__name__)

# How soon to come again, where nobody has said.
RETRY_AFTER_SECONDS = 5
# The largest request is a filter with all that it may have; more is a mistake or an attack.
LARGEST_BODY = 256 * 1024

TYPES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    408: "RequestTimeoutError",
    409: "AlreadyExistsError",
    413: "PayloadTooLargeError",
    422: "ValidationError",
    429: "TooManyRequestsError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
# By class, the most particular first.
_STATUS: tuple[tuple[type[CloneError], int], ...] = (
    (errors.InvalidRequest, 422),
    (errors.Unauthorized, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.RequestError, 400),
    (errors.StoreUnavailable, 503),
    (errors.StorageFailed, 503),
)


_NOT_NOW = {
    500: "The service could not do that; its log says why.",
    503: "A store of the service is in use or cannot be reached now; try again in a moment.",
}


class DagsterUnavailable(errors.StoreUnavailable):
    """Says it in words that are for the caller."""


class TooManyRequests(errors.RequestError):
    code = "too_many_requests"


class ErrorDetail(BaseModel):
    """What went wrong: a sentence, a type by the status, a code for machines."""

    message: str
    type: str
    code: str | None = None
    details: dict[str, Any] | None = None


class ErrorResponse(BaseModel):
    """The envelope of every answer that is not a success."""

    success: Literal[False] = False
    status: int = Field(ge=400, le=599)
    error: ErrorDetail


class Json(JSONResponse):
    """ASCII only: a text may hold half a surrogate pair, which UTF-8 has no bytes for."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), default=str).encode("ascii")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an operation, for its OpenAPI. Those that every one may answer are added."""
    everywhere = (401, 404, 408, 413, 422, 429, 500, 503)
    return {
        status: {"model": ErrorResponse, "description": TYPES[status]}
        for status in sorted({*statuses, *everywhere})
    }


def envelope(
    status: int,
    message: str,
    code: str | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """An answer that is an error."""
    body = {
        "success": False,
        "status": status,
        "error": {
            "message": message,
            "type": TYPES.get(status, "Error"),
            "code": code,
            "details": dict(details) if details else None,
        },
    }
    return Json(body, status_code=status, headers=dict(headers or {}))


def body_too_large() -> Json:
    return envelope(
        413, f"The body must not be larger than {LARGEST_BODY} bytes.", "body_too_large"
    )


def answer_for(error: CloneError) -> Json:
    """The answer to a request that failed with one of our errors."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    message = as_text(error.said, without_hints)
    details = {key: value for key, value in error.details.items() if value is not None}
    if status >= 500:
        logger.error("%s (%s)", message, error.code)
        if not isinstance(error, DagsterUnavailable | errors.UnreadableRecord):
            # What a store says names hosts, folders and processes: that is for the log.
            message, details = _NOT_NOW[status], {}
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        # What a store asks for, in whole seconds and at least one.
        asked = getattr(error, "retry_after", None) or RETRY_AFTER_SECONDS
        headers["Retry-After"] = str(math.ceil(asked))
        details |= {"retry_after_seconds": math.ceil(asked), "retryable": True}
    return envelope(status, message, error.code, details, headers)


def add_handlers(app: FastAPI) -> None:
    """Every way in which a route can fail ends in the envelope."""
    app.add_exception_handler(CloneError, _on_clone_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_clone_error(_: Request, error: Exception) -> Json:
    assert isinstance(error, CloneError)  # noqa: S101
    return answer_for(error)


async def _on_invalid(_: Request, error: Exception) -> Json:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [
        {
            "type": str(one["type"]),
            "location": [str(part) for part in one["loc"]],
            "message": str(one["msg"]),
        }
        for one in error.errors()
    ]
    details = {"validation_errors": found}
    return envelope(422, _sentence(found), errors.InvalidRequest.code, details)


def _sentence(found: Iterable[Mapping[str, Any]]) -> str:
    """The first mistake, as one sentence."""
    first = next(iter(found))
    where = ".".join(part for part in first["location"] if part != "body")
    message = first["message"].rstrip(".")
    if first["type"] == "json_invalid":
        return "The body is not JSON."
    if first["type"] in ("unknown_key", "no_text"):
        return f"{message}."
    if not where:
        return f"The body is not usable: {message[:1].lower()}{message[1:]}."
    return f"`{where}` is not usable: {message[:1].lower()}{message[1:]}."


async def _on_http(_: Request, error: Exception) -> Json:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 413:
        return body_too_large()
    if error.status_code == 400:
        # The framework's word for bytes that are not UTF-8; other broken JSON is a 422 with it.
        return envelope(422, "The body is not JSON.", errors.InvalidRequest.code)
    codes = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout"}
    code = codes.get(error.status_code, "bad_request")
    message = {
        404: "There is no such path.",
        405: "That path has no such method.",
        408: "The body did not come in time.",
    }
    return envelope(
        error.status_code,
        message.get(error.status_code, f"{error.detail}."),
        code,
        headers=error.headers,
    )
