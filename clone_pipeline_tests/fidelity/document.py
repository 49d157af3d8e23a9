"""Writes docs/fidelity.md: what a Qdrant server and the embedded store make of every case.

QDRANT_URL=... python -m clone_pipeline_tests.fidelity.document > docs/fidelity.md
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from clone_pipeline.core.stores import VectorAddress

from .. import harness, qdrant_server
from .cases import FLOATS, OTHERS, PAYLOADS, TURBO, VECTORS, World
from .measure import KEPT, Way, follow

_HEAD = """# What is kept of every value

Measured, not asserted: `python -m clone_pipeline_tests.fidelity.document` takes each of these
values through `load`, `dump`, a clone by each lane and the proof, on a Qdrant server {version}
and on the embedded store, and writes this page; a test does it again and compares.

- **load**: what stands in the bundle (vectors as float32) against what the store gives back.
- **dump**, **stream**, **native**: what the store gives back against the bundle, and against the
  clone. The native lane copies files, and so changes nothing.
- **proof**: `verify: full` of the clone. Then one number, text or key of the point is made
  another one in the clone, the least by 1e-10 of it, and `verify` is asked again.
- **embedded**: all of these on the embedded store, which has no native lane.

*kept* is to the last bit. *told*: `load` says so, with counts. *refused*: with file, line and
reason; nothing is loaded. What is changed in a clone counts as equal by the rule that the proof
quotes, and by how little that is, the tables say.

## Why floats in payloads change on a server

A Qdrant server keeps payloads as JSON text, and its parser is quick and not exact
(serde-rs/json#707). A float of 17 digits may come back a last place off (2e-16 of it), each time
the point is written, and each time the server moves it to another segment on its own account.
Between 1e-6 and 1e34 that happens once to one float in ten; smaller and larger ones go on
changing, most of them a few times, until one is reached that stays, or two or three that take
turns. No client can prevent it.

So the proof takes floats for equal that the server ends up with the same for. That is exact about
what the server can keep: over 120 million floats of every size the two farthest of that kind were
183 last places apart, 4e-14 of their value; between 1e-6 and 1e34 it is one place. Everything
else is a difference. The embedded store changes nothing, and there floats are compared exactly.

## Why cosine vectors change on a server

The server scales a vector to length 1 when it is written, unless it finds the length to be 1
already: the squares, added up in float32, within 1e-6. Of long vectors with many equal numbers
that sum is never so close, so that each write scales them once more. The proof takes two vectors
for equal where one is the other divided by one length, bit for bit; a single bit more is a
difference.
"""
_COLUMNS = ("value", "load", "dump", "stream", "native", "proof", "embedded")


def document(url: str) -> str:
    """The page, as the server at `url` makes it."""
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "server").mkdir()
        (home / "embedded").mkdir()
        address = VectorAddress(folder=home / "qdrant", url=url)
        with (
            harness.open_stores(home / "server", vector_address=address) as server,
            harness.open_stores(home / "embedded") as embedded,
        ):

            def table(*worlds: World, only_server: bool = False) -> Iterator[str]:
                yield f"| {' | '.join(_COLUMNS)} |"
                yield "|" + "---|" * len(_COLUMNS)
                for world in worlds:
                    ways = follow(world, server, home)
                    others = [None] * len(ways) if only_server else follow(world, embedded, home)
                    for way, other in zip(ways, others, strict=True):
                        yield f"| {' | '.join(_cells(way, other))} |"

            with server.vectors() as store:
                version = store.version()  # type: ignore[attr-defined]
            lines = [
                _HEAD.format(version=version),
                "## Payloads\n",
                *table(PAYLOADS),
                "\n## Floats in payloads, by decade\n",
                "200 of each, of 17 digits.\n",
                *table(FLOATS),
                "\n## Vectors\n",
                *table(VECTORS, TURBO),
                "\n## Vectors that somebody else wrote\n",
                "Over gRPC, where the server takes what no JSON can hold.\n",
                *table(*OTHERS, only_server=True),
            ]
    return "\n".join(lines) + "\n"


def _cells(way: Way, embedded: Way | None) -> Iterator[str]:
    yield way.case.kind
    yield from (way.load, way.dump, way.stream, way.native, way.proof)
    yield "-" if embedded is None else _embedded(way, embedded)


def _embedded(way: Way, embedded: Way) -> str:
    if embedded.load.startswith("refused"):
        return "the same" if embedded.load == way.load else embedded.load
    found = {embedded.load, embedded.dump, embedded.stream}
    return (
        f"{'; '.join(sorted(found))}; {embedded.proof}"
        if found != {KEPT}
        else (f"{KEPT}; {embedded.proof}")
    )


if __name__ == "__main__":
    if given := os.environ.get("QDRANT_URL"):
        sys.stdout.write(document(given))
    else:
        with TemporaryDirectory() as folder, qdrant_server.run(Path(folder)) as started:
            sys.stdout.write(document(started))
