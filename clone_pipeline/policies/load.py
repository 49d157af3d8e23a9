"""From the file to policies. A mistake takes down the entry it is in, and nothing else."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from clone_pipeline.lines import Document, NotYaml, Problem, read_file, short
from clone_pipeline.policies.models import REFUSED, BackupPolicy, PoliciesFile, RefreshPolicy
from clone_pipeline.policies.targets import Target

_SECTIONS: dict[str, type[BackupPolicy] | type[RefreshPolicy] | type[Target]] = {
    "backups": BackupPolicy,
    "refreshes": RefreshPolicy,
    "notify": Target,
}
# Far more than anybody writes.
_MOST_POLICIES = 1000
# All of them are told at once, within one tick.
_MOST_TARGETS = 20
_MOST_PROBLEMS = 100
_NAME = re.compile(r"[A-Za-z0-9_]+")
# What our own definitions are called.
_OURS = {
    "clone_namespace",
    "archive_namespace",
    "sweep_namespaces",
    "hourly_sweep",
    "test_restore",
    "check_clones",
    "daily_checks",
    "clone_failed",
    "clone_cancelled",
    "clones_in_waiting",
    "backup_partitions",
    "notifications",
    "policies_file",
}
# What the sensor of a refresh is called: a schedule must not be called the same.
SENSOR_PREFIX = "staging_refresh_"
# And the schedule of a backup's restore test.
RESTORE_TEST_PREFIX = "restore_test_"


@dataclass(frozen=True)
class Policies:
    """What is usable of the file, and what is wrong with the rest. `version` changes with it."""

    backups: tuple[BackupPolicy, ...] = ()
    refreshes: tuple[RefreshPolicy, ...] = ()
    notify: tuple[Target, ...] = ()
    problems: tuple[Problem, ...] = ()
    version: str = ""


def load_policies(file: Path | None) -> Policies:
    """As `read_policies`; what is wrong is also said in the log."""
    policies = read_policies(file)
    for problem in policies.problems:
        logging.getLogger(__name__).warning("%s", problem)
    return policies


def read_policies(file: Path | None) -> Policies:
    """The policies of a file; none for no file. Never raises for what is in it."""
    if file is None:
        return Policies()
    try:
        content = read_file(file)
    except OSError as error:
        sentence = f"CLONE_POLICIES cannot be read: {error.strerror}."
        return Policies(problems=(Problem(str(file), None, sentence),))
    return _parsed(str(file), content)


# Whoever watches asks at each scrape, and a long file takes a second to be understood.
@lru_cache(maxsize=4)
def _parsed(file: str, content: bytes) -> Policies:
    version = sha256(content).hexdigest()
    try:
        document = Document(content)
    except NotYaml as error:
        problem = Problem(file, error.line, f"This is not YAML: {error.reason}.")
        return Policies(problems=(problem,), version=version)
    reader = _Reader(file, document)
    reader.read()
    return Policies(
        tuple(one for one in reader.found if isinstance(one, BackupPolicy)),
        tuple(one for one in reader.found if isinstance(one, RefreshPolicy)),
        tuple(reader.targets),
        _bounded(sorted(reader.problems, key=lambda problem: problem.line or 0)),
        version,
    )


def _bounded(problems: list[Problem]) -> tuple[Problem, ...]:
    told, rest = problems[:_MOST_PROBLEMS], problems[_MOST_PROBLEMS:]
    if rest:
        told.append(Problem(rest[0].file, rest[0].line, f"And {len(rest):,} more mistakes."))
    return tuple(told)


class _Reader:
    """One pass over the document."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self.document = document
        self.found: list[BackupPolicy | RefreshPolicy] = []
        self.targets: list[Target] = []
        self.problems: list[Problem] = []
        self._lines: dict[str, int] = {}  # of the usable policies, by name
        # And those of each kind that write to the same names, in whichever organization.
        self._alike: dict[tuple[str | None, ...], list[BackupPolicy | RefreshPolicy]] = {}

    def read(self) -> None:
        value = self.document.value
        if value is None:
            return
        if not isinstance(value, dict):
            self._say((), "The file must hold `backups` and `refreshes`, each a list of policies.")
            return
        for mistake in self.document.mistakes:
            self.problems.append(Problem(self.file, mistake.line, mistake.sentence))
        for key, entries in value.items():
            if key not in _SECTIONS:
                self._say((key,), _unknown(key, PoliciesFile))
            elif isinstance(entries, list):
                for place, entry in enumerate(entries):
                    self._read_entry(key, place, entry)
            elif entries is not None:
                self._say((key,), f"`{key}` must be a list of {_kind(key)}.")

    def _read_entry(self, section: str, place: int, entry: Any) -> None:
        path = (section, place)
        for mistake in self.document.mistakes:
            if mistake.path[:2] == path or path[: len(mistake.path)] == mistake.path:
                return  # said already; a key that stands twice may mean either
        model = _SECTIONS[section]
        if not isinstance(entry, dict):
            self._say(path, f"Each of `{section}` must be {_SHAPES[_kind(section)]}.")
            return
        try:
            found = model.model_validate(entry)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                self._say((*path, *one["loc"]), _sentence(one, model, section))
            return
        sentence = self._unusable(found) if isinstance(found, Target) else self._clash(found)
        if sentence is not None:
            self._say(path, sentence)
        elif isinstance(found, Target):
            self.targets.append(found)
        else:
            self._lines[found.name] = self.document.line(path)
            self._alike.setdefault(_written_names(found), []).append(found)
            self.found.append(found)

    def _unusable(self, target: Target) -> str | None:
        """What is wrong with a target beside the others."""
        if not _NAME.fullmatch(target.name):
            return f"`name` {short(target.name)!r} is not usable: write letters, digits and `_`."
        if any(target.name == other.name for other in self.targets):
            return f"The name {target.name!r} is taken by another target."
        if len(self.targets) == _MOST_TARGETS:
            return f"A file takes at most {_MOST_TARGETS} targets."
        return None

    def _clash(self, policy: BackupPolicy | RefreshPolicy) -> str | None:
        """What is wrong with a policy beside the others."""
        name = policy.name
        if not _NAME.fullmatch(name) or name.startswith((SENSOR_PREFIX, RESTORE_TEST_PREFIX)):
            return (
                f"`name` {name!r} is not usable: write letters, digits and `_`, and do not begin "
                f"with `{SENSOR_PREFIX}` or `{RESTORE_TEST_PREFIX}`."
            )
        if _is_reserved(name):
            return f"`name` {name!r} means something else in Dagster; choose another."
        if len(self.found) == _MOST_POLICIES:
            return f"A file takes at most {_MOST_POLICIES:,} policies."
        if name in self._lines:
            return f"The name {name!r} is taken by the policy in line {self._lines[name]}."
        for other in self._alike.get(_written_names(policy), ()):
            if _may_be_same(policy.organization_id, other.organization_id):
                line = self._lines[other.name]
                return f"{name!r} writes to the same names as {other.name!r} in line {line}."
        return None

    def _say(self, path: tuple[str | int, ...], sentence: str) -> None:
        self.problems.append(Problem(self.file, self.document.line(path), sentence))


