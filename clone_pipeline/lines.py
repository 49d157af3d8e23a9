"""YAML that remembers in which line each value stands."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import yaml  # type: ignore[import-untyped]

from clone_pipeline.core.text import storable

Path = tuple[str | int, ...]

# Far more than anybody writes: aliases of aliases make a small file a large one.
MOST_VALUES = 100_000
_DEEPEST = 50
_LARGEST = 2**63
_LARGEST_FILE = 2**20
_MERGE = "tag:yaml.org,2002:merge"  # the key `<<`


@dataclass(frozen=True)
class Problem:
    """`line` counts from 1; None for the file as a whole."""

    file: str
    line: int | None
    sentence: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.sentence}"


class NotYaml(Exception):
    """`line` counts from 1; None where the file as a whole cannot be read as text."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Mistake:
    """Something that is YAML, but means two things or none."""

    path: Path
    line: int
    sentence: str


class Document:
    """A YAML document as plain values. `mistakes` says what of it cannot be trusted."""

    def __init__(self, content: bytes) -> None:
        """Raises NotYaml."""
        try:
            root = _compose(content)
        except yaml.YAMLError as error:
            raise _not_yaml(error) from None
        except RecursionError:
            raise NotYaml("it is nested too deeply", None) from None
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: list[int] = []
        self._values = 0
        self._lines: dict[Path, int] = {}
        self.mistakes: list[Mistake] = []
        self.value = None if root is None else self._read(root, ())

    def line(self, path: Path) -> int:
        """Where a value stands; for one that is absent, where what it is missing from begins."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _read(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self._values += 1
        if self._values > MOST_VALUES:
            raise NotYaml(f"with its aliases it holds more than {MOST_VALUES:,} values", line)
        self._lines.setdefault(path, line)
        if id(node) in self._open:
            self._note(path, line, "The value contains itself.")
            return None
        if len(self._open) == _DEEPEST:
            raise NotYaml("it is nested too deeply", line)
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._read_mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                items = enumerate(node.value)
                return [self._read(item, (*path, place)) for place, item in items]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: list[tuple[str, yaml.Node, yaml.Node]] = []
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if key.tag == _MERGE:
                merged = self._read_merged(value, path) | merged
            elif not isinstance(key, yaml.ScalarNode) or not storable(name):
                self._note(path, line, "A key must be plain text.")
            else:
                own.append((name, key, value))
                if name in seen:
                    twice = f"`{short(name)}` stands here and in line {seen[name]}; keep one."
                    self._note((*path, name), line, twice)
                seen[name] = line
        found = merged
        for name, key, value in own:
            inner = (*path, name)
            self._lines[inner] = key.start_mark.line + 1
            found[name] = self._read(value, inner)
        return found

    def _read_merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """What `<<` puts in: a mapping, or several of which the first one wins."""
        several = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for one in several:
            if isinstance(one, yaml.MappingNode):
                found = (self._read(one, path) or {}) | found
            else:
                line = node.start_mark.line + 1
                self._note(path, line, "`<<` takes a mapping, or a list of mappings.")
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = _not_yaml(error).reason if isinstance(error, yaml.YAMLError) else str(error)
        except (
            AttributeError,
            LookupError,
            TypeError,
        ):  # a tag that does not fit, as `!!bool maybe`
            reason = f"{node.value[:40]!r} is no value of the type {node.tag.rpartition(':')[2]}"
        else:
            if isinstance(value, int) and abs(value) >= _LARGEST:
                reason = "the number is too large"
            elif isinstance(value, str) and not storable(value):
                reason = "the text has a character in it that cannot be stored"
            else:
                return value
        self._note(path, node.start_mark.line + 1, f"{reason[0].upper()}{reason[1:]}.")
        return None

    def _note(self, path: Path, line: int, sentence: str) -> None:
        self.mistakes.append(Mistake(path, line, sentence))


def _compose(content: bytes) -> yaml.Node | None:
    """Read by libyaml where it is there, in a fifth of the time; what is wrong is told in the words
    of the other reader."""
    if yaml.__with_libyaml__:
        with suppress(yaml.YAMLError):
            return yaml.compose(content, Loader=_FastLoader)
    return yaml.compose(content, Loader=yaml.SafeLoader)


if yaml.__with_libyaml__:

    class _FastLoader(yaml.composer.Composer, yaml.CSafeLoader):  # type: ignore[misc]
        """libyaml's reader; nodes are made in Python, which notices what is nested too deeply."""

        def __init__(self, content: bytes) -> None:
            yaml.CSafeLoader.__init__(self, content)
            yaml.composer.Composer.__init__(self)


def short(text: str) -> str:
    """For a sentence, which must not be as long as what it is about."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _not_yaml(error: yaml.YAMLError) -> NotYaml:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return NotYaml(" ".join(reason.split()), None if mark is None else mark.line + 1)


def read_file(file: File) -> bytes:
    """Raises OSError. A FIFO would keep whoever reads it waiting, and a device never ends."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no ordinary file")
        content = opened.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise OSError(0, f"it is larger than {_LARGEST_FILE:,} bytes")
    return content
