"""A folder that appears whole or not at all, and JSON as it is written into it."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import Conflict, InvalidRequest, StorageFailed
from ..vectors.models import refuse_no_numbers
from ..vectors.point import Point, ShardKey
from ..vectors.text import encoded_vector


class Output:
    """A folder that is being written. Only its owner may read it: documents can hold secrets."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target

    def write(self, file: str, lines: Iterable[bytes]) -> None:
        """Writes a file, on the disk when this returns. Raises StorageFailed."""
        with self._create(file) as opened:
            for line in lines:
                try:
                    opened.write(line)
                except OSError as error:
                    raise cannot_write(self._target, error) from error

    @contextmanager
    def _create(self, file: str) -> Iterator[BinaryIO]:
        path = self._folder / file
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise cannot_write(self._target, error) from error
        opened = open(number, "wb")
        try:
            yield opened
            try:
                opened.flush()
                os.fsync(number)
            except OSError as error:
                raise cannot_write(self._target, error) from error
        finally:
            # Closing writes once more what a full disk has refused: that was told already.
            with suppress(OSError):
                opened.close()


def cannot_write(target: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"The bundle {target} cannot be written: {error.strerror}.")


@contextmanager
def new_folder(folder: Path) -> Iterator[Output]:
    """A folder that takes its name only when the block has ended well.

    What killed ones have left of the same folder is removed. Raises Conflict where `folder` exists
    and is not empty, StorageFailed where it cannot be made.
    """
    target = folder.resolve()
    _refuse_occupied(target)
    prefix = f".{target.name}.unfinished-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f"{glob.escape(prefix)}*"):
            _remove_abandoned(left)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        # Whoever dies lets go of it.
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Output(partial, target)
        try:
            _sync(partial)
            partial.rename(target)
            _sync(target.parent)
        except OSError as error:
            raise cannot_write(target, error) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)


def _remove_abandoned(left: Path) -> None:
    """Nothing happens to one that is still being written, or that is no folder."""
    try:
        held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(held)


def _refuse_occupied(target: Path) -> None:
    try:
        occupied = os.path.lexists(target) and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise cannot_write(target, error) from error
    if occupied:
        raise Conflict(f"{target} exists and is not an empty folder; name a new one.")


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def encode(value: Any) -> bytes:
    """A JSON value on one line."""
    return _bytes(_line.encode(value))


def encode_indented(value: Any) -> bytes:
    """A JSON value for people, with a line feed at the end."""
    return _bytes(_indented.encode(value)) + b"\n"


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair is JSON and not UTF-8; escaped it is both.
        return "".join(_escaped(character) for character in text).encode()


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if "\ud800" <= character <= "\udfff" else character


_line = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_indented = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2)


def encode_point(point: Point, shard_key: ShardKey | None = None) -> bytes:
    """A line of points.jsonl. Raises InvalidRequest for what no JSON can hold."""
    refuse_no_numbers(point)
    vectors = b",".join(
        encode(name) + b":" + encoded_vector(vector) for name, vector in point.vectors.items()
    )
    try:
        payload = encode(point.payload)
    except ValueError as error:
        raise InvalidRequest(
            f"Point {point.id}: its payload holds NaN or an infinity, which JSON has not; correct "
            "the point, or delete it."
        ) from error
    key = b"" if shard_key is None else b'"shard_key":%b,' % encode(shard_key)
    return b'{"id":%b,%b"vector":{%b},"payload":%b}' % (encode(point.id), key, vectors, payload)
