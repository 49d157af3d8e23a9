"""Throwaway brokers on loopback: Debian's Redis and RabbitMQ."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clone_pipeline_tests.servers import NotInstalled, _free_ports, _wait_for

_REDIS, _RABBIT = "redis-server", "rabbitmq-server"
# Debian's `rabbitmq-server` is for its own user and its own port; what it wraps is for anybody.
_RABBIT_HOMES = Path("/usr/lib/rabbitmq/lib")


@dataclass
class Broker:
    """`url` is for Celery. It can be stopped and started again, with what it holds."""

    url: str
    port: int
    command: list[str]
    folder: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None)
    # What ends the process that it leaves behind.
    last: tuple[str, ...] = ()

    def start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _wait_for(self._answers, self.process, log)

    def _answers(self) -> bool:
        from kombu import Connection

        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:  # whatever of a server that is not up yet
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        if self.last:
            subprocess.run(
                self.last, env={**os.environ, **self.env}, capture_output=True, check=True
            )


@contextmanager
def broker(kind: str, folder: Path) -> Iterator[Broker]:
    """`redis` or `rabbitmq`. Raises NotInstalled."""
    folder.mkdir(parents=True)
    made = {"redis": _redis, "rabbitmq": _rabbit}[kind](folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _redis(folder: Path) -> Broker:
    binary = shutil.which(_REDIS)
    if binary is None:
        raise NotInstalled("no Redis: install Debian's package redis-server")
    (port,) = _free_ports(1)
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    kept = ["--appendonly", "yes", "--save", ""]  # as compose.yaml has it
    url = f"redis://127.0.0.1:{port}/0"
    return Broker(url, port, [binary, *options, *kept], folder, {})


def _rabbit(folder: Path) -> Broker:
    found = sorted(_RABBIT_HOMES.glob(f"rabbitmq_server-*/sbin/{_RABBIT}"))
    if not found:
        raise NotInstalled("no RabbitMQ: install Debian's package rabbitmq-server")
    port, distribution, mapper = _free_ports(3)
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    (folder / "plugins").write_text("[].\n")
    env = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_START_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    return Broker(url, port, [str(found[-1])], folder, env, last=("epmd", "-kill"))
