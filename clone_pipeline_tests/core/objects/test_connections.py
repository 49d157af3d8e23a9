"""Connections that are kept, and what is no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clone_pipeline.core.objects.connections import Connections, NotAnswered
from clone_pipeline.core.objects.signing import Route

HEAD = b"HEAD / HTTP/1.1\r\n\r\n"


@contextmanager
def _answering(*answers: bytes) -> Iterator[Route]:
    """A server with one answer for each connection's each request, in this order."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            left = list(answers)
            while left:
                connection, _ = server.accept()
                with connection:
                    while left and connection.recv(65_536):
                        connection.sendall(left.pop(0))

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        yield Route(False, "127.0.0.1", port, f"127.0.0.1:{port}", "/b/", "eu")
        thread.join()


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",  # no server may do so
        b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_connection_that_cannot_be_used_again_is_not(first: bytes) -> None:
    connections = Connections(lambda: None, (5, 5))
    with _answering(first, b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n") as route:
        assert connections.ask(route, HEAD).status == 404
        assert not any(connections._idle.values())
        assert connections.ask(route, HEAD).size == 7
    connections.close()


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        CHUNKS + b"0\r\n\r\n",
        CHUNKS + b"0\r\nLast: x\r\n\r\n",
    ],
)
def test_an_answers_body_is_read_and_the_connection_stays(answer: bytes) -> None:
    connections = Connections(lambda: None, (5, 5))
    with _answering(answer, b"HTTP/1.1 204 No Content\r\n\r\n") as route:
        # In one piece, which the server takes for one request.
        assert connections.ask(route, b"PUT / HTTP/1.1\r\n\r\ncontent").body == b"abcde"
        (connection,) = connections._idle[route.host, route.port]
        assert connections.ask(route, b"DELETE / HTTP/1.1\r\n\r\n").status == 204
        assert list(connections._idle[route.host, route.port]) == [connection]
        connections.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\n\r\n",
        CHUNKS,
    ],
)
def test_a_body_that_breaks_off_is_no_answer(answer: bytes) -> None:
    connections = Connections(lambda: None, (1, 1))
    with _answering(answer) as route, pytest.raises(NotAnswered):
        connections.ask(route, b"PUT / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200", b"HTTP/1.0 200 OK\r\n\r\n", b"SSH-2.0-x\r\n\r\n"]
)
def test_what_is_no_answer_is_left_to_the_client(answer: bytes) -> None:
    connections = Connections(lambda: None, (5, 5))
    with _answering(answer) as route, pytest.raises(NotAnswered):
        connections.ask(route, HEAD)
