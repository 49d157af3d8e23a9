"""The page of a policy that writes archives: what each holds, how it was proven, why it stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.history import (
    ArchiveHistory,
    Fate,
    read_any_history,
    read_archive_history,
)
from clone_pipeline.core.archives.restore_test import run_archive_test
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.errors import InvalidRequest, NotFound
from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule
from clone_pipeline.core.ledger.history import MOST, History
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline.html_report.render import render
from clone_pipeline_tests import harness
from clone_pipeline_tests.canaries import planted_files
from clone_pipeline_tests.cli.prod import prod
from clone_pipeline_tests.core.archives.conftest import BEGIN, World
from clone_pipeline_tests.core.catalog.rows import add_archive

from .pages import TEXTS, Page, assert_harmless

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
RULES = {"nightly": BackupRule(Keep(last=1, daily=2), ZoneInfo("UTC"), "prod")}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    now = [BEGIN]
    with harness.holding(tmp_path / "home", prod(), clock=lambda: now[0]) as stores:
        yield World(stores, (tmp_path / "out").as_uri(), now)


def read(world: World, policy: str = "nightly") -> ArchiveHistory:
    return read_archive_history(world.stores, None, policy, RULES)


def shown(world: World) -> str:
    return Page(render(read(world), NOW)).text


def fail(world: World, name: str, why: str) -> None:
    """A run that could not begin to write there."""
    with world.stores.catalog.write() as connection:
        records.begin(
            connection,
            organization_id="org_acme",
            source_namespace_id=next(iter(world.listed().values())).source_namespace_id,
            name=name,
            address=f"{world.place}/{name}",
            policy="nightly",
            run_id=name,
            now=world.now[0],
        )
        records.fail(connection, name, why, world.now[0])


# ---- what it says ----------------------------------------------------------------------------


def test_each_archive_shows_what_it_holds_how_it_was_tested_and_why_it_stays(world: World) -> None:
    for name in ("monday", "tuesday", "wednesday"):
        made = world.write(name)
        world.go_on(days=1)
    assert run_archive_test(world.stores, LOCAL_OPERATOR, made, "test").good
    text = shown(world)
    assert text.startswith("nightly: Proven")
    assert made.contents is not None
    for said in (
        f"Archive {made.address}",
        f"Manifest SHA-256 {made.manifest}",
        f"points {made.points} {made.contents['seal']['points']['digest']}",
        "Source meanwhile the Qdrant store cannot tell",
        "and a namespace was made of it that equals it",
        f"Secrets in it {made.contents['secrets']} in its configuration",
        "Kept: last 1, daily 2. The last proven one is never removed.",
        "the last proven backup, last 1, daily 1",
        "goes: no count of the policy keeps it",
        "3 there, of 3 that were begun",
    ):
        assert said in text, said
    table = text[text.index("begun (UTC) name") :]
    assert table.index("wednesday") < table.index("tuesday") < table.index("monday")


def test_one_that_failed_shows_why_beside_the_last_good_one(world: World) -> None:
    world.write("monday")
    world.go_on(days=1)
    fail(world, "tuesday", "The bucket is full.")
    text = shown(world)
    assert text.startswith("nightly: Failed")
    assert "failed: The bucket is full. The last good one is monday, of 2026-05-06 02:00" in text
    assert "1 there, of 2 that were begun" in text


def test_one_that_is_gone_is_still_drawn(world: World) -> None:
    world.write("monday")
    world.go_on(days=1)
    made = world.write("tuesday")
    world.sweep(last=1)
    found = read(world)
    assert (found.shown.key, found.there, found.count) == (made.key, 1, 2)
    content = render(found, NOW)
    assert "proven, gone" in Page(content).text
    assert content.count("<rect") == 4 * 2


def test_a_restore_test_that_failed_is_the_state_of_the_policy(world: World) -> None:
    made = world.write("monday")
    part = next((world.folder / "monday").glob("objects-*"))
    part.write_bytes(b"x" * part.stat().st_size)
    assert not run_archive_test(world.stores, LOCAL_OPERATOR, made, "test").good
    text = shown(world)
    assert text.startswith("nightly: Restore test failed")
    assert f"{part.name}: is damaged" in text


def test_without_the_policies_file_it_says_that_all_stay(world: World) -> None:
    world.write("monday")
    found = read_archive_history(world.stores, None, "nightly", {})
    text = Page(render(found, NOW)).text
    assert "so that all of them stay. The last proven one is never removed." in text
    assert "a backup of nightly, which is not among the policies" in text


def test_of_many_the_newest_are_drawn_and_the_others_counted(world: World) -> None:
    with world.stores.catalog.write() as connection:
        for number in range(MOST + 3):
            more = {"policy": "nightly", "organization_id": "org_acme", "points": number}
            add_archive(connection, f"n{number}", **more)
    found = read(world)
    assert (found.count, found.there, len(found.made)) == (MOST + 3, MOST + 3, MOST)
    content = render(found, NOW)
    assert content.count("<rect") == 4 * MOST
    assert "3 older runs are not shown." in Page(content).text


def test_the_name_of_a_policy_means_what_it_made_last(world: World) -> None:
    def made(name: str = "nightly", organization: str | None = None, **more: bool) -> object:
        return read_any_history(world.stores, organization, name, RULES, **more)

    nightly = {"policy": "nightly", "preserve_resource_ids": True}
    harness.clone(world.stores, "prod", "sunday", **nightly)
    assert isinstance(made(), History)
    world.go_on(days=1)
    world.write("monday")
    assert isinstance(made(), ArchiveHistory)
    world.go_on(days=1)
    harness.clone(world.stores, "prod", "tuesday", **nightly)
    assert isinstance(made(), History)
    world.go_on(days=1)
    world.write("wednesday")
    harness.clone(world.stores, "prod", "nightly")
    assert isinstance(made(), History)  # the namespace
    assert isinstance(made(of_policy=True), ArchiveHistory)
    for unknown in ({"name": "none"}, {"organization": "org_other"}):
        with pytest.raises(NotFound, match="has no clone and no policy"):
            made(**unknown)  # type: ignore[arg-type]
    with world.stores.catalog.write() as connection:
        add_archive(connection, "other", policy="nightly", organization_id="org_other")
    with pytest.raises(InvalidRequest, match="several organizations"):
        made(of_policy=True)


# ---- what it must not hold -------------------------------------------------------------------


def test_of_a_namespace_full_of_secrets_only_their_number_is_shown(tmp_path: Path) -> None:
    files, _ = planted_files(600)
    with harness.holding(tmp_path, files) as stores:
        place = (tmp_path / "out").as_uri()
        wanted = Wanted("prod", f"{place}/monday", policy="nightly")
        made = archive_namespace(stores, wanted, LOCAL_OPERATOR, "a-run")
        content = render(read_archive_history(stores, None, "nightly", RULES), NOW)
    assert made.contents is not None
    assert "CANARY" not in str(made.contents)
    assert made.contents["secrets"] > 100
    assert f"{made.contents['secrets']:,} in its configuration" in Page(content).text
    assert_harmless(content)


def test_a_backups_cleared_values_are_counted(world: World) -> None:
    backup = harness.clone(
        world.stores, "prod", "backup", preserve_resource_ids=True, policy="before"
    )
    assert backup.parked
    made = world.write("of_it", source="backup")
    assert made.contents is not None
    assert made.contents["cleared"] == len(backup.parked)
    assert f"Cleared values in it {len(backup.parked)}" in shown(world)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ArchiveHistory:
    home = tmp_path_factory.mktemp("home")
    with harness.holding(home, prod()) as stores:
        world = World(stores, (home / "out").as_uri())
        world.write("monday")
        fail(world, "tuesday", "The bucket is full.")
        return read(world)


@given(st.lists(TEXTS, min_size=8, max_size=8))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.outside
def test_whatever_the_ledger_holds_is_text_on_the_page(
    found: ArchiveHistory, texts: list[str]
) -> None:
    policy, name, address, sentence, error, run, why, organization = texts
    monday, tuesday = found.made
    test = {"good": False, "tested_at": NOW.isoformat(), "sentence": sentence}
    monday = replace(monday, name=name, address=address, restore_test=test, run_id=run)
    tuesday = replace(tuesday, name=name, error=error)
    spoilt = replace(
        found,
        policy=policy,
        organization_id=organization,
        made=[monday, tuesday],
        shown=monday,
        fates={monday.key: Fate(stays=True, why=why)},
    )
    assert_harmless(render(spoilt, NOW))
