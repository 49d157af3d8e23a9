"""Fixtures over real stores: a throwaway PostgreSQL, a throwaway S3 server, SQLite files.

Each server starts once for a session (one for each pytest-xdist worker), listens on loopback only
and is stopped at the end. Where a machine cannot run one, its tests are skipped with the reason.

Whoever runs one test waits for this file: what only a server needs is imported where it is needed.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import URL, make_url

from . import qdrant_server, servers
from .selection import (
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_ignore_collect,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_xdist_auto_num_workers,
)

if TYPE_CHECKING:
    from clone_pipeline.core.catalog.engine import Catalog

# The hooks are pytest's for whoever finds them here.
__all__ = [
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_runtest_call",
    "pytest_runtest_setup",
    "pytest_xdist_auto_num_workers",
]

# No test fails for the time it took: other work on the machine is no mistake of ours.
settings.register_profile("any time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any time")

# Before the first run of Dagster.
_SIGTERM = signal.getsignal(signal.SIGTERM)

_OURS = ("CLONE_", "QDRANT_", "AWS_", "PG")
_OURS_WHOLE = ("CATALOG_URL", "S3_ENDPOINT_URL", "DAGSTER_HOME")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's stores, keys, proxies or AWS profile."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith(_OURS) or upper in _OURS_WHOLE or upper.endswith("_PROXY"):
            monkeypatch.delenv(name)
    # boto3 would else look into the home folder and ask the cloud's metadata address.
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def sigterm_as_it_was() -> Iterator[None]:
    """Each run of Dagster in this process leaves SIGTERM the handler of SIGINT
    (`dagster._utils.interrupts.setup_interrupt_handlers`, 1.13): to be ignored, where a shell has
    started the tests in its background. Processes of later tests would inherit that."""
    yield
    signal.signal(signal.SIGTERM, _SIGTERM)


# ---- PostgreSQL ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresServer:
    """`admin` may create databases; `template` has the catalog's schema and no rows."""

    admin: URL
    template: str

    def execute(self, statement: str) -> None:
        import psycopg

        dsn = self.admin.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def address(self, database: str) -> str:
        url = self.admin.set(drivername="postgresql", database=database)
        return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """TEST_POSTGRES_URL, else the newest installed PostgreSQL, else the wheel's."""
    with _postgres_admin() as admin, with_template(admin) as server:
        yield server


@contextmanager
def with_template(admin: str) -> Iterator[PostgresServer]:
    """The server at this address, with a template in it until the end."""
    from clone_pipeline.core.catalog.engine import Catalog

    server = PostgresServer(make_url(admin), f"template_{uuid.uuid4().hex}")
    server.execute(f"CREATE DATABASE {server.template}")
    try:
        Catalog.open(server.address(server.template)).close()
        yield server
    finally:
        server.execute(f"DROP DATABASE {server.template} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database with the catalog's schema; dropped at the end."""
    database = f"test_{uuid.uuid4().hex}"
    server = postgres_server
    server.execute(f"CREATE DATABASE {database} TEMPLATE {server.template}")
    try:
        yield server.address(database)
    finally:
        server.execute(f"DROP DATABASE {database} WITH (FORCE)")


@contextmanager
def _postgres_admin() -> Iterator[str]:
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    try:
        with servers.postgres() as url:
            yield url
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


# ---- the catalog -----------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    from .statements import compiled_once

    with compiled_once():
        yield


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite catalog that does not exist yet."""
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The test runs once on each database: a fresh one with the catalog's schema."""
    if request.param == "sqlite":
        from . import harness

        return harness.new_catalog(tmp_path / "catalog.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """An open, empty catalog on each database."""
    from clone_pipeline.core.catalog.engine import Catalog

    catalog = Catalog.open(catalog_url)
    try:
        yield catalog
    finally:
        catalog.close()


# ---- Qdrant ----------------------------------------------------------------------------------

# Read at import: no test sees the developer's environment.
_GIVEN_QDRANT = os.environ.get("QDRANT_URL")


@pytest.fixture(scope="session")
def qdrant_url() -> Iterator[str]:
    """A Qdrant server: QDRANT_URL, else a `qdrant` on the PATH."""
    if _GIVEN_QDRANT:
        yield _GIVEN_QDRANT
        return
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: set QDRANT_URL, or put `qdrant` on the PATH")
    with (
        # It waits for the disk eight times for one collection.
        TemporaryDirectory(prefix="clone-pipeline-test-", dir=servers.in_memory()) as folder,
        qdrant_server.run(Path(folder)) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A Qdrant server that keeps shard keys: the `qdrant` on the PATH, a cluster by itself."""
    if not qdrant_server.is_installed():
        pytest.skip("no cluster of Qdrant: put `qdrant` on the PATH")
    with (
        TemporaryDirectory(prefix="clone-pipeline-test-", dir=servers.in_memory()) as folder,
        qdrant_server.run(Path(folder), cluster=True) as url,
    ):
        yield url


# ---- S3 --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class S3:
    """A fresh bucket. `env` is what a process needs to reach it; `client` is the test's own."""

    url: str
    bucket: str
    client: Any
    env: dict[str, str]

    def everything(self) -> dict[str, str]:
        """What is in the bucket: its ETag by key."""
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {item["Key"]: item["ETag"] for item in found}

    def put(self, key: str, body: bytes = b"x") -> str:
        """Puts a file and gives its s3:// location."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The endpoint of a real S3 server with one account."""
    try:
        with servers.s3() as url:
            yield url
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


@pytest.fixture
def s3(s3_url: str) -> Iterator[S3]:
    """A fresh bucket on the real S3 server; removed at the end with what is in it."""
    bucket = f"test-{uuid.uuid4().hex}"
    env = servers.s3_environment(s3_url)
    client = servers.s3_client(s3_url)
    try:
        client.create_bucket(Bucket=bucket)
        yield S3(s3_url, bucket, client, env)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])
        client.delete_bucket(Bucket=bucket)
    finally:
        client.close()
