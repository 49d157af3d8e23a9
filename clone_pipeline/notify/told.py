"""Who was told what, so that nothing is told twice. It is kept as the cursor of the sensor.

A target's part changes when the target was reached, and not before: one that is away is told when
it is back, of what is still wrong then. A cursor that is lost, or that nobody can read, costs one
message with all that is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from clone_pipeline.notify.alarms import Verdict
from clone_pipeline.policies.targets import Kind, Target

_VERSION = 1

# Of one target, by policy (`""`: the file as a whole) and kind: the moment of what it was told of.
Told = dict[str, dict[Kind, datetime]]


@dataclass(frozen=True)
class Event:
    """What a target is told. `of` says what has recovered."""

    kind: Kind | Literal["recovered", "test"]
    at: datetime
    sentence: str
    policy: str | None = None
    purpose: str | None = None
    source: str | None = None
    of: Kind | None = None


@dataclass
class Expectation:
    """When a policy is to run, as the file says it, and since when that is watched."""

    rule: str | None
    since: datetime | None


@dataclass
class Memory:
    """All that a tick has to know of the ticks before."""

    expected: dict[str, Expectation] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)

    def since(self, policy: str, rule: str | None, known: bool, now: datetime) -> datetime | None:
        """Since when something is expected of a policy by this rule; None: since ever, as for one
        that has run before it was first seen here (`known`)."""
        before = self.expected.get(policy)
        if before is None:
            self.expected[policy] = Expectation(rule, None if known else now)
        elif before.rule != rule:
            self.expected[policy] = Expectation(rule, now)
        return self.expected[policy].since

    def to_json(self) -> str:
        expected = {
            name: [one.rule, one.since and one.since.isoformat()]
            for name, one in sorted(self.expected.items())
        }
        told = {
            target: {
                policy: {kind: at.isoformat() for kind, at in sorted(kinds.items())}
                for policy, kinds in sorted(policies.items())
                if kinds
            }
            for target, policies in sorted(self.told.items())
        }
        return json.dumps({"version": _VERSION, "expected": expected, "told": told})

    @classmethod
    def from_json(cls, cursor: str | None) -> Memory:
        try:
            return cls._read(json.loads(cursor or ""))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    @classmethod
    def _read(cls, values: dict[str, Any]) -> Memory:
        if values["version"] != _VERSION:
            raise ValueError
        expected = {
            name: Expectation(rule, since and datetime.fromisoformat(since))
            for name, (rule, since) in values["expected"].items()
        }
        told = {
            target: {
                policy: {kind: datetime.fromisoformat(at) for kind, at in kinds.items()}
                for policy, kinds in policies.items()
            }
            for target, policies in values["told"].items()
        }
        return cls(expected, told)


def news(
    told: Told, verdicts: Iterable[Verdict], target: Target, gone: Collection[str], now: datetime
) -> tuple[list[Event], Told]:
    """What a target is to be told, and what it has been told when that has reached it.

    `gone` are policies of which nothing is expected any more.
    """
    after: Told = {policy: dict(kinds) for policy, kinds in told.items()}
    events = []
    for verdict in verdicts:
        mine = after.setdefault(verdict.policy or "", {})
        before = mine.get(verdict.kind)
        if verdict.wrong and verdict.kind in target.kinds:
            mine[verdict.kind] = verdict.at if before is None else max(before, verdict.at)
            if before is None:
                events.append(_event(verdict.kind, verdict))
        elif not verdict.wrong and before is not None and verdict.at >= before:
            # What is older than the alarm does not end it: as when a newer backup was deleted.
            del mine[verdict.kind]
            events.append(_event("recovered", verdict))
    for policy in sorted(set(after) & set(gone)):
        said = "Nothing is expected of it any more: it is disabled, or no longer in the file."
        for kind in after.pop(policy):
            events.append(Event("recovered", now, said, policy, of=kind))
    return events, {policy: kinds for policy, kinds in after.items() if kinds}


def _event(kind: Kind | Literal["recovered"], verdict: Verdict) -> Event:
    return Event(
        kind,
        verdict.at,
        verdict.sentence,
        verdict.policy,
        verdict.purpose,
        verdict.source,
        of=verdict.kind if kind == "recovered" else None,
    )
