"""The ledger: what clones, loads and archives have done, and how far they are."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from .columns import KEY, TIME, metadata

clones = Table(
    "clones",
    metadata,
    Column("clone_id", String(32), primary_key=True),
    Column("organization_id", String(128), nullable=False),  # of the target
    Column("namespace_name", String(64), nullable=False),
    Column("namespace_key", KEY, nullable=False),  # the generation that is being made
    Column("source_namespace_key", KEY, nullable=False),  # in the catalog of its environment
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
    Column("heartbeat_at", TIME),
    # A heartbeat that was ahead of a reader's clock, and when that reader first saw it.
    Column("seen_heartbeat_at", TIME),
    Column("seen_at", TIME),
    # Set while the clone waits for the run that it was reserved for.
    Column("reserved_at", TIME),
    Column("parked", JSON, nullable=False),
    Column("seal", JSON),  # digests of what was published
    Column("restore_test", JSON),  # what the last one said, of a backup
    Column("tested_at", TIME),  # when that was
    Column("response", JSON),  # the CloneNamespaceResponse
    # How many it was published with: an empty backup takes no other one's place.
    Column("points", BigInteger),
    Column("objects", BigInteger),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("finished_at", TIME),
    # How many points the proof has looked at so far, while it is at work; NULL: none yet.
    Column("points_proven", BigInteger),
    # How far the copying of files is: `total`, `done`, `bytes`; NULL: it has not begun.
    Column("files", JSON),
    # Whose copies of files this clone refers to, because it shares those of its source: the clone
    # that owns them. NULL: nobody's.
    Column("files_of", String(32)),
    # What processes beside the run's may do of it now: copy | prove; NULL: nothing.
    Column("offered", String(16)),
    # Until when the points that were taken last keep all who copy it from the next ones.
    Column("paced_until", TIME),
    Index(None, "organization_id", "namespace_name"),
    Index(None, "namespace_key"),
    # Rows are long, because plans are: what looks for a few of many must not read them.
    Index(None, "status"),
    Index(None, "source_namespace_id"),
    Index(None, "purpose", "status", "organization_id", "policy", "namespace_name"),
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
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
)

clone_steps = Table(
    "clone_steps",
    metadata,
    _clone_id(),
    Column("step", String(32), primary_key=True),  # the op's name
    Column("report", JSON, nullable=False),
    Column("updated_at", TIME, nullable=False),
)

# How often a step was begun: of two that are at work at once, the last one may write.
clone_attempts = Table(
    "clone_attempts",
    metadata,
    _clone_id(),
    Column("step", String(32), primary_key=True),
    Column("attempt", Integer, nullable=False),
)

# Every run that has had a clone: the same clone may go on under another one.
clone_runs = Table(
    "clone_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("clone_id", ForeignKey(clones.c.clone_id, ondelete="CASCADE"), nullable=False),
    Column("created_at", TIME, nullable=False),
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
    # Who has it. `claim` goes up with each change of holder; one with an older one writes no more.
    Column("claim", Integer, nullable=False, server_default="0"),
    Column("holder_host", Text),
    Column("holder_pid", Integer),
    Column("holder_started", Float),
    Column("heartbeat_at", TIME),  # by the clock of the database
    Column("worked", JSON(none_as_null=True)),  # which process has copied how many, and when
    Column("proof", JSON(none_as_null=True)),  # what the proof has found, once it has been here
)

# Of a clone that is refreshed, or a policy's backup: the id and a digest of each point that was
# proven, so that the next one finds what has changed without reading them. Only what is live, and
# the last backup of a policy, have them.
clone_digests = Table(
    "clone_digests",
    metadata,
    _clone_id(),
    Column("slice", Integer, primary_key=True, autoincrement=False),
    Column("points", LargeBinary, nullable=False),  # as core/points/known.py has them
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
    Column("heartbeat_at", TIME, nullable=False),
    Column("seen_heartbeat_at", TIME),  # as in `clones`
    Column("seen_at", TIME),
)

# Backups as archives, outside of our stores; `archive_key` is the order in which they were begun.
archives = Table(
    "archives",
    metadata,
    Column("archive_key", KEY, primary_key=True),
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
    Column("tested_at", TIME),  # when that was
    Column("scratch", String(64)),  # the namespace that a restore test makes of it, while it does
    Column("tester", JSON),  # the run and the process of that test; its heartbeat is `updated_at`
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("finished_at", TIME),
    UniqueConstraint("address"),
    # What is counted at each scrape, out of the index alone.
    Index(None, "organization_id", "policy", "status", "tested_at", "finished_at"),
    Index(None, "run_id"),
)
