"""Stands before a Qdrant server and writes down every request, over REST and over gRPC."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import grpc

from clone_pipeline_tests.qdrant_server import _free_ports

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Proxy:
    """`requests`: (method, path) over REST, ("gRPC", method) over gRPC, in no particular order."""

    def __init__(self, url: str, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[tuple[str, str]] = []
        self._behind = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._channel = grpc.insecure_channel(_grpc_address(url), _UNLIMITED)

    def forward(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        self.requests.append((method, path))
        kept = {key: headers[key] for key in ("Content-Type", "api-key") if key in headers}
        request = urllib.request.Request(self._behind + path, body or None, kept, method=method)
        try:
            with self._opener.open(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def forward_call(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append(("gRPC", method))
        keys = [(name, value) for name, value in context.invocation_metadata() if name == "api-key"]
        try:
            answer: bytes = self._channel.unary_unary(method)(request, metadata=keys)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        return answer

    def close(self) -> None:
        self._channel.close()


def _grpc_address(url: str) -> str:
    parts = urlsplit(url)
    assert parts.port is not None
    return f"{parts.hostname}:{parts.port + 1}"


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = proxy.forward(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            return

    return Handler


class _Calls(grpc.GenericRpcHandler):
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def service(self, details: Any) -> Any:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._proxy.forward_call(details.method, request, context)

        return grpc.unary_unary_rpc_method_handler(call)


@contextmanager
def recording(url: str) -> Iterator[Proxy]:
    """A proxy before the server at `url`, at an address of its own."""
    http_port, grpc_port = _free_ports()
    proxy = Proxy(url, http_port)
    rest = ThreadingHTTPServer(("127.0.0.1", http_port), _handler(proxy))
    calls = grpc.server(ThreadPoolExecutor(8), [_Calls(proxy)], options=_UNLIMITED)
    calls.add_insecure_port(f"127.0.0.1:{grpc_port}")
    calls.start()
    serving = threading.Thread(target=rest.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield proxy
    finally:
        rest.shutdown()
        serving.join()
        rest.server_close()
        calls.stop(None).wait()
        proxy.close()
