"""All that two deployments on servers of their own do for each other, one after the other: staging
follows production, keeps a backup of it, and gives it back when it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.keys import create_key

from .. import harness, qdrant_server
from ..cli.conftest import dagster_home, quick_dagster
from ..cli.running import run
from ..core.files.world import blob, with_files
from ..defs.watching import UNCHANGED, Watching
from ..policies.files import backup, written
from ..sources import ID, ORGANIZATION
from .deployments import Deployment, deployment
from .two import PRODUCTION, STAGING

__all__ = ["dagster_home", "quick_dagster"]  # fixtures

pytestmark = [pytest.mark.outside, pytest.mark.long]

CONTENTS = {f"videos/{number}": b"film %d" % number * 1000 for number in range(3)}
OPTIONS = {
    "source_environment": PRODUCTION,
    "files": "copy",
    "include_resources": {"taxonomies": True},
}


@pytest.fixture
def both(tmp_path: Path, dagster_home: Path) -> Iterator[tuple[Deployment, Deployment]]:
    """Production, with one namespace whose files are in its S3, and staging, which is empty."""
    if not qdrant_server.is_installed():
        pytest.skip("no Qdrant server: put `qdrant` on the PATH")
    with ExitStack() as opened:
        production, staging = (
            opened.enter_context(deployment(name, tmp_path / name, dagster_home))
            for name in (PRODUCTION, STAGING)
        )
        urls = {key: f"s3://{production.bucket}/{key}" for key in CONTENTS}
        for key, content in CONTENTS.items():
            production.client.put_object(Bucket=production.bucket, Key=key, Body=content)
        blobs = [blob(urls[key], CONTENTS[key]) for key in CONTENTS]
        payloads = [{"source_blobs": [{"url": url}]} for url in urls.values()]
        harness.load(production.stores, with_files(blobs, payloads))
        harness.same_organizations(production.stores, staging.stores, "{}")
        for one in (production, staging):
            key = create_key(one.stores.catalog, ORGANIZATION, "admin", one.stores.clock())[0]
            one.variables["CLONE_PIPELINE_API_KEY"] = key
        yield production, staging


def said(*arguments: str) -> Any:
    answer = run(*arguments, "--json")
    assert answer.code == 0, answer.stderr + answer.stdout
    return answer.json


def assert_proven(source: str, clone: str) -> None:
    """The clone is what was published, and equals its source as that is now."""
    assert said("verify", clone)["unchanged_since_publish"]
    verdict = said("verify", source, clone)
    assert verdict["equal_to_source"], verdict["sentence"]
    assert verdict["compared"]["points"] == len(CONTENTS)
    assert verdict["compared"]["files"] == len(CONTENTS)


def change(production: Deployment) -> None:
    """A bucket's description, and a point."""
    with production.stores.catalog.write() as connection:
        document = connection.execute(select(schema.buckets.c.document)).scalar_one()
        values = {
            "document": {**document, "description": "new"},
            "updated_at": production.stores.clock(),
        }
        connection.execute(update(schema.buckets).values(values))
    with production.stores.vectors() as vectors:
        [first, *_] = vectors.scroll(ID, 1).points
        vectors.upsert(ID, [first._replace(payload={**first.payload, "new": 1})])


def test_staging_follows_production_keeps_its_backup_and_gives_it_back(
    both: tuple[Deployment, Deployment],
) -> None:
    production, staging = both
    with staging.at_work(production):
        as_it_was = production.rows(), production.files()
        said("clone", "production:prod", "staging", "--files", "copy", "--taxonomies")
        assert_proven("production:prod", "staging")
        assert sorted(staging.files().values()) == sorted(CONTENTS.values())
        assert (production.rows(), production.files()) == as_it_was

        # Refreshed by the sensor, which looks at production.
        instance = dg.DagsterInstance.get()
        watching = Watching(staging.folder, instance, options=OPTIONS)
        assert watching.skipped() == UNCHANGED
        change(production)
        as_it_is = production.rows(), production.files()
        assert not said("verify", "production:prod", "staging")["equal_to_source"]
        assert watching.run(watching.asks_at_last()).success
        assert_proven("production:prod", "staging")
        assert watching.skipped() == UNCHANGED

        # Back to what it was before, which is whole, and not what production is now.
        said("rollback", "staging", "--yes")
        assert said("verify", "staging")["unchanged_since_publish"]
        places = {(one["kind"], one["field"]) for one in differences("production:prod", "staging")}
        assert places == {("bucket", "description"), ("point", "payload.new")}

        # Staging's deployment is production's off-site.
        written(staging.folder, backups=[backup(options=OPTIONS)])
        said("policies", "run", "nightly")
        [kept] = {one["namespace_name"] for one in said("list")} - {"staging"}
        assert_proven("production:prod", kept)
        assert (production.rows(), production.files()) == as_it_is
    production.assert_only_read()

    production.lose()
    with production.at_work(staging):
        said("restore", f"staging:{kept}", "prod", "--files", "copy")
        assert_proven(f"staging:{kept}", "prod")
        assert said("show", "prod")["namespace_id"] == ID
        assert sorted(production.files().values()) == sorted(CONTENTS.values())
    staging.assert_only_read()


def differences(first: str, second: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = said("diff", first, second)["differences"]
    return found
