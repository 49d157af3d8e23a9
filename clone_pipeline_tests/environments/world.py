"""Staging and production on servers, as the command line of staging finds them."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.catalog.schema import metadata
from clone_pipeline.core.stores import Stores, VectorAddress

from .. import harness
from .. import servers as local
from ..cli.running import Answer, run
from ..conftest import PostgresServer
from ..sources import ORGANIZATION, one_of_each
from .servers import READING, WRITING, two_databases
from .two import PRODUCTION, write_environments

STAGING = "staging"
_TIMES = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)


@dataclass(frozen=True)
class World:
    """`entries` are the environments file's, `variables` the process's; a test changes copies of
    both. `stores` are opened with the keys to everything, production's first, and `production_url`
    may write its database."""

    folder: Path
    server: PostgresServer
    production_url: str
    entries: dict[str, Any]
    variables: dict[str, str]
    stores: tuple[Stores, Stores]
    s3: Any
    bucket: str

    @property
    def file(self) -> Path:
        return self.folder / "environments.yaml"

    def changed(self) -> World:
        """A copy that a test may spoil."""
        return replace(self, entries=copy.deepcopy(self.entries), variables=dict(self.variables))

    def run(self, *arguments: str) -> Answer:
        """The command line, with the file and the variables as they are now."""
        write_environments(self.folder, **self.entries)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.setenv("CLONE_ENVIRONMENTS", str(self.file))
            return run(*arguments)

    def everything(self) -> list[Any]:
        """All rows of both catalogs, all collections of both Qdrants, all files."""
        found: list[Any] = []
        for stores in self.stores:
            with stores.catalog.read() as connection:
                for table in metadata.sorted_tables:
                    found.append(sorted(map(repr, connection.execute(select(table)))))
            with stores.server(None) as server:
                assert server is not None
                found.append([(name, server.count(name)) for name in server.collections()])
        versions = self.s3.list_object_versions(Bucket=self.bucket)
        return [*found, versions.get("Versions", []), versions.get("DeleteMarkers", [])]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    qdrants: tuple[str, str],
    s3_url: str,
    dagster_home: Path,
) -> Iterator[World]:
    """Production has one namespace with one file, and staging may only read it."""
    folder, server = tmp_path_factory.mktemp("world"), postgres_server
    with ExitStack() as opened:
        there, to_read, here = opened.enter_context(two_databases(server))
        stores = [
            opened.enter_context(
                harness.open_stores(
                    folder, url, vector_address=VectorAddress(folder, at, None, WRITING)
                )
            )
            for url, at in ((there, qdrants[0]), (here, qdrants[1]))
        ]
        for one in stores:
            opened.callback(_empty, one)
        client = opened.enter_context(_client(s3_url))
        bucket = f"copies-{uuid.uuid4().hex}"
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="there", Body=b"x")
        blob = {"blob_id": "b", "properties": {"url": f"s3://{bucket}/there"}}
        one = {"bucket_id": "bkt_1", "object_id": "obj_1", "blobs": [blob]}
        harness.load(stores[0], one_of_each() | {"objects.jsonl": [one]})
        harness.same_organizations(stores[0], stores[1], "{}_here")
        entries = {
            PRODUCTION: {
                "access": "read",
                "catalog_url": {"env": "PRODUCTION_CATALOG_URL"},
                "qdrant": {
                    "url": qdrants[0],
                    "read_only_api_key": {"env": "PRODUCTION_QDRANT_KEY"},
                },
                "files": {"endpoint_url": s3_url, "region": "us-east-1"},
                "api_key": {"env": "PRODUCTION_KEY"},
            },
            # What the variables describe, under a name.
            STAGING: {
                "access": "write",
                "catalog_url": {"env": "CATALOG_URL"},
                "qdrant": {"url": qdrants[1], "api_key": {"env": "QDRANT_API_KEY"}},
                "files": {"endpoint_url": s3_url, "bucket": bucket, "prefix": "copies"},
                "api_key": {"env": "CLONE_PIPELINE_API_KEY"},
            },
        }
        variables = {
            "PRODUCTION_CATALOG_URL": to_read,
            "PRODUCTION_QDRANT_KEY": READING,
            "PRODUCTION_KEY": create_key(stores[0].catalog, ORGANIZATION, "read", _TIMES)[0],
            "CLONE_PIPELINE_HOME": str(folder / "home"),
            "DAGSTER_HOME": str(dagster_home),
            "CATALOG_URL": here,
            "QDRANT_URL": qdrants[1],
            "QDRANT_API_KEY": WRITING,
            "CLONE_PIPELINE_API_KEY": create_key(stores[1].catalog, ORGANIZATION, "admin", _TIMES)[
                0
            ],
            **local.s3_environment(s3_url),
        }
        yield World(
            folder, server, there, entries, variables, (stores[0], stores[1]), client, bucket
        )


@contextmanager
def _client(url: str) -> Iterator[Any]:
    client = local.s3_client(url)
    try:
        yield client
    finally:
        client.close()


def _empty(stores: Stores) -> None:
    """The Qdrant servers are the tests' own."""
    with stores.server(None) as server:
        assert server is not None
        for name in server.collections():
            server.delete(name)
