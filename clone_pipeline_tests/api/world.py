"""The app on a real socket, and what a test needs of its surroundings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from clone_pipeline.api.app import create_app
from clone_pipeline.api.runs import Runs
from clone_pipeline.api.service import Service
from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.ledger.clones import Clone
from clone_pipeline.core.principal import Role
from clone_pipeline.core.stores import Stores
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.serving import served

PROD, STAGING, HALF, ELSEWHERE = "prod", "staging", "half", "elsewhere"
_names = itertools.count(1)


@dataclass(frozen=True)
class World:
    """`member`, `admin` and `reader` are clients with a key of org_acme, `stranger` one of
    org_other."""

    home: Path
    stores: Stores
    app: FastAPI
    url: str
    client: httpx.Client
    keys: dict[str, str]

    def ask(
        self, method: str, path: str, who: str | None = "member", **more: Any
    ) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.keys.get(who, who)}"
        return self.client.request(method, path, headers=headers, **more)

    def clone(self, source: str, who: str = "member", **body: Any) -> httpx.Response:
        headers = body.pop("headers", {})
        return self.ask("POST", f"/v1/namespaces/{source}/clone", who, json=body, headers=headers)

    def ledger(self, name: str) -> Clone | None:
        """The newest clone of that name that the ledger knows."""
        query = select(schema.clones).where(schema.clones.c.namespace_name == name)
        with self.stores.catalog.read() as connection:
            rows = connection.execute(query.order_by(schema.clones.c.created_at.desc()))
            row = rows.mappings().first()
        return None if row is None else Clone.of(row)

    def reports(self, clone: Clone) -> set[str]:
        with self.stores.catalog.read() as connection:
            return set(ledger.read_reports(connection, clone.clone_id))


@contextmanager
def opened(
    home: Path, runs: Runs, requests_per_minute: int = 100_000, **more: Any
) -> Iterator[World]:
    """The app over the stores in a folder; `more` is for the stores."""
    with harness.open_stores(home, **more) as stores:
        keys = {
            who: key(stores, organization, role)
            for who, organization, role in (
                ("admin", "org_acme", "admin"),
                ("member", "org_acme", "member"),
                ("reader", "org_acme", "read"),
                ("stranger", "org_other", "admin"),
            )
        }
        app = create_app(Service(stores, runs), requests_per_minute)
        # Nothing is encrypted, and the lists of certificates take 20 ms to read.
        with served(app) as url, httpx.Client(base_url=url, timeout=60, verify=False) as client:
            yield World(home, stores, app, url, client, keys)


def key(stores: Stores, organization: str, role: Role, expires_in: timedelta | None = None) -> str:
    now = datetime.now().astimezone()
    expires_at = None if expires_in is None else now + expires_in
    return create_key(stores.catalog, organization, role, now, expires_at)[0]


def new_name() -> str:
    return f"copy_{next(_names)}"