def _is_reserved(name: str) -> bool:
    # Late, because it takes a second to import.
    from dagster._core.definitions.utils import DISALLOWED_NAMES

    return name in _OURS or name in DISALLOWED_NAMES


def _written_names(policy: BackupPolicy | RefreshPolicy) -> tuple[str | None, ...]:
    """Equal for two policies that write to the same names: those of a place, or of the catalog."""
    if isinstance(policy, RefreshPolicy):
        return ("refresh", policy.target)
    return ("backup", policy.address(""), _name_without_time(policy))


def _name_without_time(policy: BackupPolicy) -> str:
    filled = {"source": policy.source, "policy": policy.name, "date": "\0", "time": "\0\0"}
    return policy.name_template.format(**filled)


def _may_be_same(one: str | None, other: str | None) -> bool:
    """Organizations; None is the launcher's, whoever that is."""
    return one is None or other is None or one == other


_SHAPES = {
    "policies": "a policy with `name` and `source`",
    "targets": "a target with `name`, and `webhook` or `slack`",
}


def _kind(section: str) -> str:
    return "targets" if _SECTIONS[section] is Target else "policies"


def _unknown(key: str, model: type[BaseModel]) -> str:
    return f"Unknown key `{short(key)}`; accepted are: {', '.join(model.model_fields)}."


def _sentence(error: Any, model: type[BaseModel], section: str) -> str:
    path = [part for part in error["loc"] if isinstance(part, str)]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        return _refused(path, section) or _unknown(key, _model_at(model, path[:-1]))
    if error["type"] == "missing":
        info = _model_at(model, path[:-1]).model_fields[path[-1]]
        return f"`{key}` is required: {info.description}"
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        return f"{reason[0].upper()}{reason[1:]}."
    got = json.dumps(error["input"], default=str, ensure_ascii=False)
    # What stands at a wrong place of a target may be a secret.
    quoted = "" if model is Target else f" (got {short(got)})"
    return f"`{key}` is not usable: {error['msg'][0].lower()}{error['msg'][1:]}{quoted}."


def _refused(path: list[str], section: str) -> str | None:
    """Why a key of the request is none here, or not at this place."""
    if section == "notify":
        return None
    options = _SECTIONS[section].model_fields["options"].default
    name = path[-1]
    if len(path) == 1 and name in type(options).model_fields:
        return f"`{name}` belongs under `options`."
    return REFUSED.get(name) if len(path) == 1 or path[:-1] == ["options"] else None


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    for name in path:
        inner = model.model_fields[name].annotation
        kinds = getattr(inner, "__args__", None) or (inner,)
        model = next(
            kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)
        )
    return model
