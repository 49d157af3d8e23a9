"""The embedded store admits one process at a time: it loads before it locks, so we lock first."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from clone_pipeline.core.errors import StoreUnavailable, WorkError
from clone_pipeline.core.vectors.embedded import EmbeddedStore

from .opening import next_line, opened, other_process
from .points import PLAIN, plain_points


@pytest.mark.outside
def test_a_process_that_waited_sees_what_the_holder_made(folder: Path) -> None:
    script = (
        "store = EmbeddedStore.open(folder, 60, on_wait=say)\n"
        "store.create('by_the_other', PLAIN)\n"
        "store.close()\n"
        "say('done')\n"
    )
    with opened(folder) as store:
        store.create("before", PLAIN)
        with other_process(script, folder) as other:
            assert f"process {os.getpid()}" in next_line(other)
            # The other one waits by now. Had it loaded the folder already, it would forget this.
            store.create("meanwhile", PLAIN)
            store.upsert("meanwhile", plain_points(1, 3))
            store.close()
            assert next_line(other) == "done"
    with opened(folder) as store:
        assert store.exists("before")
        assert store.exists("by_the_other")
        assert store.count("meanwhile") == 3


@pytest.mark.outside
def test_waiting_has_a_bound_and_names_the_holder(folder: Path) -> None:
    heard: list[str] = []
    script = "store = EmbeddedStore.open(folder)\nsay('open')\nsys.stdin.read()\n"
    with other_process(script, folder) as other:
        assert next_line(other) == "open"
        with pytest.raises(StoreUnavailable) as caught:
            EmbeddedStore.open(folder, wait_seconds=0.1, on_wait=heard.append)
        assert caught.value.message == (
            f"The embedded Qdrant in {folder} has been in use by process {other.pid} for more than "
            "0.1 s; wait for it to finish or set QDRANT_URL to use a server."
        )
        assert len(heard) == 1
        assert f"process {other.pid}" in heard[0]


@pytest.mark.outside
def test_a_killed_holder_holds_nothing(folder: Path) -> None:
    script = "store = EmbeddedStore.open(folder)\nsay('open')\nsys.stdin.read()\n"
    with other_process(script, folder) as other:
        assert next_line(other) == "open"
        other.kill()
        other.wait()
        EmbeddedStore.open(folder, wait_seconds=30).close()


def test_opening_twice_in_one_process_is_refused_not_a_deadlock(
    embedded: EmbeddedStore, folder: Path
) -> None:
    with pytest.raises(StoreUnavailable, match=r"\(this one\)"):
        EmbeddedStore.open(folder, wait_seconds=0)
    embedded.close()
    EmbeddedStore.open(folder, wait_seconds=0).close()


def test_a_store_may_be_closed_by_another_thread(folder: Path) -> None:
    store = EmbeddedStore.open(folder, wait_seconds=0)
    thread = threading.Thread(target=store.close)
    thread.start()
    thread.join()
    EmbeddedStore.open(folder, wait_seconds=0).close()


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.outside
def test_a_program_without_our_lock_is_named_as_such(folder: Path) -> None:
    client = QdrantClient(path=str(folder))
    try:
        with pytest.raises(StoreUnavailable, match="another program"):
            EmbeddedStore.open(folder, wait_seconds=0)
    finally:
        client.close()
    EmbeddedStore.open(folder, wait_seconds=0).close()
    # The client never closes the lock file that it was refused: found here, not in another test.
    gc.collect()


@pytest.mark.outside
def test_a_forked_process_is_refused(folder: Path) -> None:
    script = (
        "import os\n"
        "store = EmbeddedStore.open(folder)\n"
        "store.create('c', PLAIN)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: store.upsert('c', plain_points(1, 1))\n"
        "    except Exception as error: say(error)\n"
        "    store.close()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "store.upsert('c', plain_points(2, 1))\n"
        "say(store.count('c'))\n"
    )
    with other_process(script, folder) as other:
        assert "forked" in next_line(other)
        assert next_line(other) == "1"


def test_threads_may_write_at_once(embedded: EmbeddedStore) -> None:
    embedded.create("c", PLAIN)
    threads = [
        threading.Thread(target=embedded.upsert, args=("c", plain_points(start, 25)))
        for start in range(0, 100, 25)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert embedded.scroll("c", 200).points == plain_points(0, 100)


def test_a_closed_store_says_so(embedded: EmbeddedStore) -> None:
    embedded.close()
    embedded.close()
    with pytest.raises(WorkError, match="is closed"):
        embedded.exists("c")
