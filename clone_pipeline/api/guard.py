"""What stands before every route: request ids, the size of bodies, keys and the rate limit.

A middleware, so that a caller without a key learns nothing, not even whether a body is well formed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clone_pipeline.api.errors import (
    LARGEST_BODY,
    Json,
    TooManyRequests,
    answer_for,
    body_too_large,
    envelope,
)
from clone_pipeline.api.rate import WINDOW_SECONDS, Window, rate_for
from clone_pipeline.core.catalog.keys import resolve_key
from clone_pipeline.core.errors import CloneError, Unauthorized, unexpected
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.stores import Stores

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# For a body of the largest size; one that trickles would hold its connection.
_BODY_SECONDS = 30.0
DOCS = "/docs"
_OPEN_PATHS = ("/healthz", "/readyz", "/openapi.json", DOCS)
# The page that shows the API can talk to nobody else, whatever runs in it.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Guard:
    """ASGI middleware. Puts the caller's Principal into `request.state.principal`."""

    def __init__(self, app: ASGIApp, stores: Stores, requests_per_minute: int) -> None:
        self._app = app
        self._stores = stores
        self._rate = rate_for(stores.catalog, requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        extra = {"X-Request-ID": request_id}
        if scope["path"].startswith(DOCS):
            extra["Content-Security-Policy"] = _DOCS_POLICY
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(extra)
            await send(message)

        try:
            refusal = await self._refusal(scope, headers, extra)
            if refusal is None:
                await self._app(scope, _limited(receive), sending)
            else:
                await refusal(scope, receive, sending)
        except Exception as error:
            # What happened is for the log; the caller gets the id to find it by.
            logger.exception("Request %s failed unexpectedly.", request_id)
            if started:
                raise
            hidden = unexpected(error).code
            message = f"Something went wrong; the log has it as {request_id}."
            await envelope(500, message, hidden)(scope, receive, sending)

    async def _refusal(self, scope: Scope, headers: Headers, extra: dict[str, str]) -> Json | None:
        """The answer to a request that goes no further; None for one that does."""
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return body_too_large()
        if scope["path"].startswith(_OPEN_PATHS):
            return None
        # Guessing is limited by where it comes from.
        client = scope.get("client") or ("unknown", 0)
        try:
            who, window = await run_in_threadpool(self._look, headers, f"address {client[0]}")
        except CloneError as error:
            return answer_for(error)
        refused = self._over_limit(window, extra)
        if isinstance(who, Unauthorized):
            return refused or answer_for(who)
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["principal"] = who
        return refused

    def _look(self, headers: Headers, address: str) -> tuple[Principal | Unauthorized, Window]:
        """Who asks, and whether it has asked too often."""
        try:
            principal = self._principal(headers)
        except Unauthorized as error:
            return error, self._rate.hit(address)
        return principal, self._rate.hit(f"key {principal.key_id}")

    def _principal(self, headers: Headers) -> Principal:
        scheme, _, api_key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not api_key.strip():
            raise Unauthorized("An API key is needed, as `Authorization: Bearer sk_...`.")
        return resolve_key(self._stores.catalog, api_key.strip(), self._stores.clock())

    def _over_limit(self, window: Window, extra: dict[str, str]) -> Json | None:
        """Adds the documented headers to whatever is answered."""
        wait = max(1, int(window.reset_at - time.time()) + 1)
        extra |= {
            "X-RateLimit-Limit": str(self._rate.most),
            "X-RateLimit-Remaining": str(window.remaining),
            "X-RateLimit-Reset": str(int(window.reset_at)),
            "X-RateLimit-Window": str(WINDOW_SECONDS),
        }
        if window.admitted:
            return None
        error = TooManyRequests(
            f"More than {self._rate.most} requests in {WINDOW_SECONDS} s; try again in {wait} s."
        )
        details = {"retry_after_seconds": wait, "retryable": True}
        return envelope(429, error.message, error.code, details, {"Retry-After": str(wait)})


def _limited(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Bodies without a length are counted as they come; too large a one ends in a 413, and one that
    does not come in a 408."""
    read = 0
    until = time.monotonic() + _BODY_SECONDS

    async def receiving() -> Message:
        nonlocal read
        if read < 0:
            # The body is there; what comes now is the end of the connection, whenever that is.
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except asyncio.TimeoutError:
            raise HTTPException(408) from None
        read += len(message.get("body", b""))
        if read > LARGEST_BODY:
            raise HTTPException(413)
        if not message.get("more_body"):
            read = -1
        return message

    return receiving
