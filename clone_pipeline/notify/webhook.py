"""A message to a webhook, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it:
HMAC-SHA256 over id, time and body, so that nobody else can send one, or send an old one again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from urllib.request import getproxies, proxy_bypass

import httpx

from clone_pipeline.notify import message
from clone_pipeline.notify.errors import NotDelivered
from clone_pipeline.notify.told import Event

_SECONDS = 5.0
_TIMEOUT = httpx.Timeout(_SECONDS, connect=3.0)
_BUSY = 429


def send_webhook(
    target: str, address: str, secret: bytes, events: Sequence[Event], now: datetime
) -> None:
    """Posts the message once. Raises NotDelivered."""
    content = message.body(events, now)
    headers = {
        "content-type": "application/json",
        "user-agent": "clone-pipeline",
        **signed(message.identity(target, events), int(now.timestamp()), content, secret),
    }
    request = httpx.Request("POST", address, content=content, headers=headers)
    request.extensions["timeout"] = _TIMEOUT.as_dict()
    # Not through a client, which logs the address, and that may be secret.
    try:
        with httpx.HTTPTransport(proxy=_proxy(request.url)) as transport:
            status = transport.handle_request(request).status_code
    except httpx.TimeoutException:
        raise NotDelivered(f"did not answer within {_SECONDS:.0f} s.", passes=True) from None
    except httpx.ConnectError as error:
        raise NotDelivered(f"cannot be reached ({error}).", passes=True) from None
    except httpx.HTTPError as error:
        raise NotDelivered(f"broke off ({type(error).__name__}).", passes=True) from None
    if not 200 <= status < 300:
        why = " A redirect is not followed." if 300 <= status < 400 else ""
        passes = status == _BUSY or status >= 500
        raise NotDelivered(f"answered with status {status}.{why}", passes=passes)


def signed(identity: str, timestamp: int, content: bytes, secret: bytes) -> dict[str, str]:
    """The headers by which whoever knows the secret can tell that a message is ours, and new."""
    what = f"{identity}.{timestamp}.".encode() + content
    digest = base64.b64encode(hmac.new(secret, what, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }


def _proxy(url: httpx.URL) -> str | None:
    """As the environment has it, for every program."""
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)
