"""The schema that Alembic makes, who may make it, and what happens where it stands already."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import HEAD, VERSION_TABLE, Catalog
from clone_pipeline.core.errors import InvalidRequest

from .rows import NOW, add_archive, add_clone, add_namespace, add_organization

_OPEN_AT_ONCE = """
import sys
import alembic.command, alembic.config
from clone_pipeline.core.catalog.engine import Catalog
print("ready", flush=True)
sys.stdin.readline()
Catalog.open(sys.argv[1]).close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nobody has opened yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'catalog.db'}"
        return
    server, database = request.getfixturevalue("postgres_server"), f"empty_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {database}")
    yield server.address(database)
    server.execute(f"DROP DATABASE {database} WITH (FORCE)")


def _description(connection: Connection) -> dict[str, Any]:
    """Everything the database knows of our tables, conditions of indexes included."""
    inspector = inspect(connection)

    def by_name(items: list[Any]) -> list[str]:
        return sorted(repr(sorted(item.items(), key=str)) for item in items)

    return {
        table: {
            "columns": {
                column["name"]: (repr(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
            "foreign": by_name(inspector.get_foreign_keys(table)),
            "unique": by_name(inspector.get_unique_constraints(table)),
            "indexes": by_name(
                [
                    {**index, "dialect_options": _plain(index.get("dialect_options", {}))}
                    for index in inspector.get_indexes(table)
                ]
            ),
        }
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
    }


def _plain(options: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}


def test_the_migrations_make_exactly_the_declared_schema(catalog: Catalog) -> None:
    with catalog.write() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, schema.metadata) == []
        # Alembic's comparison does not look at conditions of indexes; the database does.
        migrated = _description(connection)
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
        assert migrated == _description(connection)
        assert set(migrated) == set(schema.metadata.tables)


def test_a_catalog_of_the_first_version_keeps_its_rows(empty_url: str) -> None:
    Catalog.open(empty_url).close()
    old = Catalog.open(empty_url)
    try:
        with old.write() as connection:
            add_organization(connection, "org_kept")
            later = {
                "clones": ("policy", "restore_test", "reserved_at"),
                "namespaces": ("held_at",),
            }
            _drop_what_came_after_0005(connection)
            for table_name, columns in later.items():
                for column in columns:
                    connection.execute(text(f"ALTER TABLE {table_name} DROP COLUMN {column}"))
            for table in (schema.clone_runs, schema.templates, schema.idempotency_keys):
                table.drop(connection)
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    finally:
        old.close()
    new = Catalog.open(empty_url)
    try:
        with new.read() as connection:
            assert connection.execute(select(schema.clones)).all() == []
            kept = connection.scalars(select(schema.organizations.c.organization_id)).all()
            versions = connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    finally:
        new.close()
    assert (kept, versions) == (["org_kept"], [HEAD])


def test_what_is_in_a_catalog_of_version_14_is_kept(empty_url: str) -> None:
    later = ("offered", "paced_until")
    known = select(*(column for column in schema.clones.c if column.name not in later))
    old = Catalog.open(empty_url)
    try:
        with old.write() as connection:
            _drop_what_came_after_0014(connection)
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0014'"))
            add_clone(connection, "clone_kept")
            before = connection.execute(known).all()
    finally:
        old.close()
    new = Catalog.open(empty_url)
    try:
        with new.read() as connection:
            assert connection.execute(known).all() == before
            assert connection.execute(select(schema.clone_attempts)).all() == []
    finally:
        new.close()


def test_opening_again_changes_nothing(catalog: Catalog, catalog_url: str) -> None:
    with catalog.write() as connection:
        add_organization(connection, "org_kept")
        before = _description(connection)
    again = Catalog.open(catalog_url)
    try:
        with again.read() as connection:
            assert _description(connection) == before
            kept = connection.scalars(select(schema.organizations.c.organization_id)).all()
            versions = connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    finally:
        again.close()
    assert kept == ["org_kept"]
    assert versions == [HEAD]


@pytest.mark.outside
def test_processes_that_open_a_fresh_database_at_once_all_succeed(empty_url: str) -> None:
    command = [sys.executable, "-c", _OPEN_AT_ONCE, empty_url]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=120)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], answers
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    catalog = Catalog.open(empty_url)
    try:
        with catalog.read() as connection:
            assert set(_description(connection)) == set(schema.metadata.tables)
    finally:
        catalog.close()


