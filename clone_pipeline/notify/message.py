"""What is sent: one message with all the news, as JSON for programs and as text for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256

from clone_pipeline.core.catalog.namespace import iso
from clone_pipeline.notify.told import Event

TYPE = "clone_pipeline.policies"
# More than anybody reads in a chat; a webhook gets all of them.
_MOST_LINES = 20
_SAID = {
    "failed": "failed",
    "overdue": "overdue",
    "not_proven": "not proven",
    "restore_test_failed": "restore test failed",
    "restore_test_overdue": "restore test overdue",
    "broken_file": "mistake in the policies file",
    "test": "test",
}


def body(events: Sequence[Event], now: datetime) -> bytes:
    """The message as JSON."""
    shown = [{**asdict(event), "at": iso(event.at)} for event in events]
    return json.dumps({"type": TYPE, "timestamp": iso(now), "events": shown}).encode()


def identity(target: str, events: Sequence[Event]) -> str:
    """The same for the same news, so that who gets a message twice, because its answer was lost,
    can tell. A test is each time another one."""
    news = [(event.policy, event.kind, event.of, iso(event.at)) for event in events]
    return f"msg_{sha256(json.dumps([target, news]).encode()).hexdigest()[:24]}"


def text(events: Sequence[Event]) -> str:
    """The message as lines, for Slack: `*nightly* (backup of prod) failed: ...`."""
    lines = [_line(event) for event in events[:_MOST_LINES]]
    if events[_MOST_LINES:]:
        lines.append(f"And {len(events) - _MOST_LINES} more.")
    return "\n".join(lines)


def _line(event: Event) -> str:
    about = f"*{_escaped(event.policy)}* " if event.policy else ""
    if event.purpose and event.source:
        about += f"({event.purpose} of {_escaped(event.source)}) "
    what = f"recovered ({_SAID[event.of]})" if event.of else _SAID[event.kind]
    return f"{about}{what}: {_escaped(event.sentence)}"


def _escaped(said: str) -> str:
    """Else a name could call a whole channel (`<!channel>`)."""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
