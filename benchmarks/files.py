"""How fast `verify_objects: all` asks for files, against the limit of the S3 server itself.

    python -m benchmarks.files [--files N] [--rounds R]

Starts an S3 server on this machine, puts N files of which every fiftieth is left out, and asks for
all of them: by a client that does nothing but send requests that were signed before the clock
starts and read the status of the answers, at several concurrencies, the best of which is the
server's limit; and by ours. `verify_clone` is the whole step with `verify_objects: all`, of a clone
with one object for each file. Server and clients share this machine's
cores. Medians of the rounds; a ratio is that of the two rates of one round.
"""

import argparse
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import insert

from benchmarks.objects import BUCKETS, NOW, namespace
from benchmarks.rounds import Rates, rates, table
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.catalog.schema import objects
from clone_pipeline.core.objects.address import FilesAddress
from clone_pipeline.core.objects.s3 import ObjectStore
from clone_pipeline.core.objects.signing import Credentials, Route
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness, servers

BUCKET = "bench"
CONCURRENCIES = (4, 8, 16, 32, 64)


def keys(count: int) -> list[str]:
    return [f"org_bench/ns_bench00000/videos/{number:08}.mp4" for number in range(count)]


def is_missing(number: int) -> bool:
    return number % 50 == 0


def put(url: str, names: list[str]) -> None:
    client = servers.s3_client(url)
    client.create_bucket(Bucket=BUCKET)
    there = [key for number, key in enumerate(names) if not is_missing(number)]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=b"x"), there):
            pass
    client.close()


def signed(url: str, names: list[str], environment: dict[str, str]) -> list[bytes]:
    """Finished requests, as bytes."""
    place = urlsplit(url)
    route = Route(
        tls=False,
        host=str(place.hostname),
        port=int(place.port or 80),
        host_header=place.netloc,
        prefix=f"/{BUCKET}/",
        region=environment["AWS_DEFAULT_REGION"],
    )
    account = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], None
    )
    now = datetime.now(timezone.utc)
    return [route.request("HEAD", key, account, now) for key in names]


def bare(url: str, requests: list[bytes], concurrency: int) -> tuple[float, int]:
    """Seconds, and how many were not there."""
    place = urlsplit(url)
    statuses: Counter[bytes] = Counter()

    def work(part: list[bytes]) -> None:
        with socket.create_connection((str(place.hostname), int(place.port or 80))) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = []
            for request in part:
                connection.sendall(request)
                answer = connection.recv(65_536)
                while not answer.endswith(b"\r\n\r\n"):
                    answer += connection.recv(65_536)
                found.append(answer[9:12])
            statuses.update(found)

    threads = [
        threading.Thread(target=work, args=(requests[first::concurrency],))
        for first in range(concurrency)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if set(statuses) - {b"200", b"404"}:
        raise SystemExit(f"The server answered {dict(statuses)}; nothing is measured.")
    return seconds, statuses[b"404"]


def ours(url: str, names: list[str]) -> tuple[float, int]:
    store = ObjectStore.open(FilesAddress(url))
    files = [(str(number), f"s3://{BUCKET}/{key}") for number, key in enumerate(names)]
    started = time.perf_counter()
    report = store.check(files)
    seconds = time.perf_counter() - started
    store.close()
    return seconds, report.missing_count


def step(stores: Stores, name: str) -> tuple[float, int]:
    """The whole of `verify_clone` of a namespace without points."""
    clone = harness.clone(stores, "bench", name, until="verify_clone", verify_objects="all")
    started = time.perf_counter()
    report = run_step(
        stores, clone.clone_id, str(clone.run_id), "verify_clone", process_goes_on=True
    )
    return time.perf_counter() - started, int(report.details["files_missing"])


def fill(stores: Stores, folder: Path, names: list[str]) -> None:
    harness.load(stores, namespace("ns_bench00000"))
    rows = [
        {
            "namespace_key": 1,
            "object_id": f"obj_{number:012}",
            "bucket_id": BUCKETS[0],
            "document": {"blobs": [{"properties": {"url": f"s3://{BUCKET}/{key}"}}]},
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number, key in enumerate(names)
    ]
    with stores.catalog.write() as connection:
        connection.execute(insert(objects), rows)


def measure(url: str, stores: Stores, names: list[str], rounds: int) -> None:
    environment = servers.s3_environment(url)
    expected = sum(is_missing(number) for number in range(len(names)))
    found: list[Rates] = []
    for number in range(rounds + 1):
        requests = signed(url, names, environment)
        runs = {
            f"bare, {concurrency} at once": bare(url, requests, concurrency)
            for concurrency in CONCURRENCIES
        }
        runs["ours"] = ours(url, names)
        runs["verify_clone"] = step(stores, f"copy {number}")
        for name, (_, missing) in runs.items():
            if missing != expected:
                raise SystemExit(f"{name}: {missing} are missing instead of {expected}.")
        if number:  # the first round warms
            found.append(rates(len(names), {name: seconds for name, (seconds, _) in runs.items()}))
    title = f"{len(names):,} files, {expected:,} of them missing"
    print_table(title, table(found, "files/s", "of the limit", lambda _, one: fastest_bare(one)))


def fastest_bare(one: Rates) -> float:
    return max(rate for name, rate in one.items() if name.startswith("bare"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = keys(given.files)
    try:
        with servers.s3() as url, tempfile.TemporaryDirectory() as folder:
            os.environ.update(servers.s3_environment(url))
            put(url, names)
            with harness.open_stores(Path(folder), files=FilesAddress(url)) as stores:
                fill(stores, Path(folder) / "bundle", names)
                measure(url, stores, names, given.rounds)
    except servers.NotInstalled as reason:
        stdout.print(f"Nothing is measured: {reason}")


if __name__ == "__main__":
    main()
