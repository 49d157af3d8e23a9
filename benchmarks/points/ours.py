"""Our own side: the product's real steps against the real server, with a catalog in SQLite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from clone_pipeline.core import bundle
from clone_pipeline.core.catalog import namespaces as catalog
from clone_pipeline.core.catalog.schema import namespaces
from clone_pipeline.core.errors import InvalidRequest
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.plan import begin as beginning
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.core.report import STEPS, StepReport
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores
from clone_pipeline.demo.making import ids
from clone_pipeline.deployment import open_stores
from clone_pipeline.settings import load_settings
from clone_pipeline_tests.sources import Files, source, write_bundle

from .bare import scroll_all
from .datasets import COLLECTIONS
from .meter import Meter
from .methods import Job, NotAvailable
from .server import PREFIX

_RUN = "benchmark"
_NAME = "benchmark clone"
_COPY = STEPS.index("copy_points")

BEFORE, AFTER = STEPS[1:_COPY], STEPS[_COPY + 1 :]


@dataclass(frozen=True)
class Clone:
    """A clone that has begun: the plan stands in the ledger."""

    stores: Stores
    clone_id: str
    target: str
    lane: str

    def run(self, steps: tuple[str, ...]) -> dict[str, StepReport]:
        return {
            step: run_step(self.stores, self.clone_id, _RUN, step, process_goes_on=True)
            for step in steps
        }


def open_deployment(job: Job, catalog_url: str = "") -> Stores:
    """Stores as the environment of a deployment gives them, holding one namespace whose points are
    in the job's collection. Without a URL the catalog is SQLite."""
    home = job.home
    os.environ |= {
        "CLONE_PIPELINE_HOME": str(home / "home"),
        "CATALOG_URL": catalog_url,
        "QDRANT_URL": job.server.url,
    }
    (home / "home").mkdir()
    stores = open_stores(load_settings())
    placeholder = f"{PREFIX}placeholder"
    write_bundle(home / "bundle", _namespace(placeholder))
    with stores.vectors() as vectors:
        bundle.load(home / "bundle", stores.catalog, vectors, stores.clock())
        vectors.delete(placeholder)
    with stores.catalog.write() as connection:
        found = catalog.resolve(connection, None, ids.NAMESPACE)
        document = found.document | {"infrastructure": {"qdrant_collection": job.collection}}
        url = None if job.source == job.server else job.source.url
        connection.execute(
            update(namespaces)
            .where(namespaces.c.namespace_key == found.key)
            .values(document=document, qdrant_url=url)
        )
    return stores


def begin(stores: Stores, lane: str) -> Clone:
    """Plans and reserves. Raises NotAvailable."""
    request = parse_request(
        {
            "namespace_identifier": ids.NAMESPACE,
            "namespace_name": _NAME,
            "lane": lane,
            "preserve_resource_ids": lane == "native",
            "include_resources": {"collections": True, "retrievers": True, "taxonomies": True},
        }
    )
    try:
        begun = beginning.begin(stores, request, LOCAL_OPERATOR, _RUN)
    except InvalidRequest as error:
        raise NotAvailable(error.message) from error
    return Clone(stores, begun.clone_id, begun.qdrant_collection, lane)


def prove(clone: Clone, job: Job) -> dict[str, Any]:
    """Runs the steps after the copy: what `verify_clone` took, what it takes to scroll as much and
    do nothing else, and what the product says of the copy itself."""
    others = AFTER[: AFTER.index("verify_clone")]
    clone.run(others)
    meter = Meter()
    clone.run(("verify_clone",))
    proof = meter.read()
    target, source = (job.server, clone.target), (job.source, job.collection)
    native = clone.lane == "native"  # whose proof reads both sides
    scrolls = scroll_all([source, target] if native else [target])
    clone.run(AFTER[len(others) + 1 :])
    check_ready(clone)
    with clone.stores.catalog.read() as connection:
        report = ledger.read_reports(connection, clone.clone_id)["copy_points"]
    return {
        "proof": proof,
        "scrolls": scrolls,
        "warnings": report.warnings,
        "details": report.details,
    }


def check_ready(clone: Clone) -> None:
    with clone.stores.catalog.read() as connection:
        status = ledger.get(connection, clone.clone_id).status
    if status != "ready":
        raise SystemExit(f"The clone is {status}, not ready.")


def _namespace(collection: str) -> Files:
    """A bucket, its objects and the collections that the points belong to; no points."""
    return source(
        {
            "organization_id": ids.ORGANIZATION,
            "namespace_id": ids.NAMESPACE,
            "namespace_name": "benchmark",
        },
        store=collection,
        buckets=[{"bucket_id": ids.GUIDES, "bucket_name": "files"}],
        objects=[
            {"object_id": f"obj_{number:012}", "bucket_id": ids.GUIDES} for number in range(1000)
        ],
        collections=[
            {
                "collection_id": collection_id,
                "collection_name": f"documents {number}",
                "source": {"type": "bucket", "bucket_ids": [ids.GUIDES]},
            }
            for number, collection_id in enumerate(COLLECTIONS)
        ],
    )
