"""The session of the database is ours, whatever the server, the database or a pooler says."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.engine import make_url

from clone_pipeline.core.catalog import namespaces, schema, session
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.errors import CloneError, InvalidRequest, StoreUnavailable
from clone_pipeline.core.generations.holdings import Holdings
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.verify import verify_pair, verify_sealed

from ... import harness, servers
from ...conftest import PostgresServer
from ..bundle.samples import sample
from .rows import add_namespace, add_organization

# Not the very ends, as which times beyond the calendar are read.
FIRST = datetime(1, 1, 1, 0, 0, 1, tzinfo=timezone.utc)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
SETTINGS = [
    "timezone = 'Pacific/Kiritimati'",
    "timezone = 'Pacific/Pago_Pago'",
    "timezone = 'America/New_York'",
    "datestyle = 'SQL, DMY'",
    "datestyle = 'German'",
    "datestyle = 'Postgres, MDY'",
    "extra_float_digits = -15",
    "default_transaction_isolation = 'serializable'",
    "standard_conforming_strings = off",
    "client_encoding = 'LATIN1'",
    "bytea_output = 'escape'",
]


def set_for_all(url: str, *settings: str) -> None:
    """Settings that the next connections to the database begin with."""
    database = make_url(url).database
    catalog = Catalog.open(url)
    with catalog.write() as connection:
        for setting in settings:
            connection.execute(text(f"ALTER DATABASE {database} SET {setting}"))
    catalog.close()


@pytest.fixture
def pooled_url(postgres_url: str) -> Iterator[str]:
    """The catalog behind a PgBouncer in transaction mode."""
    try:
        with servers.pgbouncer(postgres_url) as url:
            yield url
    except servers.NotInstalled as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("setting", SETTINGS)
def test_times_numbers_and_texts_are_the_same_whatever_the_database_is_set_to(
    postgres_url: str, setting: str
) -> None:
    set_for_all(postgres_url, setting)
    catalog = Catalog.open(postgres_url)
    try:
        with catalog.write() as connection:
            add_organization(connection)
            add_namespace(connection, namespace_id="ns_é\\'", created_at=FIRST, updated_at=LAST)
            connection.execute(schema.loads.insert().values(_load()))
        with catalog.read() as connection:
            (found,) = namespaces.list_all(connection, None)
            assert (found.created_at, found.updated_at) == (FIRST, LAST)
            assert found.namespace_id == "ns_é\\'"
            assert Holdings.read(connection, None, LAST).by_name
            row = connection.execute(select(schema.loads)).mappings().one()
            assert _load().items() <= row.items()
    finally:
        catalog.close()


def _load() -> dict[str, object]:
    return {
        "qdrant_collection": "c",
        "namespace_id": "ns",
        "holder_host": "h",
        "holder_pid": 1,
        "holder_started": 1764072836.123456789,
        "heartbeat_at": LAST,
    }


def test_who_is_stopped_in_the_middle_of_a_write_keeps_nobody_waiting_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that sleeps, or whose network is cut, does not end its transaction."""
    monkeypatch.setattr(session, "SILENT_SECONDS", 1.0)
    asleep, awake = Catalog.open(postgres_url), Catalog.open(postgres_url)
    try:
        with asleep.write() as connection:
            add_organization(connection, "org_1")
        with pytest.raises(StoreUnavailable):
            _write_with_a_sleep(asleep, awake)
        with asleep.read() as connection:  # by a connection that lives
            assert connection.scalar(select(schema.organizations.c.internal_id)) == "b"
    finally:
        asleep.close()
        awake.close()


def _write_with_a_sleep(asleep: Catalog, awake: Catalog) -> None:
    row = update(schema.organizations)
    with asleep.write() as connection:
        connection.execute(row.values(internal_id="a"))
        with awake.write() as other:
            other.execute(text("SET LOCAL lock_timeout = '20s'"))
            other.execute(row.values(internal_id="b"))
        connection.execute(row.values(internal_id="a"))


