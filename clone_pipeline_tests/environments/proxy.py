"""A TCP proxy on loopback: another way to a server, which may change what it answers."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import urlsplit

Change = Callable[[bytes], bytes]


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def closed_port() -> int:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


_DATE = re.compile(rb"(?i)(\r\ndate: )([^\r\n]+)")


@contextmanager
def forwarding(port: int, change: Change = bytes) -> Iterator[int]:
    """The port of a proxy before another one of this machine; `change` is given each part of an
    answer as it comes in."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port, change), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone does not wake whoever waits in accept().
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, port: int, change: Change) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=_serve, args=(client, server, change), daemon=True).start()


def _serve(client: socket.socket, server: socket.socket, change: Change) -> None:
    with client, server:
        asking = threading.Thread(target=_pump, args=(client, server, bytes), daemon=True)
        asking.start()
        _pump(server, client, change)
        asking.join()


def _pump(one: socket.socket, other: socket.socket, change: Change) -> None:
    """Until `one` has said its last."""
    with suppress(OSError):
        while part := one.recv(65536):
            other.sendall(change(part))
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def days_ahead(days: int) -> Change:
    """Sets the Date of HTTP answers forward."""

    def later(found: re.Match[bytes]) -> bytes:
        told = parsedate_to_datetime(found[2].decode()).timestamp() + days * 86400
        return found[1] + formatdate(told, usegmt=True).encode()

    return lambda part: _DATE.sub(later, part)
