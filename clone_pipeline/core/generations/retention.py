"""Which backups of a policy stay, and why. A pure function: no store, no clock.

The rules are those that restic and borg have: the newest backup of each of the last so many hours,
days, weeks and months *that have one*. So nothing goes because time passes; it goes because newer
backups came. To go by it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, tzinfo


@dataclass(frozen=True)
class Keep:
    """How many to keep. A policy that counts nothing keeps everything."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def counts_nothing(self) -> bool:
        return not any(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True)
class Backup:
    """A backup that is there. `sequence` says in which order they were made, whatever the clock
    said then; `made_at` is what it said. `points` and `objects` are how many it was published with;
    None: not known."""

    clone_id: str
    name: str
    sequence: int
    made_at: datetime
    proven: bool
    in_use: bool = False
    points: int | None = None
    objects: int | None = None


@dataclass(frozen=True)
class Retained:
    """`keep` has the reasons of each backup that stays, by clone id; `delete` the reason of each
    that goes."""

    keep: dict[str, list[str]]
    delete: dict[str, str]


def retain(backups: Iterable[Backup], keep: Keep, timezone: tzinfo) -> Retained:
    """Which of the backups of one policy and one source stay: each is in `keep` or in `delete`.

    Only those in `counting` count. The last one of them stays, whatever the counts are; one that
    does not count stays until a newer one does, because it may be the best there is.
    """
    newest_first = sorted(backups, key=lambda backup: backup.sequence, reverse=True)
    count = counting(newest_first)
    reasons: dict[str, list[str]] = {backup.clone_id: [] for backup in newest_first}
    if count:
        reasons[count[0].clone_id].append("the last proven backup")
    for rule in ("last", "hourly", "daily", "weekly", "monthly"):
        for number, backup in enumerate(_newest_of_each(count, rule, timezone), start=1):
            if number > getattr(keep, rule):
                break
            reasons[backup.clone_id].append(f"{rule} {number}")
    for backup in newest_first:
        if keep.counts_nothing:
            reasons[backup.clone_id].append("the policy counts nothing")
        if not count or backup.sequence > count[0].sequence:
            reasons[backup.clone_id].append(
                "it is empty, and takes the place of none that is not"
                if backup.proven
                else "no newer backup is proven"
            )
        if backup.in_use:
            reasons[backup.clone_id].append("in use by a run, or by a clone that can be resumed")
    return Retained(
        keep={clone_id: why for clone_id, why in reasons.items() if why},
        delete={
            backup.clone_id: _why_it_goes(backup, count)
            for backup in newest_first
            if not reasons[backup.clone_id]
        },
    )


def _why_it_goes(backup: Backup, count: list[Backup]) -> str:
    if backup in count:
        return "no count of the policy keeps it"
    return "empty, and a newer one is not" if backup.proven else "not proven"


def counting(newest_first: list[Backup]) -> list[Backup]:
    """The backups that may take an older one's place: they are proven, and not empty where an older
    one has something, because what became of the source then may be what backups are for."""
    return [
        backup
        for number, backup in enumerate(newest_first)
        if backup.proven and not _is_hollow(backup, newest_first[number + 1 :])
    ]


def _is_hollow(backup: Backup, older: list[Backup]) -> bool:
    if backup.points != 0:
        return False
    without_records = backup.objects == 0
    return any(other.points or (without_records and other.objects) for other in older)


def _newest_of_each(newest_first: list[Backup], rule: str, timezone: tzinfo) -> list[Backup]:
    """The newest backup of each hour, day, week or month that has one; of `last`, all of them."""
    found: dict[object, Backup] = {}
    for backup in newest_first:
        found.setdefault(_bucket(backup, rule, timezone), backup)
    return list(found.values())


def _bucket(backup: Backup, rule: str, timezone: tzinfo) -> object:
    local = backup.made_at.astimezone(timezone)
    if rule == "hourly":
        # The hour that the clock shows twice in autumn is two hours.
        return local.strftime("%Y-%m-%d %H"), local.utcoffset()
    if rule == "daily":
        return local.date()
    if rule == "weekly":
        return local.isocalendar()[:2]
    if rule == "monthly":
        return local.year, local.month
    return backup.clone_id
