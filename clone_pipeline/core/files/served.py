"""What a file is, beside its bytes: what is known of it, and how it is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

# What a file is served with, beside its bytes: whoever writes a copy has to say it again. By the
# names that the client has for it, those of the headers.
_SERVED = {
    "ContentType": "content-type",
    "ContentEncoding": "content-encoding",
    "ContentDisposition": "content-disposition",
    "ContentLanguage": "content-language",
    "CacheControl": "cache-control",
    "WebsiteRedirectLocation": "x-amz-website-redirect-location",
}


@dataclass(frozen=True)
class Described:
    """A file with all that is known of it. `served` is as the client wants it of whoever writes
    it; `checksums` are those that the store keeps of the whole file, by the name of the algorithm
    as its answers spell it (`ChecksumSHA256`)."""

    size: int
    etag: str
    served: Mapping[str, Any]
    checksums: Mapping[str, str]


def served_as(found: Mapping[str, Any], tags: list[dict[str, str]]) -> dict[str, Any]:
    """From what the client has found of a file, and from its tags."""
    served = {name: found[name] for name in (*_SERVED, "Metadata") if found.get(name)}
    if tags:
        served["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return served


def as_headers(served: Mapping[str, Any]) -> dict[str, str]:
    """The same for a request that is not the client's."""
    headers = {header: served[name] for name, header in _SERVED.items() if name in served}
    headers |= {
        f"x-amz-meta-{name.lower()}": value for name, value in served.get("Metadata", {}).items()
    }
    if "Tagging" in served:
        headers["x-amz-tagging"] = served["Tagging"]
    return headers


def unquoted(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def whole_checksums(found: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of a whole file; of several parts there is one of their checksums, too."""
    if found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return {}
    return {
        name: value
        for name, value in found.items()
        if name.startswith("Checksum") and name != "ChecksumType" and "-" not in value
    }
