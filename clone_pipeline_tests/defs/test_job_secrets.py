"""No secret is stored with a run."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._serdes import serialize_value
from sqlalchemy import select, text, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import create_key
from clone_pipeline_tests import harness
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.cli.conftest import dagster_home, home, made_home
from clone_pipeline_tests.cli.prod import SECRET, WEBHOOK_SECRET

from .launching import (
    EVERYTHING,
    breaks,
    instance,
    launch,
    quiet,
    request,
)

__all__ = ["breaks", "dagster_home", "home", "instance", "made_home", "quiet"]  # fixtures


def everything_stored(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    events = [serialize_value(record) for record in instance.all_logs(run_id)]
    return "\n".join([*events, serialize_value(run), json.dumps(run.tags)])


@pytest.mark.parametrize("fails", [False, True])
def test_no_secret_is_stored_with_a_run(
    fails: bool, home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [SECRET, WEBHOOK_SECRET, "env-qdrant-key-91c2"]
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        secrets.append(create_key(catalog, "org_acme", "admin", datetime.now(timezone.utc))[0])
        _put_a_key_into_the_source(catalog)
        if fails:
            with catalog.write() as connection:
                connection.execute(
                    text(
                        "CREATE TRIGGER broken BEFORE INSERT ON collections "
                        "BEGIN SELECT RAISE(ABORT, 'broken'); END"
                    )
                )
    finally:
        catalog.close()
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", secrets[-1])
    monkeypatch.setenv("QDRANT_API_KEY", "env-qdrant-key-91c2")
    result = launch(instance, request(include_resources=EVERYTHING))
    assert result.success is not fails
    stored = everything_stored(instance, result.run_id)
    assert "clone_collections" in stored
    for secret in secrets:
        assert secret not in stored
    # A statement that fails is stored with its cause, but not with the documents in it.
    assert ("INSERT INTO collections" in stored) is fails
    assert "[parameters: (" not in stored


def _put_a_key_into_the_source(catalog: Catalog) -> None:
    with catalog.write() as connection:
        prod = schema.namespaces.c.namespace_name == "prod"
        document = connection.execute(select(schema.namespaces.c.document).where(prod)).scalar_one()
        document["infrastructure"]["qdrant_api_key"] = SECRET
        connection.execute(update(schema.namespaces).where(prod).values(document=document))


def test_no_secret_of_another_organization_is_stored_with_a_run(
    home: Path,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLONE_PIPELINE_LOG_LEVEL", "DEBUG")
    files, _ = planted_files(1_000)
    files["namespace.json"] |= {"namespace_id": "ns_planted001", "namespace_name": "planted"}
    with harness.holding(home, files):
        pass
    asked = {"namespace_identifier": "planted", "namespace_name": "new"}
    asked |= {"include_resources": EVERYTHING, "organization_id": "org_other"}
    result = launch(instance, asked)
    assert result.success
    stored = everything_stored(instance, result.run_id)
    assert "do not go to another organization or environment" in stored
    assert "CANARY" not in stored + "".join(capfd.readouterr())
    for path in Path(instance.root_directory).rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes(), path
