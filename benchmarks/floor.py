"""What a clone costs beside its data: ten points, against an empty graph of the same shape.

    python -m benchmarks.floor [--rounds N]

Both run in this process, in turn, on the same Dagster instance, through the in-process executor
with the filesystem IO manager, as `clone-pipeline clone` does. The clone's time is taken apart by
where it is spent; `Dagster` is what is left when the rest is taken away. Medians of the rounds;
the ratio is that of each pair, so that a machine that speeds up or slows down does not matter.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.objects import COLLECTION, NAMES, VECTORS
from clone_pipeline.cli.output import print_table, stdout
from clone_pipeline.core import bundle, steps
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline.core.vectors.port import VectorStore
from clone_pipeline.defs.jobs import clone_namespace
from clone_pipeline.deployment import open_stores
from clone_pipeline.launch import clone_job
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.sources import Files, source, write_bundle

PARTS = ("catalog", "Qdrant", "proof", "our own", "Dagster")


class Meter:
    """Exclusive seconds by part: time in an inner part does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._stack: list[str] = []
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._switch()
        self._stack.append(name)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()


def instrument(meter: Meter) -> None:
    """Wraps the places where a clone meets its stores; the product knows nothing of it."""

    def measured(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with meter.part(part):
                return function(*args, **kwargs)

        return wrapped

    for name in ("read", "write"):
        setattr(Catalog, name, _measured_context(meter, "catalog", getattr(Catalog, name)))
    for name in ("open", "close", *_operations()):
        original = getattr(EmbeddedStore, name)
        wrapped = measured("Qdrant", original)
        setattr(EmbeddedStore, name, staticmethod(wrapped) if name == "open" else wrapped)
    for step, function in steps._FUNCTIONS.items():
        part = "proof" if step == "verify_clone" else "our own"
        steps._FUNCTIONS[step] = measured(part, function)


def _operations() -> list[str]:
    found = [name for name, member in vars(VectorStore).items() if callable(member)]
    return [name for name in found if not name.startswith("_") and name != "close"]


def _measured_context(meter: Meter, part: str, function: Callable[..., Any]) -> Any:
    @contextmanager
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with meter.part(part), function(*args, **kwargs) as connection:
            yield connection

    return wrapped


def empty_job() -> dg.JobDefinition:
    """As many ops with the same dependencies and inputs, which hand on a string."""

    def make(name: str, inputs: tuple[str, ...]) -> dg.OpDefinition:
        @dg.op(name=name, ins={one: dg.In(str) for one in inputs}, out=dg.Out(str))
        def nothing(_context: dg.OpExecutionContext, **_inputs: str) -> str:
            return name

        return nothing

    ops = {node.name: node.definition for node in clone_namespace.nodes}
    nothing = {
        name: make(name, tuple(one.name for one in definition.input_defs))
        for name, definition in ops.items()
    }
    dependencies = {
        dg.NodeInvocation(name=handle.name): inputs
        for handle, inputs in clone_namespace.graph.dependencies.items()
    }
    graph = dg.GraphDefinition(
        name="empty", node_defs=list(nothing.values()), dependencies=dependencies
    )
    return graph.to_job(executor_def=dg.in_process_executor)


def namespace() -> Files:
    """One of everything, and ten points of eight dimensions."""
    return source(
        NAMES,
        store="ns_bench00000",
        config={"vectors": VECTORS, "sparse_vectors": {}, "payload_schema": {}},
        buckets=[{"bucket_id": "bkt_00000000", "bucket_name": "files"}],
        objects=[
            {"object_id": f"obj_{index:012}", "bucket_id": "bkt_00000000"} for index in range(10)
        ],
        collections=[
            {
                "collection_id": COLLECTION,
                "collection_name": "documents",
                "source": {"type": "bucket", "bucket_ids": ["bkt_00000000"]},
            }
        ],
        retrievers=[
            {
                "retriever_id": "ret_00000000000000",
                "retriever_name": "search",
                "collection_ids": [COLLECTION],
                "stages": [],
            }
        ],
        points=[
            {
                "id": index,
                "vector": {"dense": [float(index + 1), *([0.5] * 7)]},
                "payload": {"_internal": {"collection_id": COLLECTION}},
            }
            for index in range(10)
        ],
    )


def run(job: Any, instance: dg.DagsterInstance, config: dict[str, Any]) -> float:
    started = time.perf_counter()
    result = dg.execute_job(job, instance=instance, run_config=config)
    if not result.success:
        raise SystemExit("The run failed; nothing is measured.")
    return time.perf_counter() - started


def prepare(home: Path) -> None:
    write_bundle(home / "bundle", namespace())
    stores: Stores = open_stores(load_settings())
    with stores.vectors() as vectors:
        bundle.load(home / "bundle", stores.catalog, vectors, stores.clock())
    stores.catalog.close()


def measure(rounds: int, home: Path) -> None:
    (home / "dagster").mkdir()
    instance = dg.DagsterInstance.from_config(str(home / "dagster"))
    silent = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    meter = Meter()
    instrument(meter)
    empty, full = dg.reconstructable(empty_job), dg.reconstructable(clone_job)
    pairs, parts = [], []
    for number in range(rounds + 1):
        nothing = run(empty, instance, silent)
        meter.seconds = dict.fromkeys(PARTS, 0.0)
        name = f"clone {number}"
        took = run(full, instance, {"namespace_identifier": "bench", "namespace_name": name})
        meter.seconds["Dagster"] = took - sum(meter.seconds.values())
        if number:  # the first round imports and compiles
            pairs.append((took, nothing))
            parts.append(dict(meter.seconds))
    report(pairs, parts)


def report(pairs: list[tuple[float, float]], parts: list[dict[str, float]]) -> None:
    ratios = [took / nothing for took, nothing in pairs]
    rows = [("empty graph", [nothing for _, nothing in pairs]), ("clone", [t for t, _ in pairs])]
    rows += [(f"  {part}", [one[part] for one in parts]) for part in PARTS]
    print_table(
        "Ten points, in process",
        [
            {
                "what": what,
                "median ms": round(1000 * statistics.median(values)),
                "min ms": round(1000 * min(values)),
                "max ms": round(1000 * max(values)),
            }
            for what, values in rows
        ],
    )
    stdout.print(
        f"clone / empty graph: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLONE_PIPELINE_HOME"] = folder
        os.environ["CLONE_PIPELINE_LOG_LEVEL"] = "CRITICAL"
        prepare(Path(folder))
        measure(rounds, Path(folder))


if __name__ == "__main__":
    main()
