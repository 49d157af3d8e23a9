"""Stands before an S3 server and writes down every request; nothing of it is changed, unless a test
has something else answered."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Answers = Callable[[str, str, str], bytes | None]

_NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Recorder:
    """`requests`: (method, bucket and key, query)."""

    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def written(self) -> set[str]:
        """What was asked to be changed, as bucket and key."""
        return {path for method, path, _ in self.requests if method not in ("GET", "HEAD")}


@contextmanager
def recorded(behind: str, instead_of: Answers | None = None) -> Iterator[Recorder]:
    """`instead_of`: what is answered in place of the server, with status 200, by method, bucket and
    key, and query; None lets the request through."""
    recorder, host = Recorder(), urlsplit(behind).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).lstrip("/")
            recorder.requests.append((self.command, path, parts.query))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            instead = instead_of and instead_of(self.command, path, parts.query)
            if instead is not None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(instead)))
                self.end_headers()
                self.wfile.write(instead)
                return
            connection = http.client.HTTPConnection(host, timeout=30)
            try:
                # With the host that the request was signed for.
                connection.putrequest(self.command, self.path, skip_host=True)
                for key, value in self.headers.items():
                    if key.lower() not in _NOT_PASSED_ON:
                        connection.putheader(key, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in (*_NOT_PASSED_ON, "content-length", "date", "server"):
                        self.send_header(key, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
            finally:
                connection.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
