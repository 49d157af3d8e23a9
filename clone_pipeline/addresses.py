"""Addresses of other services, as they may stand in a file."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from clone_pipeline.core.secrets import mask


def check_address(address: str, *, may_hold_secrets: bool = False) -> None:
    """Raises ValueError, with a sentence that does not quote the address."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0) and address.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in address:
        raise ValueError(
            "an address begins with `https://` and a host, such as `https://a.example/b`"
        )
    if not may_hold_secrets and mask(address) != address:
        raise ValueError(
            "the address holds a secret; put it into a variable, and write `{env: NAME}`"
        )


def _checked(address: str) -> str:
    check_address(address)
    return address


Address = Annotated[str, AfterValidator(_checked)]
