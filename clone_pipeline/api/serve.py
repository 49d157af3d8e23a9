"""Serving: the API, and the Dagster that it needs where the deployment names none."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from clone_pipeline.api.app import create_app
from clone_pipeline.api.connections import BoundedProtocol
from clone_pipeline.api.runs import Runs
from clone_pipeline.api.service import Service
from clone_pipeline.api.supervise import supervised
from clone_pipeline.api.turns import switch_often
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.deployment import open_stores
from clone_pipeline.settings import Settings

# How long a request waits for the embedded Qdrant, which a run may have for minutes.
_PATIENCE_SECONDS = 5.0
_GRACE_SECONDS = 10


def serve(
    settings: Settings, host: str, port: int, ui_port: int, told: Callable[[str, str], None]
) -> None:
    """Serves until SIGINT or SIGTERM. `told` gets the API's URL and that of Dagster's UI.

    Raises InvalidRequest where an address cannot be used.
    """
    _log_to_stderr()
    switch_often()
    with _listening(host, port) as listener, _stopped_by_signal() as stop:
        stores = open_stores(settings, wait_seconds=_PATIENCE_SECONDS)
        try:
            with _dagster(settings, ui_port) as url:
                app = create_app(
                    Service(stores, Runs(url), settings.policies), settings.api_requests_per_minute
                )
                config = uvicorn.Config(
                    app,
                    http=BoundedProtocol,
                    log_config=None,
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                )
                # Whoever connects from here on waits until the app is up.
                listener.listen(config.backlog)
                told(f"http://{host}:{listener.getsockname()[1]}", url)
                if not stop.is_set():
                    uvicorn.Server(config).run(sockets=[listener])
        finally:
            stores.close()


@contextmanager
def _dagster(settings: Settings, ui_port: int) -> Iterator[str]:
    if settings.dagster_webserver_url is not None:
        yield settings.dagster_webserver_url.rstrip("/")
        return
    with supervised(settings, ui_port) as url:
        yield url


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidRequest(f"{host}:{port} cannot be listened on: {reason}.") from None
        yield listener


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """From here on a signal is no reason to die at once: what was started is stopped in order."""
    stop = threading.Event()
    before = {
        one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # These would log every request to Dagster, with all that is in it.
    for noisy in ("alembic", "dagster", "gql", "httpx", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
