"""A bundle's files: their names, and reading them a line at a time.

A line is one JSON object in UTF-8, ended by a line feed. A line of nothing but blanks is skipped,
and counted. What JSON allows and would be lost on the way is refused: a key that stands twice in
an object, a number beyond a double, and what is nested too deep.
"""

from __future__ import annotations

import json
import math
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..catalog.documents import RECORDS, Document, RecordTable
from ..depth import MAX_DEPTH, is_too_deep, may_be_too_deep
from ..errors import BundleError

NAMESPACE = "namespace.json"
CONFIG = "qdrant.json"
POINTS = "points.jsonl"
CLEARED = "cleared.json"

# The record files by kind, in the order in which their rows can be written.
RECORD_FILES = {kind: f"{record.table.name}.jsonl" for kind, record in RECORDS.items()}

MAX_LINE = 64 * 1024 * 1024  # bytes; a line is held in memory whole
BATCH_LINES = 1000
BATCH_BYTES = 4 * 1024 * 1024

TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"

_BLOCK = 1024 * 1024

_BLANKS = b" \t\r\n"

# What tells that a file is still the one that was checked: inode, size, time of change.
_Version = tuple[int, int, int]


class Wrong(ValueError):
    """What is wrong with a document; whoever knows its file and line makes a BundleError of it."""


@dataclass(frozen=True)
class Line:
    """`written` is the document as it stands in the file, where that is not `document`."""

    file: str
    number: int
    size: int
    document: Document
    written: Document | None = None

    def error(self, wrong: Wrong) -> BundleError:
        return BundleError(str(wrong), self.file, self.number)


class Files(Protocol):
    """The files of one bundle. Each may be read several times; raises BundleError for what cannot
    be read, or is no longer what it was when it was first read."""

    def document(self, file: str) -> Document | None:
        """The one document of a file; None where there is no such file."""
        ...

    def lines(self, file: str, *, checked: bool = False) -> Iterator[Line]:
        """The documents of a file, one at a time; nothing where there is no such file.

        `checked`: the file was read before, and what only the first reading looks for is not there.
        """
        ...

    def measure(self, file: str) -> tuple[int, int]:
        """How many lines it has, and bytes."""
        ...

    def check_unchanged(self) -> None:
        """Raises BundleError where a file is no longer what it was when it was first read."""
        ...


class BundleFiles:
    """The files of one bundle folder. Each may be read several times; it must not change then."""

    def __init__(self, folder: Path) -> None:
        """Raises BundleError where `folder` is none."""
        try:
            if not stat.S_ISDIR(os.stat(folder).st_mode):
                raise BundleError("is a file, and a bundle is a folder", str(folder))
        except OSError as error:
            raise _unreadable(str(folder), error) from error
        self._folder = folder
        self._versions: dict[str, _Version | None] = {}

    def document(self, file: str) -> Document | None:
        opened = self._open(file)
        if opened is None:
            return None
        with opened:
            try:
                # Reading with a bound would take the memory for it at once.
                if os.fstat(opened.fileno()).st_size > MAX_LINE:
                    raise BundleError(f"is longer than {MAX_LINE} bytes", file)
                raw = opened.read()
            except OSError as error:
                raise _unreadable(file, error) from error
        return parse(raw, file, None, decoder_of(file))

    def lines(self, file: str, *, checked: bool = False) -> Iterator[Line]:
        opened = self._open(file)
        if opened is None:
            return
        decoder = decoder_of(file, checked=checked)
        with opened:
            for number, raw in enumerate(_read_lines(opened, file), start=1):
                if raw.strip(_BLANKS):
                    yield Line(file, number, len(raw), parse(raw, file, number, decoder))

    def measure(self, file: str) -> tuple[int, int]:
        """Only counted, which takes no time to speak of."""
        opened = self._open(file)
        if opened is None:
            return 0, 0
        with opened:
            try:
                blocks = iter(partial(opened.read, _BLOCK), b"")
                return sum(block.count(b"\n") for block in blocks), opened.tell()
            except OSError as error:
                raise _unreadable(file, error) from error

    def check_unchanged(self) -> None:
        for file, version in self._versions.items():
            try:
                now: _Version | None = _version(os.stat(self._folder / file))
            except FileNotFoundError:
                now = None
            except OSError as error:
                raise _unreadable(file, error) from error
            if now != version:
                raise _changed(file)

    def _open(self, file: str) -> BinaryIO | None:
        path = self._folder / file
        try:
            self._check_link(file)
            # Before opening it: that would wait for ever for a named pipe's writer.
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise BundleError("is not a regular file", file)
            opened = path.open("rb")
        except FileNotFoundError:
            self._versions.setdefault(file, None)
            return None
        except OSError as error:
            raise _unreadable(file, error) from error
        if self._versions.setdefault(file, _version(status)) != _version(status):
            opened.close()
            raise _changed(file)
        return opened

    def _check_link(self, file: str) -> None:
        """A link that leads nowhere is no absent file, and one that leads out of the bundle reads
        what whoever made the bundle may not have meant to give away."""
        path = self._folder / file
        if not path.is_symlink():
            return
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            raise BundleError(
                "is a symbolic link that leads nowhere; put the file in its place", file
            ) from None
        if not target.is_relative_to(self._folder.resolve()):
            raise BundleError(
                "is a symbolic link that leads out of the bundle; put the file in its place", file
            )


