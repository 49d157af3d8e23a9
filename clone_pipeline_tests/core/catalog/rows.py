"""Rows with honest defaults: a test names only what it is about."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, insert

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.ledger.clones import purpose_for

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
# Of a backup.
REQUEST = {"if_exists": "fail", "preserve_resource_ids": True, "verify": "full"}
_TIMES = {"created_at": NOW, "updated_at": NOW}


def add_organization(connection: Connection, organization_id: str = "org_a") -> str:
    connection.execute(
        insert(schema.organizations).values(
            organization_id=organization_id, internal_id=organization_id, created_at=NOW
        )
    )
    return organization_id


def add_namespace(connection: Connection, **values: Any) -> int:
    row = {
        "organization_id": "org_a",
        "namespace_id": "ns_one",
        "namespace_name": "one",
        "document": {},
        **_TIMES,
        **values,
    }
    key = schema.namespaces.c.namespace_key
    return int(
        connection.execute(insert(schema.namespaces).values(row).returning(key)).scalar_one()
    )


def add_bucket(connection: Connection, namespace_key: int, **values: Any) -> None:
    row = {"bucket_id": "bkt_a", "bucket_name": "a", "document": {}, **_TIMES, **values}
    connection.execute(insert(schema.buckets).values(namespace_key=namespace_key, **row))


def add_object(connection: Connection, namespace_key: int, **values: Any) -> None:
    row = {"object_id": "obj_a", "bucket_id": "bkt_a", "document": {}, **_TIMES, **values}
    connection.execute(insert(schema.objects).values(namespace_key=namespace_key, **row))


def add_clone(connection: Connection, clone_id: str, **values: Any) -> None:
    row = {
        "clone_id": clone_id,
        "organization_id": "org_a",
        "namespace_name": "any",
        "namespace_key": 0,
        "source_namespace_key": 0,
        "source_namespace_id": "ns_source",
        "request": REQUEST,
        "principal": {},
        "plan": {"lane": "stream"},
        "qdrant_collection": clone_id,
        "phase": "published",
        "status": "ready",
        "request_identity": "",
        "parked": [],
        "created_at": NOW,
        "updated_at": NOW,
        **values,
    }
    row.setdefault("purpose", purpose_for(row.get("policy"), row["request"]))
    connection.execute(insert(schema.clones).values(row))


def add_archive(connection: Connection, name: str, **values: Any) -> None:
    row = {
        "organization_id": "org_a",
        "source_namespace_id": "ns_source",
        "name": name,
        "address": f"s3://bucket/{name}",
        "status": "ready",
        "run_id": "run",
        "proven": True,
        **_TIMES,
        **values,
    }
    connection.execute(insert(schema.archives).values(row))
