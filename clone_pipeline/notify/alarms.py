"""What is wrong with the policies at a moment, out of what the ledger and Dagster say of runs.

No clock, no store, no memory: whoever asks twice gets the same answer twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from clone_pipeline.core.ledger.watch import PolicyRecord
from clone_pipeline.core.secrets import mask
from clone_pipeline.policies.intervals import overdue_after
from clone_pipeline.policies.targets import Kind

_LONGEST_SENTENCE = 500


@dataclass(frozen=True)
class LastRun:
    """The newest run of a policy in Dagster; `ended_at` is None while it is under way."""

    run_id: str
    asked_at: datetime
    ended_at: datetime | None
    failed: bool


@dataclass(frozen=True)
class Watched:
    """A policy that is expected to run, at the latest one `turn` after it last did; no turn where
    it waits for a change. `since`: nothing is expected of it for what was before. Of the restore
    tests of its backups `test_turn` and `tests_since` say the same."""

    name: str
    purpose: Literal["backup", "refresh"]
    source: str
    turn: timedelta | None = None
    since: datetime | None = None
    test_turn: timedelta | None = None
    tests_since: datetime | None = None
    record: PolicyRecord | None = None
    run: LastRun | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether something is wrong, by what happened at `at`. No `policy`: the file as a whole.

    Where there is no verdict of a kind, nobody can say at this moment: what was said stands.
    """

    kind: Kind
    wrong: bool
    at: datetime
    policy: str | None = None
    purpose: str | None = None
    source: str | None = None
    sentence: str = ""


def judge(one: Watched, now: datetime) -> list[Verdict]:
    """All that can be said of a policy now."""
    return [
        *_last_run(one),
        *_overdue(one, now),
        *_restore_test(one),
        *_restore_test_overdue(one, now),
    ]


def judge_file(problems: tuple[str, ...], loaded_at: datetime) -> Verdict:
    """Of the policies file as it was loaded then: a policy with a mistake in it does not run."""
    more = f" And {len(problems) - 1} more." if problems[1:] else ""
    said = f"What it is in does not run: {problems[0]}{more}" if problems else "It is in order."
    return Verdict("broken_file", bool(problems), loaded_at, sentence=_sentence(said))


def _last_run(one: Watched) -> Iterator[Verdict]:
    record, run = one.record, one.run
    if (record and record.outcome is None) or (run and run.ended_at is None):
        return
    if run is not None and run.ended_at is not None and _planned_nothing(run, record):
        said = f"The run {run.run_id[:8]} failed before a clone was planned; Dagster says why."
        yield _wrong(one, "failed", run.ended_at, said)
    elif record is None:
        return
    elif record.outcome == "published":
        succeeded_at = record.succeeded_at or record.begun_at
        yield _right(one, "failed", succeeded_at, f"{record.made!r} succeeded.")
        if one.purpose == "backup" and record.proven_at is None:
            said = f"{record.made!r} was not compared with its source point by point."
            yield _wrong(one, "not_proven", succeeded_at, said)
        else:
            yield _right(one, "not_proven", succeeded_at, f"{record.made!r} succeeded.")
    else:
        kind: Kind = "failed" if record.outcome == "failed" else "not_proven"
        said = "failed" if kind == "failed" else "could not be proven equal to its source"
        reason = f": {record.error}" if record.error else "."
        yield _wrong(one, kind, record.begun_at, f"{record.made!r} {said}{reason}")


def _planned_nothing(run: LastRun, record: PolicyRecord | None) -> bool:
    """Whether a run failed of which the ledger knows nothing."""
    if not run.failed or run.ended_at is None or record is None:
        return run.failed
    known = max(record.begun_at, record.succeeded_at or record.begun_at)
    return record.outcome == "published" and run.asked_at > record.begun_at and run.ended_at > known


def _overdue(one: Watched, now: datetime) -> Iterator[Verdict]:
    succeeded_at = one.record.succeeded_at if one.record else None
    known = [moment for moment in (succeeded_at, one.since) if moment is not None]
    if one.turn is None or not known:
        yield _right(one, "overdue", now, "It is not expected at fixed times any more.")
        return
    last = max(known)
    expected = f"one is expected every {_long(one.turn)}."
    if now <= last + overdue_after(one.turn):
        ago = f"Its last success is {_long(now - succeeded_at)} ago." if succeeded_at else ""
        yield _right(one, "overdue", last, ago or "It is expected at other times now.")
    elif succeeded_at is None:
        said = f"It has not succeeded in the {_long(now - last)} that it is watched; {expected}"
        yield _wrong(one, "overdue", last, said)
    else:
        said = f"Its last success is {_long(now - succeeded_at)} ago; {expected}"
        yield _wrong(one, "overdue", last, said)


def _restore_test(one: Watched) -> Iterator[Verdict]:
    record = one.record
    if record is None or record.restore_tested_at is None or record.restorable is None:
        return
    if record.restorable:
        said = "A backup was restored, proven and searched."
        yield _right(one, "restore_test_failed", record.restore_tested_at, said)
    else:
        said = f"A backup could not be restored: {record.restore_error or 'it differs'}"
        yield _wrong(one, "restore_test_failed", record.restore_tested_at, said)


def _restore_test_overdue(one: Watched, now: datetime) -> Iterator[Verdict]:
    """Whatever kept it from coming to a result: a bad one is one."""
    kind: Kind = "restore_test_overdue"
    if one.test_turn is None:
        yield _right(one, kind, now, "No restore test is expected of it any more.")
        return
    tested_at = one.record.restore_tested_at if one.record else None
    known = [moment for moment in (tested_at, one.tests_since) if moment is not None]
    if one.record is None or one.record.proven_at is None or not known:
        return  # there is nothing yet that could be tested
    last = max(known)
    ago = f"The last restore test was {_long(now - tested_at)} ago" if tested_at else ""
    if now <= last + overdue_after(one.test_turn):
        said = f"{ago}." if ago else "It is expected at other times now."
        yield _right(one, kind, last, said)
    else:
        never = f"No backup was restored for a test in the {_long(now - last)} that it is watched"
        said = f"{ago or never}; one is expected every {_long(one.test_turn)}."
        yield _wrong(one, kind, last, said)


def _right(one: Watched, kind: Kind, at: datetime, said: str) -> Verdict:
    return Verdict(kind, False, at, one.name, one.purpose, one.source, _sentence(said))


def _wrong(one: Watched, kind: Kind, at: datetime, said: str) -> Verdict:
    return Verdict(kind, True, at, one.name, one.purpose, one.source, _sentence(said))


def _sentence(said: str) -> str:
    """In one line, bounded, and without secrets: it leaves this deployment."""
    line = " ".join(mask(said).split())
    return line if len(line) <= _LONGEST_SENTENCE else f"{line[: _LONGEST_SENTENCE - 3]}..."


def _long(time: timedelta) -> str:
    """`90 minutes`, `30 hours`, `8 days`."""
    seconds = time.total_seconds()
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * unit or (name == "minute" and seconds >= unit):
            count = int(seconds // unit)
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{int(seconds)} seconds"
