"""A bundle's documents as those of another namespace: each is rewritten as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..catalog.documents import RECORDS, Document
from ..references import Rewriter
from .files import POINTS, RECORD_FILES, Files, Line, identified

_KINDS = {file: kind for kind, file in RECORD_FILES.items()}

# Kind, id and version of a resource.
Key = tuple[str, str, int]


def key_of(kind: str, document: Document) -> Key:
    """Of a document with every field that its row needs."""
    record = RECORDS[kind]
    return kind, document[record.id_field], record.version_of(document)


class Rewrite:
    """What becomes of records and points. `small` has the resources of which there are few, which
    were rewritten when it was decided what becomes of all."""

    def __init__(self, rewriter: Rewriter, small: Mapping[Key, Document]) -> None:
        self._rewriter = rewriter
        self._small = small

    def __call__(self, file: str, document: Document) -> Document:
        """A document of that file, which was checked, as the new namespace has it."""
        if file == POINTS:
            payload: dict[str, Any] | None = document.get("payload")
            if payload is None:
                return document
            return {**document, "payload": self._rewriter.rewrite_payload(payload)[0]}
        kind = _KINDS[file]
        if kind == "object":
            return self._rewriter.rewrite_object(document)[0]
        return self._small[key_of(kind, identified(RECORDS[kind], document))]


class RewrittenFiles:
    """The files of a checked bundle, their records and points rewritten."""

    def __init__(self, files: Files, rewrite: Rewrite) -> None:
        self._files = files
        self._rewrite = rewrite

    def document(self, file: str) -> Document | None:
        return self._files.document(file)

    def lines(self, file: str, *, checked: bool = False) -> Iterator[Line]:
        for line in self._files.lines(file, checked=checked):
            document = self._rewrite(file, line.document)
            yield replace(line, document=document, written=line.document)

    def measure(self, file: str) -> tuple[int, int]:
        return self._files.measure(file)

    def check_unchanged(self) -> None:
        self._files.check_unchanged()
