"""Messages to a real server: what arrives, and what is said where nothing does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from clone_pipeline.notify import slack, webhook
from clone_pipeline.notify.deliver import deliver
from clone_pipeline.notify.told import Event
from clone_pipeline.policies.targets import KINDS, Target
from clone_pipeline.variables import FromEnvironment
from clone_pipeline_tests.notify.receiver import Receiver, receiving

NOW = datetime(2026, 11, 24, 2, 7, tzinfo=timezone.utc)
SECRET, TOKEN = "canary-of-the-webhook", "xoxb-canary-of-slack"
EVENTS = [
    *(Event(kind, NOW, f"Said of {kind}.", "nightly", "backup", "prod") for kind in KINDS),
    Event("recovered", NOW, "It is good.", "nightly", "backup", "prod", of="failed"),
    Event("test", NOW, "This is a test."),
]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(url: str | FromEnvironment) -> Target:
    return Target(name="ops", webhook=url, secret=FromEnvironment(env="HOOK_SECRET"))


def channel(receiver: Receiver, **more: Any) -> Target:
    values: dict[str, Any] = {"token": FromEnvironment(env="SLACK_TOKEN"), "api_url": receiver.url}
    return Target(name="chat", slack="#backups", **{**values, **more})


def sent(target: Target, *events: Event) -> str | None:
    return deliver([(target, events or EVENTS)], lambda: NOW)[target.name]


def test_a_webhook_gets_every_kind_of_event_in_one_signed_message(receiver: Receiver) -> None:
    assert sent(hook(f"{receiver.url}/hooks")) is None
    (got,) = receiver.received
    assert (got.path, got.headers["content-type"]) == ("/hooks", "application/json")
    assert [one["kind"] for one in got.events] == [*KINDS, "recovered", "test"]
    assert got.events[-2] == {
        "kind": "recovered",
        "of": "failed",
        "policy": "nightly",
        "purpose": "backup",
        "source": "prod",
        "at": "2026-11-24T02:07:00Z",
        "sentence": "It is good.",
    }
    what = f"{got.headers['webhook-id']}.{int(NOW.timestamp())}.".encode() + got.body
    digest = hmac.new(SECRET.encode(), what, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert SECRET.encode() not in got.body


def test_the_page_says_how_a_signature_is_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    names: dict[str, Any] = {}
    exec(block, names)
    assert sent(hook(receiver.url)) is None
    (got,) = receiver.received
    is_ours, secret = names["is_ours"], SECRET.encode()
    monkeypatch.setattr("time.time", lambda: NOW.timestamp() + 60)
    assert is_ours(secret, got.headers, got.body)
    assert not is_ours(secret, got.headers, got.body + b" ")
    assert not is_ours(b"another secret", got.headers, got.body)
    for name in ("webhook-id", "webhook-timestamp"):
        assert not is_ours(secret, {**got.headers, name: "1795485999"}, got.body)
    monkeypatch.setattr("time.time", lambda: NOW.timestamp() + 600)
    assert not is_ours(secret, got.headers, got.body)


def test_slack_gets_lines_of_text(receiver: Receiver) -> None:
    assert sent(channel(receiver)) is None
    (got,) = receiver.received
    assert (got.path, got.headers["authorization"]) == ("/chat.postMessage", f"Bearer {TOKEN}")
    assert got.json["channel"] == "#backups"
    lines = got.json["text"].splitlines()
    assert len(lines) == len(EVENTS)
    assert lines[0] == "*nightly* (backup of prod) failed: Said of failed."
    assert lines[-2:] == [
        "*nightly* (backup of prod) recovered (failed): It is good.",
        "test: This is a test.",
    ]


@pytest.mark.parametrize("answer", [500, 503, 429])
@pytest.mark.outside
def test_what_passes_is_tried_again(answer: int, receiver: Receiver) -> None:
    receiver.answers = [answer, answer]
    assert sent(hook(receiver.url)) is None
    assert (len(receiver.refused), len(receiver.received)) == (2, 1)
    receiver.answers = [answer]
    assert sent(channel(receiver)) is None
    ids = {one.headers["webhook-id"] for one in receiver.refused[:2] + receiver.received[:1]}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("answer", "times", "said"),
    [
        (500, 3, "ops (127.0.0.1) answered with status 500."),
        (403, 1, "ops (127.0.0.1) answered with status 403."),
        (302, 1, "ops (127.0.0.1) answered with status 302. A redirect is not followed."),
    ],
)
def test_a_webhook_that_refuses_is_named_with_its_answer(
    answer: int, times: int, said: str, receiver: Receiver
) -> None:
    receiver.answers = [answer] * 9
    assert sent(hook(f"{receiver.url}/hooks?q=1")) == said
    assert (len(receiver.refused), receiver.received) == (times, [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("invalid_auth", "chat (Slack, #backups) refused the message: invalid_auth."),
        ("ratelimited", "chat (Slack, #backups) refused the message: ratelimited."),
        (500, "chat (Slack, #backups) answered with status 500."),
    ],
)
def test_slack_that_refuses_is_named_with_its_answer(
    answer: int | str, said: str, receiver: Receiver
) -> None:
    receiver.answers = [answer] * 9
    assert sent(channel(receiver)) == said
    assert len(receiver.refused) == (1 if answer == "invalid_auth" else 3)


@pytest.mark.outside
def test_a_target_that_is_not_there_or_says_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(webhook, "_TIMEOUT", httpx.Timeout(0.05))
        monkeypatch.setattr(slack, "_SECONDS", 0.05)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert sent(hook(url)) == "ops (127.0.0.1) did not answer within 5 s."
        assert "did not answer within" in str(sent(channel(receiver, api_url=url)))
    for target, name in ((hook(url), "ops"), (channel(receiver, api_url=url), "chat")):
        said = rf"{name} \(.+\) cannot be reached \(\[Errno \d+\] Connection refused\)\."
        assert re.fullmatch(said, str(sent(target)))


def test_a_variable_that_is_missing_or_wrong_is_named(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_url = hook(FromEnvironment(env="HOOK_URL"))
    where = "ops (the address in HOOK_URL)"
    unset = f"{where} was not told: the environment variable HOOK_URL is not set."
    assert sent(of_url) == unset
    monkeypatch.setenv("HOOK_URL", " \n")
    assert sent(of_url) == unset
    monkeypatch.setenv("HOOK_URL", "ops.example/canary")
    assert sent(of_url) == f"{where} was not told: HOOK_URL does not hold an address."
    monkeypatch.setenv("HOOK_URL", receiver.url)
    assert sent(of_url) is None
    monkeypatch.setenv("HOOK_SECRET", "short")
    assert sent(of_url) == (
        f"{where} was not told: the secret in HOOK_SECRET has less than 16 characters."
    )
    monkeypatch.delenv("SLACK_TOKEN")
    assert "SLACK_TOKEN is not set." in str(sent(channel(receiver)))


@pytest.mark.outside
def test_one_that_is_away_keeps_nothing_from_the_others(receiver: Receiver) -> None:
    with receiving() as other:
        other.answers = [500] * 9
        targets = [hook(other.url), channel(receiver)]
        found = deliver([(target, EVENTS) for target in targets], lambda: NOW)
    assert found == {"ops": "ops (127.0.0.1) answered with status 500.", "chat": None}


def test_no_log_has_a_secret(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HOOK_URL", f"{receiver.url}/services/canary-of-the-path?key=canary-of-it")
    receiver.answers = [500, "invalid_auth"]
    said = [sent(hook(FromEnvironment(env="HOOK_URL"))), sent(channel(receiver))]
    receiver.answers = [403]
    said += [sent(hook(FromEnvironment(env="HOOK_URL"))), sent(channel(receiver))]
    assert "canary" not in f"{said} {caplog.text}"
    assert len(receiver.received) + len(receiver.refused) >= 4