def _version(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _changed(file: str) -> BundleError:
    return BundleError("changed while it was being loaded; load it again", file)


def _unreadable(file: str, error: OSError) -> BundleError:
    return BundleError(f"cannot be read: {error.strerror}", file)


def _read_lines(opened: BinaryIO, file: str) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        try:
            raw = opened.readline(MAX_LINE + 1)
        except OSError as error:
            raise _unreadable(file, error) from error
        if not raw:
            return
        if len(raw) > MAX_LINE:
            raise BundleError(f"is longer than {MAX_LINE} bytes", file, number)
        yield raw


def identified(record: RecordTable, document: Document) -> Document:
    """The document with every field that its row needs: a taxonomy's version is 1 by default."""
    if record.versioned and "version" not in document:
        return {"version": 1, **document}
    return document


def batches(files: Files, file: str) -> Iterator[list[Line]]:
    """The documents of a checked file in batches that are bounded in number and in size."""
    batch: list[Line] = []
    size = 0
    for line in files.lines(file, checked=True):
        batch.append(line)
        size += line.size
        if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def decoder_of(file: str, *, checked: bool = False) -> json.JSONDecoder:
    """What reads the documents of a file."""
    # Every number of a vector is checked later, at once: a call for each would cost as much as all
    # the rest.
    return _plain if checked else _unique_keys if file == POINTS else _exact


def parse(raw: bytes, file: str, line: int | None, decoder: json.JSONDecoder) -> Document:
    """A document. Raises BundleError."""
    try:
        value = decoder.decode(raw.decode())
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}"
        line = line or raw.count(b"\n", 0, error.start) + 1
        raise BundleError(reason, file, line) from None
    except json.JSONDecodeError as error:
        what = "a byte order mark" if raw.startswith(BOM_UTF8) else error.msg
        reason = f"is not valid JSON: {what} (column {error.colno})"
        raise BundleError(reason, file, line or error.lineno) from None
    except RecursionError:
        raise BundleError(TOO_DEEP, file, line) from None
    except ValueError as error:  # our own refusals, and a number of thousands of digits
        raise BundleError(f"is not usable: {error}", file, line) from None
    if not isinstance(value, dict):
        raise BundleError("is not a JSON object", file, line)
    # Of a point only the payload may be deep, and that is looked at when its text is at hand.
    if decoder is _exact and may_be_too_deep(raw) and is_too_deep(value):
        raise BundleError(TOO_DEEP, file, line)
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:40]} is beyond what a double can hold")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return document


_plain = json.JSONDecoder()
_unique_keys = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)
_exact = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
)
