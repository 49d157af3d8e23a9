"""What the platform's services read and write too: organizations, namespaces, their resources."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from .columns import KEY, TIME, metadata

organizations = Table(
    "organizations",
    metadata,
    Column("organization_id", String(128), primary_key=True),
    # What payloads carry as `_internal.internal_id`; the organization's id where the platform
    # keeps no separate one.
    Column("internal_id", String(128), nullable=False),
    Column("created_at", TIME, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("organization_id", ForeignKey(organizations.c.organization_id), nullable=False),
    Column("role", String(16), nullable=False),  # admin | member | read
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
)

# One row is one *generation* of a namespace. `role`:
#   live      the one that its name and its id resolve to
#   next      being built to replace the live one; at most one for a name
#   previous  replaced; kept for rollback and for readers still on it
#   template  configuration without records, to make namespaces from (see `templates`)
namespaces = Table(
    "namespaces",
    metadata,
    Column("namespace_key", KEY, primary_key=True, autoincrement=True),
    Column("organization_id", ForeignKey(organizations.c.organization_id), nullable=False),
    Column("namespace_id", String(128), nullable=False),
    Column("namespace_name", String(64), nullable=False),
    Column("role", String(8), nullable=False, default="live"),
    Column("generation", Integer, nullable=False, default=1),
    Column("document", JSON, nullable=False),
    # The server that holds the Qdrant collection; NULL is the deployment's own QDRANT_URL (or the
    # embedded store). A loaded bundle keeps its `infrastructure.qdrant_url` in the document, but
    # its points are here.
    Column("qdrant_url", Text),
    # The Qdrant collection's configuration and payload schema as asked for, in the shape of a
    # bundle's qdrant.json. The embedded store forgets most of it; NULL: ask the server.
    Column("qdrant_config", JSON),
    Column("clone_status", String(16)),  # cloning | ready | failed; NULL: never cloned
    Column("clone_id", String(32)),  # the ledger's row for the clone that made this generation
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("expires_at", TIME),
    # Since when policies that refresh it are held, because it was rolled back; NULL: they go on.
    Column("held_at", TIME),
    # Of a previous one: the how-manieth it was to be replaced under its name. NULL: it never was.
    Column("turn", Integer),
    # When `load` made it out of a bundle; NULL: it did not.
    Column("loaded_at", TIME),
    # When it was made to stand for a Qdrant collection that is somebody else's; NULL: it does not.
    Column("adopted_at", TIME),
    # The Qdrant alias that stands for its collection as long as it is live; NULL: none does.
    Column("qdrant_alias", Text),
    Index(
        "uq_namespaces_live_name",
        "organization_id",
        "namespace_name",
        unique=True,
        sqlite_where=text("role = 'live'"),
        postgresql_where=text("role = 'live'"),
    ),
    Index(
        "uq_namespaces_live_id",
        "namespace_id",
        unique=True,
        sqlite_where=text("role = 'live'"),
        postgresql_where=text("role = 'live'"),
    ),
    Index(
        "uq_namespaces_next_name",
        "organization_id",
        "namespace_name",
        unique=True,
        sqlite_where=text("role = 'next'"),
        postgresql_where=text("role = 'next'"),
    ),
    UniqueConstraint("namespace_id", "generation"),
    Index(None, "clone_id", "role", "clone_status"),
)


def namespace_key(*, primary_key: bool = True) -> Column[int]:
    return Column(
        "namespace_key",
        KEY,
        ForeignKey(namespaces.c.namespace_key, ondelete="CASCADE"),
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
    )


def _record(*extra: Column[str]) -> list[Column[object]]:
    return [
        *extra,
        Column("document", JSON, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
    ]


buckets = Table(
    "buckets",
    metadata,
    namespace_key(),
    Column("bucket_id", String(128), primary_key=True),
    Column("bucket_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "bucket_name"),
)

objects = Table(
    "objects",
    metadata,
    namespace_key(),
    Column("object_id", String(255), primary_key=True),
    Column("bucket_id", String(128), nullable=False),
    *_record(),
    ForeignKeyConstraint(
        ["namespace_key", "bucket_id"],
        [buckets.c.namespace_key, buckets.c.bucket_id],
        ondelete="CASCADE",
    ),
    Index(None, "namespace_key", "bucket_id"),
)

collections = Table(
    "collections",
    metadata,
    namespace_key(),
    Column("collection_id", String(128), primary_key=True),
    Column("collection_name", String(100), nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "collection_name"),
)

retrievers = Table(
    "retrievers",
    metadata,
    namespace_key(),
    Column("retriever_id", String(128), primary_key=True),
    Column("retriever_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "retriever_name"),
)

taxonomies = Table(
    "taxonomies",
    metadata,
    namespace_key(),
    Column("taxonomy_id", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("taxonomy_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "taxonomy_name", "version"),
)