def test_a_schema_newer_than_the_program_is_refused(catalog: Catalog, catalog_url: str) -> None:
    with catalog.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(InvalidRequest, match="version 9999, newer than this program's"):
        Catalog.open(catalog_url)


def test_tables_of_others_in_the_same_database_are_left_alone(empty_url: str) -> None:
    catalog = Catalog.open(empty_url)
    try:
        with catalog.write() as connection:
            # The platform may keep an Alembic history of its own.
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    finally:
        catalog.close()
    again = Catalog.open(empty_url)
    try:
        with again.read() as connection:
            theirs = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    finally:
        again.close()
    assert theirs == ["theirs"]


def test_what_was_replaced_and_published_before_it_was_counted_is_counted(
    empty_url: str,
) -> None:
    Catalog.open(empty_url).close()
    old = Catalog.open(empty_url)
    try:
        with old.write() as connection:
            add_organization(connection)
            # 2 was rolled back to, and replaced after 3 was.
            for generation, role, hours in ((1, "previous", 9), (2, "previous", 1), (4, "live", 0)):
                _add_generation(connection, generation, role, hours)
            _add_generation(connection, 3, "previous", 2)
            published = {"name": "\0", "cloned_resources": {"points": 7, "objects": 2}}
            for clone_id, response in (("clone_a", published), ("clone_b", None)):
                add_clone(connection, clone_id, response=response)
            _drop_what_came_after_0005(connection)
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0005'"))
    finally:
        old.close()
    new = Catalog.open(empty_url)
    try:
        with new.read() as connection:
            columns = (schema.namespaces.c.generation, schema.namespaces.c.turn)
            turns = {row.generation: row.turn for row in connection.execute(select(*columns))}
            columns = (schema.clones.c.clone_id, schema.clones.c.points, schema.clones.c.objects)
            counts = {row[0]: row[1:] for row in connection.execute(select(*columns)).all()}
    finally:
        new.close()
    assert turns == {1: 1, 3: 2, 2: 3, 4: None}
    assert counts == {"clone_a": (7, 2), "clone_b": (None, None)}


def test_what_a_policy_had_a_clone_for_is_stored_from_then_on(empty_url: str) -> None:
    nul = "\0"
    asked = {
        "backup": ("nightly", {"if_exists": "fail", "preserve_resource_ids": True, "n": nul}),
        "refresh": ("follow", {"if_exists": "replace", "preserve_resource_ids": True}),
        "for no policy": (None, {"if_exists": "fail", "preserve_resource_ids": True}),
        "without ids": ("nightly", {"if_exists": "fail", "preserve_resource_ids": False}),
    }
    Catalog.open(empty_url).close()
    old = Catalog.open(empty_url)
    try:
        with old.write() as connection:
            add_organization(connection)
            for clone_id, (policy, request) in asked.items():
                add_clone(connection, clone_id, policy=policy, request=request)
            _drop_what_came_after_0007(connection)
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0007'"))
    finally:
        old.close()
    new = Catalog.open(empty_url)
    try:
        with new.read() as connection:
            query = select(schema.clones.c.clone_id, schema.clones.c.purpose)
            found = {row[0]: row[1] for row in connection.execute(query)}
    finally:
        new.close()
    none = {"for no policy": None, "without ids": None}
    assert found == {"backup": "backup", "refresh": "refresh", **none}


