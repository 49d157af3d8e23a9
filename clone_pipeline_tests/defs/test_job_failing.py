"""How the job retries, and how it fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clone_pipeline.core.errors import StorageFailed, StoreUnavailable
from clone_pipeline.core.vectors.lock import FolderLock
from clone_pipeline.core.words import as_text
from clone_pipeline.defs import outcome as step_module
from clone_pipeline.launch import failure
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.counting import counted

from .launching import (
    breaks,
    failed_step,
    in_process,
    instance,
    launch,
    ledger,
    lines,
    quiet,
    request,
    retries,
    table,
)

__all__ = ["breaks", "dagster_home", "home", "instance", "made_home", "quiet"]  # fixtures


@pytest.mark.parametrize("attempt", range(step_module.MAX_RETRIES))
@pytest.mark.parametrize("asked", [None, 0.5, 3600.0])
def test_no_wait_is_longer_than_a_cancel_may_take(attempt: int, asked: float | None) -> None:
    assert 0 < step_module._wait(attempt, asked) <= 10


def test_a_store_that_is_away_for_a_moment_is_tried_again(
    home: Path, breaks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "LONGEST_WAIT", 0.01)
    away = StoreUnavailable("Qdrant is busy.", retry_after=3600)
    breaks("copy_points", away, away)
    result = in_process()
    assert result.success
    assert retries(result) == [0.01, 0.01]
    assert counted(home, "new")["points"] == 5
    assert ledger(home, "status", "error") == ("ready", None)


def test_a_store_that_stays_away_fails_the_run_in_the_end(
    home: Path, breaks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "LONGEST_WAIT", 0.01)
    breaks("clone_buckets", *[StoreUnavailable("The catalog cannot be reached.")] * 99)
    result = in_process()
    assert not result.success
    assert len(retries(result)) == step_module.MAX_RETRIES
    sentence, metadata = failed_step(result)
    assert sentence == "The catalog cannot be reached."
    assert metadata["code"] == "store_unavailable"
    assert ledger(home, "status", "error") == ("failed", sentence)


def test_what_is_broken_for_good_is_not_tried_again_and_leaves_a_partial_report(
    home: Path, breaks: Callable[..., None]
) -> None:
    breaks("clone_retrievers", StorageFailed("The disk is full."))
    result = in_process()
    assert not result.success
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert sentence == "The disk is full."
    assert metadata["code"] == "storage_failed"
    assert metadata["clone_id"] == ledger(home, "clone_id")[0]
    done = {row["step"]: row["created"] for row in table(metadata["steps_done"].records)}
    assert done.items() >= {"clone_buckets": 5, "clone_collections": 2}.items()
    assert "clone_retrievers" not in done
    assert ledger(home, "status", "error") == ("failed", "The disk is full.")


def test_a_mistake_of_ours_is_one_sentence_too(home: Path, breaks: Callable[..., None]) -> None:
    breaks("clone_buckets", ValueError("first line\nsecond line with a value"))
    result = in_process()
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert sentence == "Unexpected ValueError: first line."
    assert metadata["steps_done"].records[0].data["step"] == "plan_clone"
    assert ledger(home, "error")[0] == sentence


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        ({"ttl_seconds": 5}, "`ttl_seconds` is not usable", "invalid_request"),
        ({"mode": "branch"}, "copy-on-write) is not available", "invalid_request"),
        ({"name": "n" * 65}, "at most 64 characters", "invalid_request"),
        ({"name": "prod"}, "Source and target are the same", "invalid_request"),
        ({"name": "plain"}, "A namespace named 'plain' exists", "namespace_name_taken"),
        ({"namespace_identifier": "nothing"}, "There is no namespace 'nothing'", "not_found"),
        ({"on_dangling": "fail"}, "2 references would not resolve", "dangling_references"),
        ({"lane": "native"}, "needs a Qdrant server", "invalid_request"),
    ],
)
def test_bad_input_is_a_failed_run_with_one_sentence_and_no_retry(
    options: dict[str, Any], words: str, code: str, home: Path
) -> None:
    result = in_process(**options)
    assert not result.success
    assert retries(result) == []
    sentence, metadata = failed_step(result)
    assert words in sentence
    assert metadata["code"] == code
    said, found = failure(result)
    assert (as_text(said), found) == (sentence, code)  # type: ignore[arg-type]


def test_the_run_says_whom_it_waits_for(home: Path, instance: dg.DagsterInstance) -> None:
    """A step that stands still while another process has the embedded Qdrant looks hung."""
    lock = FolderLock(home / "qdrant")
    lock.acquire(0, None)
    waiting = f"Waiting for process {os.getpid()} (this one) to finish with {home / 'qdrant'}."

    def let_go() -> bool:
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                if any(waiting in lines(instance, run.run_id) for run in instance.get_runs()):
                    return True
                time.sleep(0.05)
            return False
        finally:
            lock.release()

    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(let_go)
        result = launch(instance, request())
    assert said.result()
    assert result.success
    [told] = [entry for entry in instance.all_logs(result.run_id) if entry.user_message == waiting]
    assert told.step_key == "plan_clone"