def test_times_that_python_has_not_are_read_as_the_ends_of_its_calendar(postgres_url: str) -> None:
    catalog = Catalog.open(postgres_url)
    try:
        with catalog.write() as connection:
            add_organization(connection)
            key = add_namespace(connection)
        first, last = (end.replace(tzinfo=timezone.utc) for end in (datetime.min, datetime.max))
        for written, read in (
            ("infinity", last),
            ("-infinity", first),
            ("0044-03-15 BC", first),
            ("20000-01-01", last),
        ):
            with catalog.write() as connection:
                connection.execute(text(f"UPDATE namespaces SET updated_at = '{written}'"))
            with catalog.read() as connection:
                assert namespaces.by_key(connection, key).updated_at == read
    finally:
        catalog.close()


def test_a_clone_behind_a_pooler_is_made_proven_and_taken_away(
    pooled_url: str, postgres_url: str, tmp_path: Path
) -> None:
    set_for_all(postgres_url, "timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'")
    files = sample()
    files["objects.jsonl"] += [
        {"object_id": f"o{number}", "bucket_id": "bkt_b", "created_at": "9999-12-31T23:59:59Z"}
        for number in range(3000)
    ]
    with harness.holding(tmp_path, files, catalog_url=pooled_url) as stores:
        made = harness.clone(stores, "prod", "copy")
        assert made.status == "ready"
        assert verify_sealed(stores, None, "copy").unchanged
        assert verify_pair(stores, None, "prod", "copy").equal
        with stores.catalog.read() as connection:
            assert ledger.points_copied(connection, made.clone_id) == 4


def test_clients_of_one_pooler_do_not_see_each_others_settings(
    pooled_url: str, postgres_url: str
) -> None:
    """Each transaction of each of them may run on any of the few connections of the pooler."""
    set_for_all(postgres_url, "timezone = 'Asia/Tokyo'")
    wrong: list[object] = []

    def look() -> None:
        try:
            catalog = Catalog.open(pooled_url)
        except CloneError as error:
            wrong.append(error)
            return
        try:
            for number in range(20):
                with catalog.read() if number % 2 else catalog.write() as connection:
                    shown = connection.execute(text("SELECT '9999-12-31 23:59:59+00'::timestamptz"))
                    wrong.extend({shown.scalar_one().year} - {9999})
        except CloneError as error:
            wrong.append(error)
        finally:
            catalog.close()

    threads = [Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_cannot_keep_every_text_is_refused(
    postgres_server: PostgresServer, encoding: str
) -> None:
    database = f"test_{uuid.uuid4().hex}"
    postgres_server.execute(
        f"CREATE DATABASE {database} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0"
    )
    try:
        with pytest.raises(InvalidRequest, match=f"encoded in {encoding}.*UTF8") as caught:
            Catalog.open(postgres_server.address(database))
        assert "\n" not in caught.value.message
        assert caught.value.message.count(".") == 1
    finally:
        postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.mark.parametrize("moment", [FIRST, LAST], ids=["year 1", "year 9999"])
def test_times_at_the_ends_of_the_calendar_stay_on_both_databases(
    catalog: Catalog, moment: datetime
) -> None:
    with catalog.write() as connection:
        add_organization(connection)
        key = add_namespace(connection, created_at=moment, updated_at=moment)
        connection.execute(update(schema.namespaces).values(expires_at=moment, held_at=moment))
    with catalog.read() as connection:
        found = namespaces.by_key(connection, key)
        assert {found.created_at, found.updated_at, found.expires_at, found.held_at} == {moment}


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such time")
@pytest.mark.parametrize(("given", "idle"), [("", 30), ("?keepalives_idle=7", 7)])
def test_a_server_whose_machine_is_gone_is_noticed(
    postgres_url: str, given: str, idle: int
) -> None:
    catalog = Catalog.open(postgres_url + given)
    with catalog.read() as connection:
        driver: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.fileno())) as its:
            tcp = socket.IPPROTO_TCP
            assert its.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            assert its.getsockopt(tcp, socket.TCP_KEEPIDLE) == idle
            assert its.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 60_000
    catalog.close()
