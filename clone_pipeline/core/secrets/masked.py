"""Documents without their secrets, remembered: polls and lists show the same ones again and again,
and looking for secrets is most of the work of an answer."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Any

from .documents import without


class Masked:
    """Remembers by a digest of the document, so that no secret is kept, and as text, so that nobody
    changes what another one is shown."""

    def __init__(self, most_characters: int) -> None:
        self._most = most_characters
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._characters = 0
        self._using = threading.Lock()

    def __call__(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document as `secrets.without` leaves it."""
        digest = blake2b(json.dumps(document).encode(), digest_size=16).digest()
        with self._using:
            text = self._kept.get(digest)
            if text is not None:
                self._kept.move_to_end(digest)
        if text is None:
            text = json.dumps(without(document))
            self._keep(digest, text)
        shown: dict[str, Any] = json.loads(text)
        return shown

    def _keep(self, digest: bytes, text: str) -> None:
        with self._using:
            before = self._kept.pop(digest, "")
            self._kept[digest] = text
            self._characters += len(text) - len(before)
            while self._characters > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._characters -= len(oldest)


masked = Masked(16 * 1024 * 1024)
