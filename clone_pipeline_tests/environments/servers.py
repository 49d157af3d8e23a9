"""Two whole deployments on servers: PostgreSQL databases and Qdrant servers of their own, which
admit nobody without a key; of production's only what may read is known in staging."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.stores import Stores, VectorAddress
from clone_pipeline.deployment import open_stores
from clone_pipeline.settings import Settings

from .. import harness, qdrant_server
from .. import servers as local
from ..conftest import PostgresServer
from ..sources import ORGANIZATION, Files
from .two import PRODUCTION, write_environments

WRITING, READING = "key-that-writes", "key-that-reads"


@contextmanager
def qdrant_with_keys() -> Iterator[str]:
    keys = {"QDRANT__SERVICE__API_KEY": WRITING, "QDRANT__SERVICE__READ_ONLY_API_KEY": READING}
    with (
        TemporaryDirectory(prefix="clone-pipeline-test-", dir=local.in_memory()) as folder,
        qdrant_server.run(Path(folder), **keys) as url,
    ):
        yield url


@pytest.fixture(scope="module")
def qdrants() -> Iterator[tuple[str, str]]:
    """Production's and staging's."""
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: put `qdrant` on the PATH")
    with qdrant_with_keys() as one, qdrant_with_keys() as other:
        yield one, other


@pytest.fixture
def databases(postgres_server: PostgresServer) -> Iterator[tuple[str, str, str]]:
    """Production's database, the same for a role that may only read, and staging's."""
    with two_databases(postgres_server) as urls:
        yield urls


@contextmanager
def two_databases(server: PostgresServer) -> Iterator[tuple[str, str, str]]:
    names = [f"test_{uuid.uuid4().hex}" for _ in range(2)]
    reader = f"reader_{uuid.uuid4().hex[:8]}"
    for name in names:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template}")
    server.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'only-reads'")
    production = server.address(names[0])
    _grant(production, reader)
    try:
        to_read = server.admin.set(
            drivername="postgresql", database=names[0], username=reader, password="only-reads"
        )
        yield production, to_read.render_as_string(hide_password=False), server.address(names[1])
    finally:
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE {reader}")


def _grant(url: str, role: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())


@contextmanager
def two_on_servers(
    folder: Path,
    databases: tuple[str, str, str],
    qdrants: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *sources: Files | Path,
) -> Iterator[tuple[Stores, Stores]]:
    """Production, which holds the sources, and staging, which knows it by what may read."""
    production_url, to_read, staging_url = databases
    with ExitStack() as opened:
        address = VectorAddress(folder, url=qdrants[0], api_key=WRITING)
        production = opened.enter_context(
            harness.open_stores(folder, production_url, vector_address=address)
        )
        for one in sources:
            harness.load(production, one)
        now = production.clock()
        monkeypatch.setenv("PRODUCTION_CATALOG_URL", to_read)
        monkeypatch.setenv("PRODUCTION_QDRANT_KEY", READING)
        reader = create_key(production.catalog, ORGANIZATION, "read", now)[0]
        monkeypatch.setenv("PRODUCTION_KEY", reader)
        file = write_environments(
            folder,
            production={
                "access": "read",
                "catalog_url": {"env": "PRODUCTION_CATALOG_URL"},
                "qdrant": {
                    "url": qdrants[0],
                    "read_only_api_key": {"env": "PRODUCTION_QDRANT_KEY"},
                },
                "api_key": {"env": "PRODUCTION_KEY"},
            },
        )
        catalog = Catalog.open(staging_url)
        try:
            key = create_key(catalog, ORGANIZATION, "admin", now)[0]
        finally:
            catalog.close()
        values = {
            "CLONE_PIPELINE_HOME": folder / "staging",
            "CATALOG_URL": staging_url,
            "QDRANT_URL": qdrants[1],
            "QDRANT_API_KEY": WRITING,
            "CLONE_PIPELINE_API_KEY": key,
            "CLONE_ENVIRONMENTS": file,
        }
        staging = open_stores(Settings(**values))  # type: ignore[arg-type]
        opened.callback(staging.close)
        try:
            yield production, staging
        finally:
            for stores in (production, staging):
                _remove_all(stores)


def _remove_all(stores: Stores) -> None:
    """The servers are the tests' own."""
    with stores.server(None) as server:
        assert server is not None
        for name in server.collections():
            server.delete(name)


__all__ = ["PRODUCTION", "databases", "qdrants", "two_on_servers"]
