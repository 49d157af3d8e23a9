"""How fast `copy_files` copies many files, against bare loops with as many connections.

    python -m benchmarks.copies [--files N] [--rounds R]

Starts two S3 servers on this machine and puts N files into the first: nine of ten have 1 kB, the
others 64 kB, 1 MB and, one of a thousand, 64 MB. Inside one store: our step against a loop that
does nothing but `CopyObject`. Between the two: our step against a loop of `GetObject` and
`PutObject`. The steps are whole: rows of the ledger, HEAD of each source, marks. `verify_clone` is
the proof after it; this server carries ETags over, so that what it copied inside itself is read
back. Servers and clients share this machine's cores. Medians of the rounds; a ratio is that of the
two rates of one round, which are measured one after the other.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks.objects import BUCKETS, NOW, namespace
from benchmarks.rounds import Rates, rates, table
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog.schema import objects
from clone_pipeline.core.files.crew import CONCURRENT
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.objects.s3 import open_client
from clone_pipeline.core.report import size
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.environments.two import Known

SOURCE, COPIES = "bench", "copies"
SIZES = {1000: 64_000_000, 100: 1_000_000, 10: 64_000, 1: 1_000}  # of every how manieth file


def keys(count: int) -> list[str]:
    return [f"org_bench/ns_bench00000/videos/{number:08}.mp4" for number in range(count)]


def body(key: str) -> bytes:
    number = int(Path(key).stem)
    return b"x" * next(size for every, size in SIZES.items() if number % every == 0)


def at_once(function: Callable[[str], Any], names: list[str]) -> float:
    """Seconds for a call each, as many at a time as ours are."""
    started = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENT) as pool:
        for _ in pool.map(function, names):
            pass
    return time.perf_counter() - started


def bare_inside(url: str, names: list[str], into: str) -> float:
    client = open_client(FilesAddress(url))
    try:
        return at_once(
            lambda key: client.copy_object(
                Bucket=COPIES, Key=f"{into}/{key}", CopySource={"Bucket": SOURCE, "Key": key}
            ),
            names,
        )
    finally:
        client.close()


def bare_between(source: str, target: str, names: list[str], into: str) -> float:
    reader, writer = open_client(FilesAddress(source)), open_client(FilesAddress(target))

    def stream(key: str) -> None:
        with reader.get_object(Bucket=SOURCE, Key=key)["Body"] as body:
            writer.put_object(Bucket=COPIES, Key=f"{into}/{key}", Body=body.read())

    try:
        return at_once(stream, names)
    finally:
        reader.close()
        writer.close()


def step(stores: Stores, name: str, count: int, **options: Any) -> tuple[float, float]:
    """Seconds of `copy_files`, and of the proof after it."""
    clone = harness.clone(stores, "bench", name, until="copy_files", files="copy", **options)
    seconds = []
    for one in ("copy_files", "verify_clone"):
        started = time.perf_counter()
        report = run_step(stores, clone.clone_id, str(clone.run_id), one, process_goes_on=True)
        seconds.append(time.perf_counter() - started)
    proven = report.details["files_proven"]
    if proven["checksum"] + proven["etag"] != count:
        raise SystemExit(f"{proven} are proven instead of {count}; nothing is measured.")
    return seconds[0], seconds[1]


def fill(stores: Stores, names: list[str]) -> None:
    harness.load(stores, namespace("ns_bench00000"))
    rows = [
        {
            "namespace_key": 1,
            "object_id": f"obj_{number:012}",
            "bucket_id": BUCKETS[0],
            "document": {"blobs": [{"properties": {"url": f"s3://{SOURCE}/{key}"}}]},
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number, key in enumerate(names)
    ]
    with stores.catalog.write() as connection:
        connection.execute(insert(objects), rows)


def put(url: str, names: list[str]) -> None:
    client = servers.s3_client(url)
    client.create_bucket(Bucket=SOURCE)
    at_once(lambda key: client.put_object(Bucket=SOURCE, Key=key, Body=body(key)), names)
    client.close()


def measure(
    one: str, other: str, here: Stores, there: Stores, names: list[str], rounds: int
) -> None:
    found: list[Rates] = []
    elsewhere = {"source_environment": "production", "target_environment": "staging"}
    for number in range(rounds):
        inside, proof = step(here, f"inside {number}", len(names))
        bare = bare_inside(one, names, f"bare-{number}")
        between, _ = step(there, f"between {number}", len(names), **elsewhere)
        streamed = bare_between(one, other, names, f"bare-{number}")
        seconds = {
            "inside one store: ours": inside,
            "inside one store: bare": bare,
            "between two: ours": between,
            "between two: bare": streamed,
            "verify_clone, all read back": proof,
        }
        found.append(rates(len(names), seconds))
    total = size(sum(len(body(key)) for key in names))
    title = f"{len(names):,} files ({total}), {CONCURRENT} at a time"
    print_table(title, table(found, "files/s", "to the bare loop", bare_of))


def bare_of(name: str, one: Rates) -> float | None:
    way, _, whose = name.partition(": ")
    return one[f"{way}: bare"] if whose == "ours" else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = keys(given.files)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            one, other = (stack.enter_context(servers.s3(folder)) for _ in range(2))
            os.environ.update(servers.s3_environment(one))
            put(one, names)
            for url in (one, other):
                client = servers.s3_client(url)
                client.create_bucket(Bucket=COPIES)
                client.close()
            addresses = [FilesAddress(url, bucket=COPIES) for url in (one, other)]
            here = stack.enter_context(harness.open_stores(folder / "here", files=addresses[0]))
            fill(here, names)
            there = stack.enter_context(
                harness.open_stores(
                    folder / "there",
                    files=addresses[1],
                    environment="staging",
                    elsewhere=Known("production", here),
                )
            )
            harness.same_organizations(here, there, "{}")
            measure(one, other, here, there, names, given.rounds)
    except servers.NotInstalled as reason:
        stdout.print(f"Nothing is measured: {reason}")


if __name__ == "__main__":
    main()
