from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import datetime, timezone

import dagster as dg
import pytest

from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline_tests import harness, servers
from clone_pipeline_tests.conftest import PostgresServer
from clone_pipeline_tests.core.bundle.samples import sample
from clone_pipeline_tests.workers.brokers import Broker, broker
from clone_pipeline_tests.workers.cluster import Cluster, write_instance

POINTS = 40


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def messages(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The test runs once on each broker."""
    if importlib.util.find_spec("dagster_celery") is None:
        pytest.skip("the extra `celery` is not installed")
    try:
        with broker(request.param, tmp_path_factory.mktemp("broker") / request.param) as made:
            yield made
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def databases(messages: Broker, postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    """Of Dagster's record of runs, and of the catalog."""
    names = [f"{kind}_{messages.port}" for kind in ("dagster", "catalog")]
    for name in names:
        postgres_server.execute(f"CREATE DATABASE {name}")
    try:
        yield postgres_server.address(names[0]), postgres_server.address(names[1])
    finally:
        for name in names:
            postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def cluster(
    messages: Broker, databases: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Stores with a source of some points in them, and an instance; no worker yet."""
    folder = tmp_path_factory.mktemp("cluster")
    storage, catalog = databases
    variables = {
        "CELERY_BROKER_URL": messages.url,
        "DAGSTER_STORAGE_URL": storage.replace("postgresql", "postgresql+psycopg2", 1),
        "CATALOG_URL": catalog,
        # Qdrant is the one place that has to be shared: here the embedded one, which lets one in.
        "CLONE_PIPELINE_HOME": str(folder / "home"),
    }
    files = sample()
    files["points.jsonl"] = [
        {"id": n, "vector": {"text": [n, 1.0, 2.0]}, "payload": {"collection_id": "col_1"}}
        for n in range(POINTS)
    ]
    write_instance(folder / "daemon")
    with (
        pytest.MonkeyPatch.context() as patched,
        harness.holding(folder / "home", files, catalog_url=catalog) as stores,
    ):
        organization = str(files["namespace.json"]["organization_id"])
        key, _ = create_key(stores.catalog, organization, "admin", datetime.now(timezone.utc))
        for name, value in {**variables, "CLONE_PIPELINE_API_KEY": key}.items():
            patched.setenv(name, value)
        with dg.DagsterInstance.from_config(str(folder / "daemon")) as instance:
            made = Cluster(folder, instance, stores, {**variables, "CLONE_PIPELINE_API_KEY": key})
            try:
                yield made
            finally:
                made.stop()
