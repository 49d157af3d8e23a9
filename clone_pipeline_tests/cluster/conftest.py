"""Three nodes of one Qdrant cluster, and stores that know the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clone_pipeline.core.points import pages
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.vectors import slices
from clone_pipeline_tests import qdrant_server, servers
from clone_pipeline_tests.adopting.test_adopt import stores_at
from clone_pipeline_tests.faults.place import wait_until
from clone_pipeline_tests.faults.rest import ask
from clone_pipeline_tests.qdrant_server import Qdrant

NODES = 3


@pytest.fixture(scope="package")
def nodes() -> Iterator[list[Qdrant]]:
    if not qdrant_server.is_installed():
        pytest.skip("no cluster of Qdrant: put `qdrant` on the PATH")
    with (
        TemporaryDirectory(prefix="clone-pipeline-test-", dir=servers.in_memory()) as folder,
        qdrant_server.run_cluster(Path(folder), NODES) as started,
    ):
        wait_until(lambda: all(len(peers(one)) == NODES for one in started), "all nodes")
        yield started


def peers(node: Qdrant) -> list[int]:
    return sorted(map(int, ask(node.url, "/cluster")["peers"]))


@pytest.fixture
def stores(
    nodes: list[Qdrant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stores]:
    """Several slices of several pages."""
    monkeypatch.setattr(slices, "_POINTS_PER_SLICE", 25)
    monkeypatch.setattr(pages, "FIRST_PAGE", 10)
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    with stores_at(nodes[0].url, tmp_path) as stores:
        yield stores
