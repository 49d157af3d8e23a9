"""The catalog's tables: the platform's own metadata, and our ledger beside it.

The platform's services read and write the first group too; `docs/catalog.md` is that contract.

Resources are raw JSON documents. Identity (ids, the version of a taxonomy) and the name stand in
columns **only**; `document` holds every other field as it was written. So a million objects get a
new bucket id in one `INSERT ... SELECT`, without a document being parsed. `assemble` and `split`
in `documents.py` go from one form to the other.

`document` is JSON kept as text (SQLite TEXT, PostgreSQL `json`, never `jsonb`): key order, numbers
and escapes stay as they were written, so digests over the text are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from .reading import reading_time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only autoincrements INTEGER primary keys.
_Key = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite, which keeps no zone, gets and gives UTC too.

    What is no time, which SQLite keeps like anything else, is read as Unreadable.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # PostgreSQL gives times in the session's zone, SQLite without one.
        if value.tzinfo is None:
            return value.replace(tzinfo=timezone.utc)
        return value.astimezone(timezone.utc)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return reading_time(super().result_processor(dialect, coltype))


_Time = UtcTime()

organizations = Table(
    "organizations",
    metadata,
    Column("organization_id", String(128), primary_key=True),
    # What payloads carry as `_internal.internal_id`; the organization's id where the platform
    # keeps no separate one.
    Column("internal_id", String(128), nullable=False),
    Column("created_at", _Time, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("organization_id", ForeignKey(organizations.c.organization_id), nullable=False),
    Column("role", String(16), nullable=False),  # admin | member | read
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", _Time, nullable=False),
    Column("expires_at", _Time),
    Column("revoked_at", _Time),
)

# One row is one *generation* of a namespace. `role`:
#   live      the one that its name and its id resolve to
#   next      being built to replace the live one; at most one for a name
#   previous  replaced; kept for rollback and for readers still on it
#   template  configuration without records, to make namespaces from (see `templates`)
namespaces = Table(
    "namespaces",
    metadata,
    Column("namespace_key", _Key, primary_key=True, autoincrement=True),
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
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Column("expires_at", _Time),
    # Since when policies that refresh it are held, because it was rolled back; NULL: they go on.
    Column("held_at", _Time),
    # Of a previous one: the how-manieth it was to be replaced under its name. NULL: it never was.
    Column("turn", Integer),
    # When `load` made it out of a bundle; NULL: it did not.
    Column("loaded_at", _Time),
    # When it was made to stand for a Qdrant collection that is somebody else's; NULL: it does not.
    Column("adopted_at", _Time),
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


def _namespace_key(*, primary_key: bool = True) -> Column[int]:
    return Column(
        "namespace_key",
        _Key,
        ForeignKey(namespaces.c.namespace_key, ondelete="CASCADE"),
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
    )


def _record(*extra: Column[str]) -> list[Column[object]]:
    return [
        *extra,
        Column("document", JSON, nullable=False),
        Column("created_at", _Time, nullable=False),
        Column("updated_at", _Time, nullable=False),
    ]


buckets = Table(
    "buckets",
    metadata,
    _namespace_key(),
    Column("bucket_id", String(128), primary_key=True),
    Column("bucket_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "bucket_name"),
)

objects = Table(
    "objects",
    metadata,
    _namespace_key(),
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
    _namespace_key(),
    Column("collection_id", String(128), primary_key=True),
    Column("collection_name", String(100), nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "collection_name"),
)

retrievers = Table(
    "retrievers",
    metadata,
    _namespace_key(),
    Column("retriever_id", String(128), primary_key=True),
    Column("retriever_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "retriever_name"),
)

taxonomies = Table(
    "taxonomies",
    metadata,
    _namespace_key(),
    Column("taxonomy_id", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("taxonomy_name", Text, nullable=False),
    *_record(),
    UniqueConstraint("namespace_key", "taxonomy_name", "version"),
)

# ---- the ledger ------------------------------------------------------------------------------

clones = Table(
    "clones",
    metadata,
    Column("clone_id", String(32), primary_key=True),
    Column("organization_id", String(128), nullable=False),  # of the target
    Column("namespace_name", String(64), nullable=False),
    Column("namespace_key", _Key, nullable=False),  # the generation that is being made
    Column("source_namespace_key", _Key, nullable=False),  # in the catalog of its environment
    Column("source_environment", String(64)),  # NULL: this one
    Column("source_namespace_id", String(128), nullable=False),
    Column("request", JSON, nullable=False),
    Column("principal", JSON, nullable=False),
    Column("policy", Text),  # the policy that asked for it; NULL: none did
    Column("purpose", String(16)),  # what the policy has it for: backup | refresh
    Column("plan", JSON, nullable=False),
    Column("qdrant_collection", Text, nullable=False),  # recorded before it is created
    Column("qdrant_created", Boolean, nullable=False, default=False),
    Column("phase", String(16), nullable=False),  # queued | copying | verifying | published
    Column("status", String(16), nullable=False),  # cloning | ready | failed | discarded
    Column("error", Text),
    Column("run_id", String(64)),
    Column("request_identity", String(32), nullable=False),
    # The lease. `token` goes up with each change of holder; a writer with an older one stops.
    Column("token", Integer, nullable=False, default=0),
    Column("holder_host", Text),
    Column("holder_pid", Integer),
    Column("holder_started", Float),  # the process's start time, against reused process ids
    Column("heartbeat_at", _Time),
    # A heartbeat that was ahead of a reader's clock, and when that reader first saw it.
    Column("seen_heartbeat_at", _Time),
    Column("seen_at", _Time),
    # Set while the clone waits for the run that it was reserved for.
    Column("reserved_at", _Time),
    Column("parked", JSON, nullable=False),
    Column("seal", JSON),  # digests of what was published
    Column("restore_test", JSON),  # what the last one said, of a backup
    Column("tested_at", _Time),  # when that was
    Column("response", JSON),  # the CloneNamespaceResponse
    # How many it was published with: an empty backup takes no other one's place.
    Column("points", BigInteger),
    Column("objects", BigInteger),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Column("finished_at", _Time),
    # How many points the proof has looked at so far, while it is at work; NULL: none yet.
    Column("points_proven", BigInteger),
    # How far the copying of files is: `total`, `done`, `bytes`; NULL: it has not begun.
    Column("files", JSON),
    # Whose copies of files this clone refers to, because it shares those of its source: the clone
    # that owns them. NULL: nobody's.
    Column("files_of", String(32)),
    Index(None, "organization_id", "namespace_name"),
    Index(None, "namespace_key"),
    # Rows are long, because plans are: what looks for a few of many must not read them.
    Index(None, "status"),
    Index(None, "organization_id", "policy", "phase", "created_at"),
    Index(None, "files_of"),
    Index(None, "organization_id", "policy", "tested_at", "clone_id"),
)


def _clone_id() -> Column[str]:
    return Column("clone_id", ForeignKey(clones.c.clone_id, ondelete="CASCADE"), primary_key=True)


# What a clone writes: the source's small resources as the plan read them, rewritten, with old and
# new id. It is the id map, the frozen source, and what verify_clone compares with.
clone_resources = Table(
    "clone_resources",
    metadata,
    _clone_id(),
    Column("kind", String(16), primary_key=True),  # `namespace`, or one of KINDS
    Column("source_id", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),  # 0 where there are none
    Column("target_id", String(128), nullable=False),
    Column("name", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
)

clone_steps = Table(
    "clone_steps",
    metadata,
    _clone_id(),
    Column("step", String(32), primary_key=True),  # the op's name
    Column("report", JSON, nullable=False),
    Column("updated_at", _Time, nullable=False),
)

# Every run that has had a clone: the same clone may go on under another one.
clone_runs = Table(
    "clone_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("clone_id", ForeignKey(clones.c.clone_id, ondelete="CASCADE"), nullable=False),
    Column("created_at", _Time, nullable=False),
    Index(None, "clone_id"),
)

clone_slices = Table(
    "clone_slices",
    metadata,
    _clone_id(),
    Column("slice", Integer, primary_key=True, autoincrement=False),
    Column("bounds", JSON, nullable=False),  # what part of the id space it is
    Column("cursor", JSON),  # the last id that is durable in the target
    Column("points", BigInteger, nullable=False, default=0),
    Column("progress", JSON, nullable=False),  # digest, bytes, reference counts so far
    Column("done", Boolean, nullable=False, default=False),
)

# The files that a clone copies, to own them: all that its objects and payloads refer to. What is
# removed with the clone are these copies, and no other file.
clone_files = Table(
    "clone_files",
    metadata,
    _clone_id(),
    Column("file_id", String(32), primary_key=True),  # a hash of `source`
    Column("source", Text, nullable=False),  # its location
    Column("key", Text, nullable=False),  # of the copy, in the bucket that the plan names
    Column("sha256", String(64)),  # as an object says it, hexadecimal
    Column("state", String(16), nullable=False),  # pending | copied | missing | refused
    Column("size", BigInteger),
    Column("source_etag", Text),  # of what was copied
    Column("etag", Text),  # of the copy, when it was written
    Column("proof", String(16)),  # what proved it: checksum | etag | size; NULL: nothing yet
    Column("error", Text),  # why it was refused
    Index(None, "clone_id", "state", "file_id"),
)

# A bundle that is being loaded: its Qdrant collection is named here before it is made, so that
# what a killed load leaves behind is found and removed.
loads = Table(
    "loads",
    metadata,
    Column("qdrant_collection", String(255), primary_key=True),
    Column("namespace_id", String(128), nullable=False),
    Column("holder_host", Text, nullable=False),
    Column("holder_pid", Integer, nullable=False),
    Column("holder_started", Float, nullable=False),
    Column("heartbeat_at", _Time, nullable=False),
    Column("seen_heartbeat_at", _Time),  # as in `clones`
    Column("seen_at", _Time),
)

# Backups as archives, outside of our stores; `archive_key` is the order in which they were begun.
archives = Table(
    "archives",
    metadata,
    Column("archive_key", _Key, primary_key=True),
    Column("organization_id", String(128), nullable=False),  # of the source
    Column("source_namespace_id", String(128), nullable=False),
    Column("name", String(64), nullable=False),
    Column("address", Text, nullable=False),
    Column("policy", Text),  # the policy that asked for it; NULL: none did
    Column("status", String(16), nullable=False),  # writing | ready | failed | removing | removed
    Column("error", Text),
    Column("run_id", String(64), nullable=False),
    Column("proven", Boolean, nullable=False),  # read back, and it holds what its seal says
    Column("consistent", Boolean),  # whether nothing was written to the points meanwhile
    Column("manifest", String(64)),  # its SHA-256
    Column("contents", JSON),  # its seal, and how many parts, secrets and cleared values it has
    Column("points", BigInteger),
    Column("objects", BigInteger),
    Column("bytes", BigInteger),
    Column("seconds", Float),
    Column("restore_test", JSON),  # what the last one said
    Column("tested_at", _Time),  # when that was
    Column("scratch", String(64)),  # the namespace that a restore test makes of it, while it does
    Column("tester", JSON),  # the run and the process of that test; its heartbeat is `updated_at`
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Column("finished_at", _Time),
    UniqueConstraint("address"),
    # What is counted at each scrape, out of the index alone.
    Index(None, "organization_id", "policy", "status", "tested_at", "finished_at"),
    Index(None, "run_id"),
)

# ---- what the HTTP API keeps ------------------------------------------------------------------

# A template's configuration is a row of `namespaces` with the role `template`, and what hangs on
# it: buckets, collections, retrievers and taxonomies, without objects and points.
templates = Table(
    "templates",
    metadata,
    Column("template_id", String(128), primary_key=True),
    Column("organization_id", ForeignKey(organizations.c.organization_id), nullable=False),
    _namespace_key(primary_key=False),
    Column("template_name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("category", Text),
    Column("tags", JSON, nullable=False),
    Column("source_namespace_id", String(128), nullable=False),
    Column("created_by", String(32)),  # the key's id
    Column("created_at", _Time, nullable=False),
    Index(None, "organization_id"),
)

# The answers to requests that had an Idempotency-Key. No answer: the request is being answered.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("answer", JSON),
    Column("created_at", _Time, nullable=False),
    Index(None, "created_at"),
)
