"""Requests without the machinery of the AWS client, which costs a millisecond and a half each.

The client asks for the first file of each bucket. From the request that it then sends (after its
rules for endpoints, and its redirects to the right region) a `Route` is learned, by which the
bucket's other files are asked for and written: the same address, the same signature. Whatever is
out of the ordinary is left to the client.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")
_SIGNED = {"host", "x-amz-content-sha256", "x-amz-date"}
_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None


@dataclass(frozen=True)
class Route:
    """Where the files of a bucket are asked for: at `prefix` and the quoted key."""

    tls: bool
    host: str
    port: int
    host_header: str
    prefix: str
    region: str

    @classmethod
    def learned(cls, url: str, headers: Mapping[str, Any], key: str) -> Route | None:
        """From a HEAD request that the client has signed and sent; None for one of another kind."""
        place = urlsplit(url)
        scope = _SCOPE.match(_text(headers.get("Authorization", "")))
        signed = _text(headers.get("Authorization", "")).partition("SignedHeaders=")[2]
        names = set(signed.partition(",")[0].split(";")) - {"x-amz-security-token"}
        path = quoted(key)
        if scope is None or names != _SIGNED or place.query or not place.path.endswith(path):
            return None
        tls = place.scheme == "https"
        return cls(
            tls=tls,
            host=place.hostname or "",
            port=place.port or (443 if tls else 80),
            host_header=place.netloc,
            prefix=place.path[: -len(path)],
            region=scope[1],
        )

    def request(
        self,
        method: str,
        key: str,
        credentials: Credentials,
        now: datetime,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> bytes:
        """A signed request, without its body. The names of `headers` are in small letters.

        Raises UnicodeEncodeError for what no key or header can hold.
        """
        path = self.prefix + quoted(key)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        said = {
            "host": self.host_header,
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest() if body else _NO_BODY,
            "x-amz-date": stamp,
            **(headers or {}),
        }
        if credentials.token is not None:
            said["x-amz-security-token"] = credentials.token
        lines = [f"{name}:{said[name]}" for name in sorted(said)]
        signed = ";".join(sorted(said))
        trimmed = [" ".join(line.split()) for line in lines]
        content = said["x-amz-content-sha256"]
        canonical = "\n".join([method, path, "", *trimmed, "", signed, content])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signing = _signing_key(credentials.secret_key, stamp[:8], self.region)
        signature = hmac.digest(
            signing, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        lines.append(
            f"authorization:AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        if method == "PUT":
            lines.append(f"content-length:{len(body)}")
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("ascii")


def quoted(key: str) -> str:
    """As S3 wants a key to be quoted, in the path and in the signature."""
    return quote(key, safe="/~")


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
