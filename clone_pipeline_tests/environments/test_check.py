"""Every store of every environment, looked at with the credentials that are given."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from clone_pipeline.environments import read_environments
from clone_pipeline.environments.places import catalog_place
from clone_pipeline.probing import check_environments
from clone_pipeline.settings import load_settings

from ..cli.conftest import dagster_home
from ..cli.running import Answer
from .proxy import closed_port, forwarding, port_of
from .servers import READING, WRITING, qdrants
from .two import PRODUCTION, write_environments
from .world import STAGING, World, made

__all__ = ["dagster_home", "made", "qdrants"]  # fixtures

pytestmark = pytest.mark.outside


def levels(answer: Answer, name: str) -> dict[str, list[str]]:
    """By store."""
    [one] = [one for one in answer.json["environments"] if one["environment"] == name]
    found: dict[str, list[str]] = {}
    for finding in one["findings"]:
        found.setdefault(finding["store"], []).append(finding["level"])
    return found


def sentences(answer: Answer, level: str) -> list[str]:
    return [
        finding["sentence"]
        for one in answer.json["environments"]
        for finding in one["findings"]
        if finding["level"] == level
    ]


def test_what_works_is_said_store_by_store_and_nothing_is_left(made: World) -> None:
    before = made.everything()
    said = made.run("environments", "check", "--json")
    assert said.code == 0, said.stdout
    assert levels(said, PRODUCTION) == {"catalog": ["ok"] * 2, "qdrant": ["ok"], "files": ["ok"]}
    # Staging is what the variables describe, under a name, so that both are one.
    assert levels(said, STAGING) == {
        "catalog": ["ok"] * 3 + ["warning"],
        "qdrant": ["ok"] * 2 + ["warning"],
        "files": ["ok"] * 2,
    }
    assert sentences(said, "warning") == [
        f"It has the same {what} as the environment 'default'; between the two, nothing is cloned."
        for what in ("catalog", "Qdrant")
    ]
    assert made.everything() == before


def test_one_environment_is_checked_alone_and_said_in_lines(made: World) -> None:
    said = made.run("environments", "check", PRODUCTION)
    lines = said.stdout.splitlines()
    assert (said.code, lines[0], len(lines)) == (0, "production (access: read)", 5)
    assert "The key key_" in lines[2]
    assert "is of org_acme, with the role read; 1 namespace can be seen." in lines[2]


def test_one_that_has_the_stores_of_another_is_told_when_it_is_checked_alone(made: World) -> None:
    said = made.run("environments", "check", STAGING, "--json")
    assert sentences(said, "warning") == [
        f"It has the same {what} as the environment 'default'; between the two, nothing is cloned."
        for what in ("catalog", "Qdrant")
    ]
    spoilt = made.changed()
    (made.folder / "one" / "qdrant").mkdir(parents=True)
    (made.folder / "other").symlink_to(made.folder / "one")
    for name in ("one", "other"):
        spoilt.entries[name] = {"access": "read", "home": str(made.folder / name)}
    said = spoilt.run("environments", "check", "other", "--json")
    assert sentences(said, "warning") == [
        "It has the same Qdrant as the environment 'one'; between the two, nothing is cloned."
    ]


def test_rights_that_a_source_need_not_give_are_warned_of(made: World) -> None:
    spoilt = made.changed()
    spoilt.variables["PRODUCTION_CATALOG_URL"] = spoilt.production_url
    spoilt.variables["PRODUCTION_QDRANT_KEY"] = WRITING
    said = spoilt.run("environments", "check", PRODUCTION, "--json")
    role, key = sentences(said, "warning")
    assert said.code == 0
    assert "has the right to write api_keys, " in role
    assert "one that has SELECT alone is enough for a source" in role
    assert key.startswith("The key `qdrant.read_only_api_key` could write there")


def test_a_server_without_keys_is_one_that_anybody_writes(made: World, qdrant_url: str) -> None:
    spoilt = made.changed()
    spoilt.entries[PRODUCTION]["qdrant"] = {"url": qdrant_url}
    said = spoilt.run("environments", "check", PRODUCTION, "--json")
    assert [one[:28] for one in sentences(said, "warning")] == ["Whoever has no key could wri"]


def test_what_is_not_read_back_as_it_was_written_fails_and_is_removed(made: World) -> None:
    before = made.everything()

    def spoil(answer: bytes) -> bytes:
        return answer.replace(
            b"clone-pipeline environments check", b"something else altogether here!!!"
        )

    with (
        forwarding(port_of(made.variables["QDRANT_URL"]), spoil) as qdrant,
        forwarding(port_of(made.variables["S3_ENDPOINT_URL"]), spoil) as s3,
    ):
        spoilt = made.changed()
        spoilt.entries[STAGING]["qdrant"]["url"] = f"http://127.0.0.1:{qdrant}"
        spoilt.entries[STAGING]["files"]["endpoint_url"] = f"http://127.0.0.1:{s3}"
        said = spoilt.run("environments", "check", STAGING, "--json")
    assert said.code == 1
    point, file = sentences(said, "failed")
    assert point.startswith("Qdrant does not have a point that was just written to it; ")
    assert file.endswith("does not have a file that was just written.")
    assert made.everything() == before


def test_of_a_bucket_that_keeps_versions_no_version_is_left(made: World) -> None:
    versioned = {"Bucket": made.bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    made.s3.put_bucket_versioning(**versioned)
    before = made.everything()
    said = made.run("environments", "check", STAGING, "--json")
    assert levels(said, STAGING)["files"] == ["ok", "ok"]
    assert made.everything() == before


def test_a_store_that_is_away_is_one_sentence_and_the_others_are_checked(made: World) -> None:
    spoilt = made.changed()
    gone = closed_port()
    spoilt.variables["PRODUCTION_CATALOG_URL"] = f"postgresql://who:hush@127.0.0.1:{gone}/db"
    spoilt.entries[PRODUCTION]["qdrant"]["url"] = f"http://127.0.0.1:{gone}"
    spoilt.entries[PRODUCTION]["files"] = {
        "endpoint_url": f"http://127.0.0.1:{gone}",
        "bucket": "b-b-b",
    }
    said = spoilt.run("environments", "check", "--json")
    assert said.code == 1
    assert levels(said, PRODUCTION) == {
        store: ["failed"] for store in ("catalog", "qdrant", "files")
    }
    assert "failed" not in str(levels(said, STAGING))
    catalog, qdrant, files = sentences(said, "failed")
    assert "cannot be reached: " in catalog
    assert catalog.endswith("check `catalog_url`.")
    assert qdrant.startswith(f"Qdrant at http://127.0.0.1:{gone} cannot be reached: ")
    assert qdrant.endswith("check `qdrant.url` and `qdrant.read_only_api_key`.")
    assert files.startswith(f"s3://b-b-b at 127.0.0.1:{gone} cannot be reached: ")


@pytest.mark.parametrize(("apart", "level"), [(59, "ok"), (100, "warning"), (86_400, "failed")])
def test_a_clock_that_is_apart_is_told_of_each_store(made: World, apart: int, level: str) -> None:
    file = write_environments(made.folder, **made.entries)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.variables.items():
            patch.setenv(name, value)
        patch.setenv("CLONE_ENVIRONMENTS", str(file))
        settings = load_settings()
        known = read_environments(settings.environments)
        [found] = check_environments(
            settings,
            known,
            [PRODUCTION],
            lambda: datetime.now(timezone.utc) - timedelta(seconds=apart),
        )
    told = {one.store: one.sentence for one in found.findings.all if "clock" in one.sentence}
    assert {one.level for one in found.findings.all} == {"ok", level}
    if level != "ok":
        assert list(told) == ["catalog", "qdrant", "files"]
        assert " ahead of ours (" in told["files"]


def test_a_catalog_that_is_yet_to_be_made_is_no_failure_of_a_target(made: World) -> None:
    spoilt = made.changed()
    home = made.folder / "new"
    spoilt.entries["new"] = {"access": "write", "home": str(home)}
    said = spoilt.run("environments", "check", "new", "--json")
    assert (said.code, levels(said, "new")["catalog"]) == (0, ["ok"])
    assert not home.exists()
    spoilt.entries["new"]["access"] = "read"
    said = spoilt.run("environments", "check", "new", "--json")
    assert (said.code, sentences(said, "failed")[0]) == (
        1,
        f"There is no catalog at {home / 'catalog.db'}; check `home`.",
    )


def test_a_target_that_could_not_be_written_fails(made: World) -> None:
    to_read = made.changed()
    to_read.variables["CATALOG_URL"] = made.variables["PRODUCTION_CATALOG_URL"]
    to_read.variables["CLONE_PIPELINE_API_KEY"] = made.variables["PRODUCTION_KEY"]
    to_read.variables["QDRANT_API_KEY"] = READING
    said = to_read.run("environments", "check", STAGING, "--json")
    rights, role, row, key = sentences(said, "failed")
    assert said.code == 1
    assert rights.startswith("The role 'reader_")
    assert "may not write api_keys, api_requests, archives and " in rights
    assert role == "A key with role 'read' may look, but not change anything."
    assert "cannot be used: permission denied for table organizations" in row
    assert "does not let this API key do that: " in key
    assert key.endswith("; a target needs `qdrant.api_key`, which may write.")


def test_a_database_without_a_catalog_needs_the_right_to_make_one(made: World) -> None:
    name = f"test_{uuid.uuid4().hex}"
    made.server.execute(f"CREATE DATABASE {name}")
    try:
        spoilt = made.changed()
        url = make_url(made.production_url).set(database=name)
        spoilt.variables["CATALOG_URL"] = url.render_as_string(hide_password=False)
        said = spoilt.run("environments", "check", STAGING, "--json")
        # It is the one that the variables describe.
        assert (said.code, levels(said, STAGING)["catalog"]) == (0, ["ok", "warning", "warning"])
        to_read = make_url(made.variables["PRODUCTION_CATALOG_URL"]).set(database=name)
        spoilt.variables["CATALOG_URL"] = to_read.render_as_string(hide_password=False)
        said = spoilt.run("environments", "check", STAGING, "--json")
        assert said.code == 1
        assert sentences(said, "failed")[0].startswith("The role may not make tables in ")
    finally:
        made.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_list_says_where_and_never_a_secret(made: World) -> None:
    said = made.run("environments", "list", "--json")
    assert said.code == 0
    default, production, staging = said.json["environments"]
    assert [one["access"] for one in (default, production, staging)] == ["write", "read", "write"]
    assert production["catalog"] == catalog_place(made.production_url)
    assert staging["copies of files"].startswith(f"s3://{made.bucket}/copies at 127.0.0.1:")
    assert "only-reads" not in said.stdout
    unset = made.changed()
    del unset.variables["PRODUCTION_KEY"]
    said = unset.run("environments", "list")
    assert said.code == 0
    assert "PRODUCTION_KEY" in said.stdout


def test_a_source_is_looked_into_and_never_changed(made: World, tmp_path: Path) -> None:
    before = made.everything()
    asked = ("--environment", PRODUCTION)
    [listed] = made.run(*asked, "list", "--json").json
    assert listed["namespace_name"] == "prod"
    assert made.run("show", "production:prod").json["namespace_name"] == "prod"
    for twice in (
        ("diff", "production:prod", "production:prod", "--json"),
        (*asked, "diff", "prod", "prod", "--json"),
    ):
        said = made.run(*twice)
        assert (said.code, said.json["equal"]) == (0, True)
    # The key of production may only read, and a dump holds its secrets.
    assert "a read-only key gets none" in made.run("dump", "production:prod", str(tmp_path)).error
    for command in (("delete", "prod", "--yes"), ("sweep",), ("rollback", "prod", "--yes")):
        assert "`access: read`" in made.run(*asked, *command).error
    assert made.everything() == before
