"""A server that messages are sent to, as somebody's webhook or as Slack."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(self.json["events"])

    @property
    def said(self) -> list[str]:
        """`kind policy`, of what has recovered with the kind of that."""
        return [
            " ".join(filter(None, (one["kind"], one["of"], one["policy"]))) for one in self.events
        ]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """`answers` are the next statuses, or for Slack the next errors; then all is well. What it did
    not accept is in `refused`."""

    url: str
    answers: list[int | str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    refused: list[Received] = field(default_factory=list)

    @property
    def said(self) -> list[list[str]]:
        return [one.said for one in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Received(self.path, headers, body)
            answer = receiver.answers.pop(0) if receiver.answers else 200
            ok = answer == 200
            (receiver.received if ok else receiver.refused).append(got)
            self.send_response(answer if isinstance(answer, int) else 200)
            said = json.dumps({"ok": ok, "error": str(answer)}).encode()
            if answer == 302:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
