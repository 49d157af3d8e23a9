"""Two whole deployments on servers: PostgreSQL databases and Qdrant servers of their own, which
admit nobody without a key; of production's only what may read is known in staging."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
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

Between = Callable[..., AbstractContextManager[tuple[Stores, Stores]]]


@contextmanager
def qdrant_with_keys() -> Iterator[str]:
    keys = {"SERVICE__API_KEY": WRITING, "SERVICE__READ_ONLY_API_KEY": READING}
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
    grant(production, reader)
    try:
        to_read = server.admin.set(
            drivername="postgresql", database=names[0], username=reader, password="only-reads"
        )
        yield production, to_read.render_as_string(hide_password=False), server.address(names[1])
    finally:
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE {reader}")


@contextmanager
def asking_for_passwords(server: PostgresServer, role: str) -> Iterator[None]:
    """The tests' own server trusts everybody; until the end it asks this role for its password."""
    if "TEST_POSTGRES_URL" in os.environ:
        pytest.skip("who is trusted is the server's own business")
    with psycopg.connect(_dsn(server), autocommit=True) as admin:
        [file, trusted] = admin.execute(
            "SELECT path, pg_read_file(path) FROM current_setting('hba_file') AS path"
        ).fetchone() or ("", "")
        # Comments would have to be quoted.
        lines = [" ".join(one.split()) for one in trusted.splitlines() if one[:1].isalpha()]
        try:
            _trust(admin, file, [f"host all {role} 127.0.0.1/32 scram-sha-256", *lines])
            while _is_let_in(server, role):
                pass
            yield
        finally:
            _trust(admin, file, lines)


def _trust(admin: psycopg.Connection[Any], file: str, lines: Sequence[str]) -> None:
    rows = ", ".join(f"('{line}')" for line in lines)
    admin.execute(f"COPY (VALUES {rows}) TO '{file}'".encode())
    admin.execute("SELECT pg_reload_conf()")  # which takes a moment


def _is_let_in(server: PostgresServer, role: str) -> bool:
    try:
        psycopg.connect(_dsn(server), user=role, password="wrong").close()
    except psycopg.OperationalError:
        return False
    return True


def _dsn(server: PostgresServer) -> str:
    return server.admin.set(drivername="postgresql").render_as_string(hide_password=False)


def grant(url: str, role: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())


@contextmanager
def two_on_servers(
    folder: Path,
    databases: tuple[str, str, str],
    qdrants: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *sources: Files | Path,
    qdrant_key: tuple[str, str] = ("read_only_api_key", READING),
) -> Iterator[tuple[Stores, Stores]]:
    """Production, which holds the sources, and staging, which knows it by what may read; unless
    `qdrant_key` says otherwise for its Qdrant."""
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
        monkeypatch.setenv("PRODUCTION_QDRANT_KEY", qdrant_key[1])
        reader = create_key(production.catalog, ORGANIZATION, "read", now)[0]
        monkeypatch.setenv("PRODUCTION_KEY", reader)
        file = write_environments(
            folder,
            production={
                "access": "read",
                "catalog_url": {"env": "PRODUCTION_CATALOG_URL"},
                "qdrant": {
                    "url": qdrants[0],
                    qdrant_key[0]: {"env": "PRODUCTION_QDRANT_KEY"},
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


@pytest.fixture
def between(
    tmp_path: Path,
    databases: tuple[str, str, str],
    qdrants: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Between:
    """`two_on_servers` of this test."""
    return partial(two_on_servers, tmp_path, databases, qdrants, monkeypatch)


__all__ = ["PRODUCTION", "between", "databases", "qdrants", "two_on_servers"]
