"""What this process has used, its threads and finished children included."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Used:
    """`began` is on `time.monotonic`, which all processes of a machine share."""

    began: float
    seconds: float
    cpu_seconds: float


class Meter:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._cpu = _cpu_seconds()

    def read(self) -> Used:
        return Used(self._began, time.monotonic() - self._began, _cpu_seconds() - self._cpu)


def peak_bytes() -> int:
    """The largest that this process was so far, or one of its finished children."""
    children = _max_resident(resource.RUSAGE_CHILDREN)
    if not _STATUS.exists():
        return max(children, _max_resident(resource.RUSAGE_SELF))
    # Not `getrusage`: on Linux that starts at the size of the process that started this one.
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return max(children, int(lines["VmHWM"].split()[0]) * 1024)


def _max_resident(who: int) -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
