"""A catalog that cannot be used says so: one sentence, the right kind of error, no secret."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import make_url

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import InvalidRequest, StorageFailed, StoreUnavailable

from .rows import add_organization


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of ours that nothing listens on, and nothing else can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("given", ["u:sesame@{}/x", "u@{}/x?password=sesame"])
def test_an_unreachable_database_is_said_without_its_password(closed_port: int, given: str) -> None:
    address = "postgresql://" + given.format(f"127.0.0.1:{closed_port}")
    with pytest.raises(StoreUnavailable) as caught:
        Catalog.open(address)
    assert "sesame" not in caught.value.message
    _assert_one_sentence(caught.value.message)
    assert f"127.0.0.1:{closed_port}" in caught.value.message


def test_a_connection_that_the_server_ends_is_unavailable_and_the_next_one_works(
    postgres_url: str,
) -> None:
    catalog = Catalog.open(postgres_url)
    try:

        def read_through_the_end() -> None:
            with catalog.read() as connection:
                pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                with catalog.write() as other:
                    other.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))
                connection.execute(select(schema.organizations)).all()

        with pytest.raises(StoreUnavailable) as caught:
            read_through_the_end()
        _assert_one_sentence(caught.value.message)
        with catalog.read() as connection:
            assert connection.execute(select(schema.organizations)).all() == []
    finally:
        catalog.close()


def test_a_read_only_database_is_a_storage_failure(postgres_url: str) -> None:
    name = make_url(postgres_url).database
    catalog = Catalog.open(postgres_url)
    try:
        with catalog.write() as connection:
            connection.execute(
                text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            )
        catalog.close()  # the setting counts for new connections
        with pytest.raises(StorageFailed, match="read-only"):
            _write(catalog)
    finally:
        catalog.close()


def test_a_user_without_rights_on_the_database_is_a_storage_failure(postgres_url: str) -> None:
    catalog = Catalog.open(postgres_url)
    role = f"nothing_{os.urandom(4).hex()}"
    try:
        with catalog.write() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        with pytest.raises(StorageFailed, match="permission denied") as caught:
            Catalog.open(make_url(postgres_url).set(username=role).render_as_string(False))
        _assert_one_sentence(caught.value.message)
        with catalog.write() as connection:
            connection.execute(text(f"DROP ROLE {role}"))
    finally:
        catalog.close()


def test_a_folder_that_is_a_file_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StorageFailed, match="cannot be made"):
        Catalog.open(f"sqlite:///{tmp_path}/home/data/catalog.db")


def test_a_database_that_is_a_folder_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").mkdir()
    with pytest.raises(StorageFailed, match="unable to open"):
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db")


def test_a_file_that_is_no_database_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_text("This is a letter to my aunt, and no database.\n" * 100)
    with pytest.raises(StorageFailed, match="not a database"):
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db")


@pytest.mark.parametrize("exists", [True, False], ids=["existing catalog", "fresh catalog"])
def test_a_read_only_folder_is_a_storage_failure(exists: bool) -> None:
    with _folder_of_somebody() as folder, _not_root(folder):
        address = f"sqlite:///{folder}/catalog.db"
        if exists:
            Catalog.open(address).close()
        for path in [*folder.iterdir(), folder]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            with pytest.raises(StorageFailed) as caught:
                _open_and_write(address)
        finally:
            folder.chmod(0o755)
    _assert_one_sentence(caught.value.message)


def test_a_full_disk_is_a_storage_failure_that_leaves_nothing_half_done(sqlite_url: str) -> None:
    catalog = Catalog.open(sqlite_url)

    @event.listens_for(catalog._engine, "connect")
    def no_more_pages(connection: object, _record: object) -> None:
        # SQLite says the same for its own limit as for a disk's.
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    def fill() -> None:
        with catalog.write() as connection:
            for number in range(2000):
                add_organization(connection, f"org_{number}_{'x' * 100}")

    try:
        catalog.close()
        with pytest.raises(StorageFailed, match="full"):
            fill()
        with catalog.read() as connection:
            assert connection.execute(select(schema.organizations)).all() == []
    finally:
        catalog.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("not a url", "not a database URL"),
        ("mysql://u:sesame@h/x", "PostgreSQL and SQLite"),
        ("sqlite+nonsense:///x.db", "driver nonsense"),
        ("sqlite+aiosqlite:///x.db", "driver aiosqlite"),
        ("postgresql+psycopg2://u:sesame@h/x", "driver psycopg2"),
        ("postgresql+psycopg_async://u:sesame@h/x", "driver psycopg_async"),
        ("postgresql+asyncpg://u:sesame@h/x", "driver asyncpg"),
        ("postgresql://u:sesame@h/x?autocommit=true", "autocommit"),
        ("postgresql://u@h/x?password=sesame&prepare_threshold=0", "prepare_threshold"),
        ("postgresql://u:sesame@h:port/x", "not a database URL"),
        ("sqlite:///a?b/catalog.db", "%3F"),
        ("sqlite:///x.db?timeout=1", "no options"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite:///file:x.db?mode=ro&uri=true", "file"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    address: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest, match=words) as caught:
        Catalog.open(address)
    assert "sesame" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def _write(catalog: Catalog) -> None:
    with catalog.write() as connection:
        add_organization(connection)


def _open_and_write(address: str) -> None:
    catalog = Catalog.open(address)
    try:
        _write(catalog)
    finally:
        catalog.close()


def _assert_one_sentence(message: str) -> None:
    assert message.endswith(".")
    assert not message.endswith(("?.", "..", "!."))
    assert "\n" not in message
    assert ". " not in message


@contextmanager
def _folder_of_somebody() -> Iterator[Path]:
    """Not pytest's, which is closed to everyone but the user that runs it."""
    folder = Path(tempfile.mkdtemp(prefix="clone-pipeline-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _not_root(folder: Path) -> Iterator[None]:
    """File modes mean nothing to root, so root becomes nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)
