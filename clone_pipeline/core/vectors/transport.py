"""Over what points travel to and from a server: gRPC, or REST where that cannot be."""

from __future__ import annotations

import threading

from .channel import Channel
from .rest import Rest

_PROBE_SECONDS = 3.0
# Since then vectors have the same encoding in answers and in upserts.
_ENCODED_SINCE = (1, 17)


class Transport:
    """Safe for threads."""

    def __init__(self, rest: Rest, channel: Channel) -> None:
        self._rest = rest
        self._channel = channel
        self._probing = threading.Lock()
        self._fallback: str | None = None  # why points go over REST; "" is: they do not

    def why_rest(self) -> str:
        """Why points cannot go over gRPC; "" where they can. Asked of the server once."""
        with self._probing:
            if self._fallback is None:
                over_rest = self._rest.version()
                over_grpc = self._channel.version(_PROBE_SECONDS)
                self._fallback = _reason(over_rest, over_grpc, self._channel.address)
            return self._fallback


def _reason(over_rest: str, over_grpc: str | None, address: str) -> str:
    if over_grpc is None:
        return f"no Qdrant answers over gRPC at {address}; set QDRANT_GRPC_PORT if it is elsewhere"
    if over_grpc != over_rest:
        return (
            f"another Qdrant ({over_grpc}, not {over_rest}) answers over gRPC at {address}; set "
            "QDRANT_GRPC_PORT"
        )
    if tuple(int(part) for part in over_rest.split(".")[:2]) < _ENCODED_SINCE:
        return f"Qdrant {over_rest} gives vectors out in an older encoding than it takes them in"
    return ""
