"""From the file to environments. A file with a mistake in it is not used at all: half of what was
meant might be the half that says what must not be written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.request import DEFAULT_ENVIRONMENT as DEFAULT
from clone_pipeline.core.request import LONGEST_ENVIRONMENT as LONGEST_NAME
from clone_pipeline.environments.models import Environment, EnvironmentsFile, SameThings
from clone_pipeline.lines import Document, NotYaml, Problem, read_file, short

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = ", ".join(EnvironmentsFile.model_fields)


@dataclass(frozen=True)
class Environments:
    """What a file holds, by name, and the `map` of what is the same in several of them; or what is
    wrong with it."""

    file: str = ""
    by_name: Mapping[str, Environment] = field(default_factory=dict)
    same: SameThings = field(default_factory=SameThings)
    problems: tuple[Problem, ...] = ()

    def counterparts(self, source: str, target: str) -> dict[str, dict[str, str]]:
        """By kind, what is called so in the one environment and so in the other one."""
        return {
            kind: {row[source]: row[target] for row in rows if source in row and target in row}
            for kind, rows in self.same.by_kind.items()
        }

    @property
    def names(self) -> list[str]:
        """All that can be named, the default one first."""
        return [DEFAULT, *self.by_name]

    def find(self, name: str) -> Environment:
        """Raises InvalidRequest where there is none of that name, or the file cannot be used."""
        if self.problems:
            raise InvalidRequest(str(self.problems[0]))
        found = self.by_name.get(name)
        if found is None:
            where = (
                f"{self.file} has" if self.file else "CLONE_ENVIRONMENTS is not set, so there is"
            )
            raise InvalidRequest(
                f"There is no environment {short(name)!r}; {where} {', '.join(self.names)}."
            )
        return found


def read_environments(file: Path | None) -> Environments:
    """The environments of a file; none for no file. Never raises for what is in it."""
    if file is None:
        return Environments()
    name = str(file)
    try:
        document = Document(read_file(file))
    except OSError as error:
        problem = Problem(name, None, f"CLONE_ENVIRONMENTS cannot be read: {error.strerror}.")
        return Environments(name, problems=(problem,))
    except NotYaml as error:
        return Environments(
            name, problems=(Problem(name, error.line, f"This is not YAML: {error.reason}."),)
        )
    reader = _Reader(name, document)
    reader.read()
    problems = tuple(sorted(reader.problems, key=lambda problem: problem.line or 0))
    if problems:
        return Environments(name, problems=problems)
    return Environments(name, reader.found, reader.same)


class _Reader:
    """One pass over the document."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self.document = document
        self.found: dict[str, Environment] = {}
        self.same = SameThings()
        self.problems = [
            Problem(file, mistake.line, mistake.sentence) for mistake in document.mistakes
        ]

    def read(self) -> None:
        value = self.document.value
        if value is None:
            return
        if not isinstance(value, dict):
            self._say((), "The file must hold `environments`, each with its name.")
            return
        for key in value.keys() - EnvironmentsFile.model_fields.keys():
            self._say((key,), f"Unknown key `{short(key)}`; accepted are: {_KEYS}.")
        entries = value.get("environments")
        if isinstance(entries, dict):
            for name, entry in entries.items():
                self._read_entry(name, entry)
        elif entries is not None:
            self._say(("environments",), "`environments` must hold each by its name.")
        if value.get("map") is not None:
            self._read_map(value["map"])

    def _read_entry(self, name: str, entry: Any) -> None:
        path = ("environments", name)
        if name == DEFAULT:
            self._say(
                path, f"`{DEFAULT}` is what the variables describe (CATALOG_URL, ...), not a file."
            )
        elif not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            self._say(
                path,
                f"The name {short(name)!r} is not usable: write letters, digits, `_` and `-`.",
            )
        elif not isinstance(entry, dict):
            self._say(path, "Each environment has `access`, `catalog_url` and `qdrant`.")
        else:
            self._read_environment(path, entry)

    def _read_map(self, value: Any) -> None:
        try:
            self.same = SameThings.model_validate(value)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                self._say(("map", *one["loc"]), _sentence(one))
            return
        known = {DEFAULT, *self.found}
        for section, rows in self.same.model_dump().items():
            seen: set[tuple[str, str]] = set()
            for place, row in enumerate(rows):
                path = ("map", section, place)
                for name in sorted(row.keys() - known):
                    self._say((*path, name), f"There is no environment {short(name)!r} here.")
                for name in sorted(row.items() & seen):
                    self._say(
                        path, f"{short(name[1])!r} of {name[0]!r} stands in another row, too."
                    )
                seen |= set(row.items())

    def _read_environment(self, path: tuple[str, str], entry: dict[str, Any]) -> None:
        try:
            self.found[path[1]] = Environment.model_validate(entry)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                self._say((*path, *one["loc"]), _sentence(one))

    def _say(self, path: tuple[str | int, ...], sentence: str) -> None:
        self.problems.append(Problem(self.file, self.document.line(path), sentence))


def _sentence(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"Unknown key `{short(key)}`."
    if error["type"] == "missing":
        return f"`{key}` is required."
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        about = f"`{key}`: " if key and "`" not in reason[:2] else ""
        return f"{about}{reason[0].upper() if not about else reason[0]}{reason[1:]}."
    message = f"{error['msg'][0].lower()}{error['msg'][1:]}"
    # What stands in a wrong place may be a secret: only what has a few values is quoted.
    if error["type"] == "literal_error":
        message += f" (got {short(json.dumps(error['input'], default=str))})"
    return f"`{key}` is not usable: {message}."
