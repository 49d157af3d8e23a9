"""A whole deployment: a PostgreSQL, a Qdrant and an S3, each a server of its own. What others know
of it can only be read, and all that they ask of its Qdrant and its S3 is written down."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.catalog.schema import metadata
from clone_pipeline.core.stores import Stores, VectorAddress

from .. import harness
from .. import servers as local
from ..conftest import PostgresServer, with_template
from ..core.archives.recording import Recorder, recorded
from ..faults.proxy import Proxy, recording
from ..faults.test_source_server import READS, kinds
from ..sources import ORGANIZATION
from .servers import READING, WRITING, grant, qdrant_with_keys
from .two import write_environments

_TIMES = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
_READER, _PASSWORD = "reader", "only-reads"


@dataclass(frozen=True)
class Deployment:
    """`stores` are opened with the keys to everything. `qdrant` and `s3` stand before its servers,
    for those who know it as an environment."""

    name: str
    folder: Path
    postgres: PostgresServer
    stores: Stores
    qdrant: Proxy
    s3: Recorder
    client: Any
    bucket: str
    variables: dict[str, str]

    @property
    def entry(self) -> dict[str, Any]:
        """What stands in the environments file of another one."""
        return {
            "access": "read",
            "catalog_url": {"env": self._secret("CATALOG")},
            "qdrant": {
                "url": self.qdrant.url,
                "read_only_api_key": {"env": self._secret("QDRANT")},
            },
            "files": {"endpoint_url": self.s3.url, "region": "us-east-1"},
            "api_key": {"env": self._secret("KEY")},
        }

    @property
    def secrets(self) -> dict[str, str]:
        """What another one has to have in its variables for that."""
        reader = self.postgres.admin.set(
            drivername="postgresql", database=self.name, username=_READER, password=_PASSWORD
        )
        return {
            self._secret("CATALOG"): reader.render_as_string(hide_password=False),
            self._secret("QDRANT"): READING,
            self._secret("KEY"): create_key(self.stores.catalog, ORGANIZATION, "read", _TIMES)[0],
        }

    def _secret(self, what: str) -> str:
        return f"{self.name}_{what}".upper()

    @contextmanager
    def at_work(self, other: Deployment) -> Iterator[None]:
        """This process is one of this deployment, which knows the other one."""
        file = write_environments(self.folder, **{other.name: other.entry})
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.variables, **other.secrets}.items():
                patch.setenv(name, value)
            patch.setenv("CLONE_ENVIRONMENTS", str(file))
            yield

    def rows(self) -> list[Any]:
        """All there are in the catalog."""
        with self.stores.catalog.read() as connection:
            tables = metadata.sorted_tables
            return [sorted(map(repr, connection.execute(select(table)))) for table in tables]

    def files(self) -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        named = ((one["Key"], {"Bucket": self.bucket, "Key": one["Key"]}) for one in found)
        return {key: self.client.get_object(**place)["Body"].read() for key, place in named}

    def assert_only_read(self) -> None:
        """By those who know it as an environment, who have asked for something in each store."""
        asked = kinds(self.qdrant.requests)
        assert asked <= READS | {("GET", "/collections/{}/exists"), ("GET", "/cluster")}
        assert ("gRPC", "/qdrant.Points/Scroll") in asked
        assert self.s3.written() == set()
        assert self.s3.requests

    def lose(self) -> None:
        """Everything that was in it; the organizations are there again."""
        with self.stores.catalog.write() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name not in ("organizations", "api_keys"):
                    connection.execute(delete(table))
        with self.stores.server(None) as server:
            assert server is not None
            for name in server.collections():
                server.delete(name)
        for key in self.files():
            self.client.delete_object(Bucket=self.bucket, Key=key)


@contextmanager
def deployment(name: str, folder: Path, dagster_home: Path) -> Iterator[Deployment]:
    folder.mkdir()
    (folder / "policies.yaml").touch()
    with ExitStack() as opened:
        postgres = opened.enter_context(with_template(opened.enter_context(local.postgres())))
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres.template}")
        postgres.execute(f"CREATE ROLE {_READER} LOGIN PASSWORD '{_PASSWORD}'")
        grant(postgres.address(name), _READER)
        qdrant = opened.enter_context(qdrant_with_keys())
        s3 = opened.enter_context(local.s3())
        client, bucket = local.s3_client(s3), f"{name}-{uuid.uuid4().hex}"
        opened.callback(client.close)
        client.create_bucket(Bucket=bucket)
        address = VectorAddress(folder, url=qdrant, api_key=WRITING)
        stores = opened.enter_context(
            harness.open_stores(folder, postgres.address(name), vector_address=address)
        )
        variables = {
            **local.s3_environment(s3),
            "CLONE_PIPELINE_HOME": str(folder),
            "CLONE_PIPELINE_LOG_LEVEL": "CRITICAL",
            "DAGSTER_HOME": str(dagster_home),
            "CATALOG_URL": postgres.address(name),
            "QDRANT_URL": qdrant,
            "QDRANT_API_KEY": WRITING,
            "CLONE_FILES_BUCKET": bucket,
            "CLONE_FILES_PREFIX": "copies",
            "CLONE_POLICIES": str(folder / "policies.yaml"),
        }
        yield Deployment(
            name,
            folder,
            postgres,
            stores,
            opened.enter_context(recording(qdrant)),
            opened.enter_context(recorded(s3)),
            client,
            bucket,
            variables,
        )
