"""The first schema: organizations, keys, namespaces with their resources, and the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clones",
        sa.Column("clone_id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.String(length=128), nullable=False),
        sa.Column("namespace_name", sa.String(length=64), nullable=False),
        sa.Column(
            "namespace_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "source_namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("source_namespace_id", sa.String(length=128), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("principal", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("qdrant_collection", sa.Text(), nullable=False),
        sa.Column("qdrant_created", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("request_identity", sa.String(length=32), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("holder_host", sa.Text(), nullable=True),
        sa.Column("holder_pid", sa.Integer(), nullable=True),
        sa.Column("holder_started", sa.Float(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parked", sa.JSON(), nullable=False),
        sa.Column("seal", sa.JSON(), nullable=True),
        sa.Column("response", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("clone_id", name=op.f("pk_clones")),
    )
    op.create_index(op.f("ix_clones_namespace_key"), "clones", ["namespace_key"], unique=False)
    op.create_index(
        op.f("ix_clones_organization_id_namespace_name"),
        "clones",
        ["organization_id", "namespace_name"],
        unique=False,
    )
    op.create_table(
        "loads",
        sa.Column("qdrant_collection", sa.String(length=255), nullable=False),
        sa.Column("namespace_id", sa.String(length=128), nullable=False),
        sa.Column("holder_host", sa.Text(), nullable=False),
        sa.Column("holder_pid", sa.Integer(), nullable=False),
        sa.Column("holder_started", sa.Float(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("qdrant_collection", name=op.f("pk_loads")),
    )
    op.create_table(
        "organizations",
        sa.Column("organization_id", sa.String(length=128), nullable=False),
        sa.Column("internal_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name=op.f("fk_api_keys_organization_id"),
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "clone_resources",
        sa.Column("clone_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("source_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("target_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name=op.f("fk_clone_resources_clone_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "clone_id", "kind", "source_id", "version", name=op.f("pk_clone_resources")
        ),
    )
    op.create_table(
        "clone_slices",
        sa.Column("clone_id", sa.String(length=32), nullable=False),
        sa.Column("slice", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bounds", sa.JSON(), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=True),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name=op.f("fk_clone_slices_clone_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("clone_id", "slice", name=op.f("pk_clone_slices")),
    )
    op.create_table(
        "clone_steps",
        sa.Column("clone_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name=op.f("fk_clone_steps_clone_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("clone_id", "step", name=op.f("pk_clone_steps")),
    )
    op.create_table(
        "namespaces",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("organization_id", sa.String(length=128), nullable=False),
        sa.Column("namespace_id", sa.String(length=128), nullable=False),
        sa.Column("namespace_name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("qdrant_url", sa.Text(), nullable=True),
        sa.Column("qdrant_config", sa.JSON(), nullable=True),
        sa.Column("clone_status", sa.String(length=16), nullable=True),
        sa.Column("clone_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name=op.f("fk_namespaces_organization_id"),
        ),
        sa.PrimaryKeyConstraint("namespace_key", name=op.f("pk_namespaces")),
        sa.UniqueConstraint(
            "namespace_id", "generation", name=op.f("uq_namespaces_namespace_id_generation")
        ),
    )
    op.create_index(
        "uq_namespaces_live_id",
        "namespaces",
        ["namespace_id"],
        unique=True,
        sqlite_where=sa.text("role = 'live'"),
        postgresql_where=sa.text("role = 'live'"),
    )
    op.create_index(
        "uq_namespaces_live_name",
        "namespaces",
        ["organization_id", "namespace_name"],
        unique=True,
        sqlite_where=sa.text("role = 'live'"),
        postgresql_where=sa.text("role = 'live'"),
    )
    op.create_index(
        "uq_namespaces_next_name",
        "namespaces",
        ["organization_id", "namespace_name"],
        unique=True,
        sqlite_where=sa.text("role = 'next'"),
        postgresql_where=sa.text("role = 'next'"),
    )
    op.create_table(
        "buckets",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("bucket_id", sa.String(length=128), nullable=False),
        sa.Column("bucket_name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_buckets_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("namespace_key", "bucket_id", name=op.f("pk_buckets")),
        sa.UniqueConstraint(
            "namespace_key", "bucket_name", name=op.f("uq_buckets_namespace_key_bucket_name")
        ),
    )
    op.create_table(
        "collections",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("collection_id", sa.String(length=128), nullable=False),
        sa.Column("collection_name", sa.String(length=100), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_collections_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("namespace_key", "collection_id", name=op.f("pk_collections")),
        sa.UniqueConstraint(
            "namespace_key",
            "collection_name",
            name=op.f("uq_collections_namespace_key_collection_name"),
        ),
    )
    op.create_table(
        "retrievers",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("retriever_id", sa.String(length=128), nullable=False),
        sa.Column("retriever_name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_retrievers_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("namespace_key", "retriever_id", name=op.f("pk_retrievers")),
        sa.UniqueConstraint(
            "namespace_key",
            "retriever_name",
            name=op.f("uq_retrievers_namespace_key_retriever_name"),
        ),
    )
    op.create_table(
        "taxonomies",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("taxonomy_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("taxonomy_name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_taxonomies_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "namespace_key", "taxonomy_id", "version", name=op.f("pk_taxonomies")
        ),
        sa.UniqueConstraint(
            "namespace_key",
            "taxonomy_name",
            "version",
            name=op.f("uq_taxonomies_namespace_key_taxonomy_name_version"),
        ),
    )
    op.create_table(
        "objects",
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("bucket_id", sa.String(length=128), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key", "bucket_id"],
            ["buckets.namespace_key", "buckets.bucket_id"],
            name=op.f("fk_objects_namespace_key_bucket_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_objects_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("namespace_key", "object_id", name=op.f("pk_objects")),
    )
    op.create_index(
        op.f("ix_objects_namespace_key_bucket_id"),
        "objects",
        ["namespace_key", "bucket_id"],
        unique=False,
    )


def downgrade() -> None:
    for table in (
        "objects",
        "taxonomies",
        "retrievers",
        "collections",
        "buckets",
        "namespaces",
        "clone_steps",
        "clone_slices",
        "clone_resources",
        "api_keys",
        "organizations",
        "loads",
        "clones",
    ):
        op.drop_table(table)