def test_when_a_backup_was_tested_is_read_out_of_its_last_test(empty_url: str) -> None:
    tests = {
        "tested": {"tested_at": "2026-11-23T12:00:00+00:00", "sentence": "\0"},
        "before": {"tested_at": "2026-11-23T12:00:00Z"},
        "never": None,
    }
    Catalog.open(empty_url).close()
    old = Catalog.open(empty_url)
    try:
        with old.write() as connection:
            add_organization(connection)
            for name, test in tests.items():
                add_clone(connection, name, restore_test=test)
                add_archive(connection, name, restore_test=test)
            _drop_what_came_after_0013(connection)
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0013'"))
    finally:
        old.close()
    new = Catalog.open(empty_url)
    try:
        with new.read() as connection:
            of_clones = select(schema.clones.c.clone_id, schema.clones.c.tested_at)
            of_archives = select(schema.archives.c.name, schema.archives.c.tested_at)
            found = [
                {row[0]: row[1] for row in connection.execute(query)}
                for query in (of_clones, of_archives)
            ]
    finally:
        new.close()
    assert found == [{"tested": NOW, "before": NOW, "never": None}] * 2


def _drop_what_came_after_0014(connection: Connection) -> None:
    schema.api_requests.drop(connection)
    for index in schema.clones.indexes:
        if {"source_namespace_id", "purpose"} & {column.name for column in index.columns}:
            index.drop(connection)
    schema.clone_attempts.drop(connection)
    schema.clone_digests.drop(connection)
    claims = ("claim", "holder_host", "holder_pid", "holder_started", "heartbeat_at")
    for table, columns in (
        (schema.clones, ("offered", "paced_until")),
        (schema.clone_slices, (*claims, "worked", "proof")),
    ):
        for column in columns:
            connection.execute(text(f"ALTER TABLE {table.name} DROP COLUMN {column}"))


def _drop_what_came_after_0013(connection: Connection) -> None:
    _drop_what_came_after_0014(connection)
    for table, columns in (
        (schema.clones, ("tested_at",)),
        (schema.archives, ("tested_at", "tester", "contents")),
        (schema.namespaces, ()),
    ):
        for index in table.indexes:
            if {"tested_at", "clone_status"} & {column.name for column in index.columns}:
                index.drop(connection)
        for column in columns:
            connection.execute(text(f"ALTER TABLE {table.name} DROP COLUMN {column}"))
    columns = "organization_id, policy, status"
    name = "ix_archives_organization_id_policy_status"
    connection.execute(text(f"CREATE INDEX {name} ON archives ({columns})"))


def _drop_what_came_after_0007(connection: Connection) -> None:
    _drop_what_came_after_0013(connection)
    schema.clone_files.drop(connection)
    connection.execute(text("DROP INDEX ix_clones_files_of"))
    schema.archives.drop(connection)
    columns = ("organization_id", "policy", "phase", "created_at")
    for index in ("ix_clones_status", f"ix_clones_{'_'.join(columns)}"):
        connection.execute(text(f"DROP INDEX {index}"))
    for column in ("purpose", "source_environment", "files", "files_of"):
        connection.execute(text(f"ALTER TABLE clones DROP COLUMN {column}"))
    for column in ("adopted_at", "qdrant_alias"):
        connection.execute(text(f"ALTER TABLE namespaces DROP COLUMN {column}"))


def _drop_what_came_after_0005(connection: Connection) -> None:
    _drop_what_came_after_0007(connection)
    columns = {
        "namespaces": ("turn", "loaded_at"),
        "clones": ("seen_at", "seen_heartbeat_at", "points", "objects", "points_proven"),
        "loads": ("seen_at", "seen_heartbeat_at"),
    }
    for table, names in columns.items():
        for name in names:
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {name}"))


def _add_generation(connection: Connection, generation: int, role: str, hours: int) -> None:
    since = NOW - timedelta(hours=hours)
    add_namespace(connection, generation=generation, role=role, updated_at=since)
