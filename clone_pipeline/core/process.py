"""Which process holds something, and whether it still lives."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil

# The clock that start times come from ticks a hundred times a second on Linux, and moves a little
# with clock corrections elsewhere; no system reuses a process id within this time.
_SAME_START_SECONDS = 1.0


@dataclass(frozen=True)
class Holder:
    """A process. `started` tells it from a later one that got the same `pid`."""

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Holder:
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Holder:
        """A process of this host that runs."""
        return cls(_host(), pid, _started(pid) or 0.0)

    def is_dead(self) -> bool | None:
        """None where this process cannot see it: on another host, or before a reboot of this."""
        if self.host != _host():
            return None
        try:
            started = _started(self.pid)
        except psutil.AccessDenied:
            return None
        return started is None or abs(started - self.started) > _SAME_START_SECONDS


def silence(
    heartbeat_at: datetime,
    seen_heartbeat_at: datetime | None,
    seen_at: datetime | None,
    now: datetime,
) -> timedelta:
    """For how long nothing was heard of a holder.

    A heartbeat that is still to come by the reader's clock, because one of the two clocks was set,
    tells nothing. Then it counts since when the reader has known of that heartbeat (see
    `ledger.note_heartbeats`), and a first look makes that now.
    """
    if seen_heartbeat_at == heartbeat_at and seen_at is not None and seen_at <= now:
        return now - seen_at
    return max(now - heartbeat_at, timedelta(0))


def _started(pid: int) -> float | None:
    """When a process started; None if it does not run."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        # On Linux the difference does not move when the wall clock is set. The boot time is read
        # first: some versions of psutil keep it for create_time.
        boot = psutil.boot_time() if psutil.LINUX else 0.0
        return float(process.create_time() - boot)
    except psutil.NoSuchProcess:
        return None


def _host() -> str:
    """The host's name, and what tells apart its containers and its boots: process ids of one mean
    nothing in another, and taking a live process for a dead one costs data."""
    parts = []
    for read in (_read_boot_id, _read_pid_namespace):
        try:
            parts.append(read())
        except OSError:
            continue
    tag = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}/{tag}"


def _read_boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _read_pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")
