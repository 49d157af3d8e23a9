"""YAML that remembers in which line each value stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]

Path = tuple[str | int, ...]

# Far more than anybody writes: aliases of aliases make a small file a large one.
MOST_VALUES = 100_000
_LARGEST = 2**63


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
            root = yaml.compose(content, Loader=yaml.SafeLoader)
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
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen and name != "<<":
                self._note(
                    (*path, name), line, f"`{name}` stands here and in line {seen[name]}; keep one."
                )
            seen[name] = line
        try:
            self._scalars.flatten_mapping(node)  # puts the keys of `<<: *anchor` in
        except yaml.YAMLError as error:
            self._note(path, node.start_mark.line + 1, f"{_not_yaml(error).reason}.")
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            inner = (*path, name)
            self._lines[inner] = key.start_mark.line + 1
            found[name] = self._read(value, inner)
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
            if not isinstance(value, int) or abs(value) < _LARGEST:
                return value
            reason = "the number is too large"
        self._note(path, node.start_mark.line + 1, f"{reason[0].upper()}{reason[1:]}.")
        return None

    def _note(self, path: Path, line: int, sentence: str) -> None:
        self.mistakes.append(Mistake(path, line, sentence))


def _not_yaml(error: yaml.YAMLError) -> NotYaml:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return NotYaml(" ".join(reason.split()), None if mark is None else mark.line + 1)
