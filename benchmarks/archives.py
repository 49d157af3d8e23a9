"""What the points of an archive are written as: size and speed of the forms that they could have.

    python -m benchmarks.archives [--points N] [--size S]

Writes N points with one vector of S numbers and a small payload, and reads them again, in each
form: the lines of a bundle as they are and compressed at several levels (an archive's parts are
those at level 1), lines with the vectors as base64 of their bytes, and Parquet where pyarrow is
installed (`pip install pyarrow`; it is no dependency). All in one thread, from points to bytes and
back.
"""

import argparse
import base64
import io
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core.bundle.archive.zstd import (
    CompressionParameter,
    ZstdCompressor,
    ZstdFile,
)
from clone_pipeline.core.bundle.output import encode, encode_point
from clone_pipeline.core.vectors.point import Point

WORDS = [f"word{number}" for number in range(2000)]
Form = tuple[Callable[[list[Point]], bytes], Callable[[bytes], int]]


def make_points(count: int, size: int) -> list[Point]:
    """Directions in space, as embeddings are, with a payload of some 300 bytes."""
    numbers = np.random.default_rng(1).standard_normal((count, size)).astype(np.float32)
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    chance = random.Random(1)
    return [
        Point(
            number,
            {"text": numbers[number].tolist()},
            {
                "_internal": {"namespace_id": "ns_bench", "collection_id": f"col_{number % 7}"},
                "title": " ".join(chance.choices(WORDS, k=20)),
                "score": chance.random(),
            },
        )
        for number in range(count)
    ]


def compressed(lines: Iterator[bytes], level: int) -> bytes:
    compressor = ZstdCompressor(options={CompressionParameter.compression_level: level})
    return b"".join([*map(compressor.compress, lines), compressor.flush()])


def read_lines(data: bytes) -> int:
    return sum(1 for line in ZstdFile(io.BytesIO(data)) if json.loads(line))


def bundle_lines(points: list[Point]) -> Iterator[bytes]:
    return (encode_point(point) + b"\n" for point in points)


def base64_lines(points: list[Point]) -> Iterator[bytes]:
    for point in points:
        packed = np.asarray(point.vectors["text"], dtype="<f4").tobytes()
        vector = {"text": base64.b64encode(packed).decode()}
        yield encode({"id": point.id, "vector": vector, "payload": point.payload}) + b"\n"


def read_base64(data: bytes) -> int:
    count = 0
    for line in ZstdFile(io.BytesIO(data)):
        packed = base64.b64decode(json.loads(line)["vector"]["text"])
        count += bool(np.frombuffer(packed, dtype="<f4").tolist())
    return count


def forms() -> dict[str, Form]:
    found: dict[str, Form] = {
        "JSON lines": (
            lambda points: b"".join(bundle_lines(points)),
            lambda data: sum(1 for line in io.BytesIO(data) if json.loads(line)),
        )
    }
    for level in (1, 3, 9):

        def write(points: list[Point], level: int = level) -> bytes:
            return compressed(bundle_lines(points), level)

        found[f"JSON lines, zstd {level}"] = (write, read_lines)
    found["base64 in JSON lines, zstd 1"] = (
        lambda points: compressed(base64_lines(points), 1),
        read_base64,
    )
    try:
        found |= parquet_forms()
    except ImportError:
        stdout.print("Without Parquet: pyarrow is not installed.")
    return found


def parquet_forms() -> dict[str, Form]:
    """One row a point, the payload as JSON text; `split` stores bytes of floats by their place."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(points: list[Point], **options: Any) -> bytes:
        vectors = pa.array([point.vectors["text"] for point in points], pa.list_(pa.float32()))
        payloads = [encode(point.payload).decode() for point in points]
        ids = pa.array([point.id for point in points], pa.uint64())
        table = pa.table({"id": ids, "text": vectors, "payload": payloads})
        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd", **options)
        return file.getvalue()

    def read(data: bytes) -> int:
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
        return sum(1 for row in rows if row["text"] and json.loads(row["payload"]))

    split = {"use_dictionary": False, "use_byte_stream_split": ["text.list.element"]}
    return {
        "Parquet, zstd": (write, read),
        "Parquet, zstd, split": (lambda points: write(points, **split), read),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=256)
    asked = parser.parse_args()
    points = make_points(asked.points, asked.size)
    rows = []
    for name, (write, read) in forms().items():
        started = time.process_time()
        data = write(points)
        written = time.process_time()
        count = read(data)
        seconds = written - started, time.process_time() - written
        assert count == len(points)
        rows.append(
            {
                "form": name,
                "bytes a point": round(len(data) / count),
                "written a second": round(count / seconds[0]),
                "read a second": round(count / seconds[1]),
            }
        )
    print_table(f"{len(points):,} points of {asked.size} numbers, seconds of one CPU", rows)


if __name__ == "__main__":
    main()
