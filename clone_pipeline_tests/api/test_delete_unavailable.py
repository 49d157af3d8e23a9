"""A deletion that cannot have a store has changed nothing, and says no more than that."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from clone_pipeline.api.runs import Runs
from clone_pipeline.cli.demo import FOLDER, SOURCE
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.stores import VectorAddress
from clone_pipeline.core.vectors.embedded import EmbeddedStore
from clone_pipeline_tests import harness, qdrant_server
from clone_pipeline_tests.api.conftest import NOWHERE
from clone_pipeline_tests.api.world import HALF, STAGING, World, key, opened

pytestmark = pytest.mark.outside


def rows(world: World) -> list[tuple[object, ...]]:
    with world.stores.catalog.read() as connection:
        found = []
        for table in (schema.namespaces, schema.clones, schema.clone_steps):
            found += [tuple(row) for row in connection.execute(select(table))]
        return found


@pytest.mark.parametrize("name", [STAGING, HALF])
def test_a_delete_that_answers_503_has_destroyed_nothing(home: Path, name: str) -> None:
    with opened(home, Runs(NOWHERE), wait_seconds=0.2) as world:
        before = rows(world)
        with closing(EmbeddedStore.open(home / "qdrant")):
            answer = world.ask("DELETE", f"/v1/namespaces/{name}")
            assert answer.status_code == 503
            said = answer.json()["error"]
            assert str(home) not in answer.text
            assert str(os.getpid()) not in said["message"]
            assert said["details"] == {"retryable": True, "retry_after_seconds": 5}
        assert rows(world) == before
        # And trying again, as it says, is enough.
        assert world.ask("DELETE", f"/v1/namespaces/{name}").status_code == 200
        assert world.ask("GET", f"/v1/namespaces/{name}").status_code == 404


@pytest.mark.skipif(not qdrant_server.is_installed(), reason="no `qdrant` on the PATH")
def test_a_delete_while_the_qdrant_server_is_gone_has_destroyed_nothing(tmp_path: Path) -> None:
    with qdrant_server.run(tmp_path) as url:
        where = VectorAddress(tmp_path / "embedded", url)
        with harness.holding(tmp_path, FOLDER / "bundle", vector_address=where) as stores:
            harness.clone(stores, SOURCE["namespace_id"], "copy")
    with opened(tmp_path, Runs(NOWHERE), vector_address=where) as world:
        world.keys["admin"] = key(world.stores, SOURCE["organization_id"], "admin")
        before = rows(world)
        answer = world.ask("DELETE", "/v1/namespaces/copy", "admin")
        assert answer.status_code == 503, answer.text
        assert url not in answer.text
        assert rows(world) == before
