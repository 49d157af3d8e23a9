from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from clone_pipeline.core.process import Holder, _started


def test_this_process_lives() -> None:
    assert Holder.current().is_dead() is False
    assert Holder.current() == Holder.current()


@pytest.mark.outside
def test_a_killed_process_is_dead_before_and_after_it_is_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = dataclasses.replace(
        Holder.current(), pid=process.pid, started=_started(process.pid) or 0.0
    )
    assert holder.is_dead() is False
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert holder.is_dead() is True
    process.communicate()
    assert holder.is_dead() is True


def test_another_process_with_the_same_id_is_not_the_holder() -> None:
    now = Holder.current()
    assert dataclasses.replace(now, started=now.started - 2).is_dead() is True


def test_a_process_elsewhere_is_unknown() -> None:
    assert dataclasses.replace(Holder.current(), host="elsewhere").is_dead() is None
