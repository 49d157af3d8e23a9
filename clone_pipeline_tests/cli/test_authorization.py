"""Who may do what at the command line, by the key in the environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import create_key, revoke_key
from clone_pipeline.core.principal import Role
from clone_pipeline_tests import harness
from clone_pipeline_tests.cli.prod import contents, prod
from clone_pipeline_tests.cli.running import run
from clone_pipeline_tests.sources import write_bundle

Login = Callable[..., None]


@pytest.fixture
def login(home: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Puts a new key into the environment."""

    def with_key(organization_id: str, role: Role) -> None:
        api_key, _ = _key(home, organization_id, role)
        monkeypatch.setenv("CLONE_PIPELINE_API_KEY", api_key)

    return with_key


def _key(home: Path, organization_id: str, role: Role, age_days: int = 0) -> tuple[str, str]:
    made = datetime.now(timezone.utc) - timedelta(days=age_days)
    catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
    try:
        return create_key(catalog, organization_id, role, made, made + timedelta(hours=1))
    finally:
        catalog.close()


# ---- reading and writing ---------------------------------------------------------------------

READING = [
    ["list"],
    ["show", "prod"],
    ["plan", "prod", "new"],
    ["verify", "staging"],
    ["verify", "prod", "staging"],
    ["sweep", "--dry-run"],
]
WRITING = [
    ["clone", "prod", "new"],
    ["clone", "prod", "staging", "--if-exists", "replace"],
    ["load", "bundle"],
    ["resume", "half"],
    ["restore", "staging", "new"],
    ["rollback", "staging"],
    ["sweep"],
    ["delete", "staging", "--yes"],
    ["demo"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_read_only_key_may_look(arguments: list[str], login: Login, home: Path) -> None:
    login("org_acme", "read")
    before = contents(home)
    answer = run(*arguments, "--json")
    assert answer.code == 0
    assert answer.json
    assert contents(home) == before


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_read_only_key_may_change_nothing(
    arguments: list[str], login: Login, home: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "bundle", prod("ns_new0000001", "new"))
    login("org_acme", "read")
    before = contents(home)
    answer = run(*arguments, "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "forbidden"
    assert answer.error == "A key with role 'read' may look, but not change anything."
    assert contents(home) == before


def test_a_read_only_key_gets_no_dump_because_of_the_secrets_in_it(
    login: Login, tmp_path: Path
) -> None:
    login("org_acme", "read")
    answer = run("dump", "prod", str(tmp_path / "out"), "--json")
    assert answer.code == 2
    assert "secrets" in answer.error
    assert not (tmp_path / "out").exists()


# ---- other organizations ---------------------------------------------------------------------

# What a member of org_acme asks about org_other's namespace, and about one that does not exist.
FOREIGN = [
    ["clone", "{}", "new"],
    ["clone", "{}", "new", "--source-organization-id", "org_other"],
    ["plan", "{}", "new"],
    ["plan", "{}", "new", "--source-organization-id", "org_other"],
    ["show", "{}"],
    ["dump", "{}", "out"],
    ["verify", "{}"],
    ["verify", "{}", "staging"],
    ["resume", "{}"],
    ["restore", "{}", "new"],
    ["rollback", "{}"],
    ["delete", "{}", "--yes"],
]


@pytest.mark.parametrize("name", ["elsewhere", "ns_elsewhere1"])
@pytest.mark.parametrize("arguments", FOREIGN, ids=" ".join)
def test_what_belongs_to_others_does_not_exist(
    arguments: list[str], name: str, login: Login, home: Path
) -> None:
    login("org_acme", "member")
    before = contents(home)
    there = run(*(part.format(name) for part in arguments))
    not_there = run(*(part.format("ns_nowhere001") for part in arguments))
    assert (there.code, not_there.code) == (2, 2)
    assert there.error.replace(name, "X") == not_there.error.replace("ns_nowhere001", "X")
    assert contents(home) == before


@pytest.mark.parametrize("organization", ["org_other", "org_none"])
def test_a_clone_lands_in_no_other_organization(
    organization: str, login: Login, home: Path
) -> None:
    login("org_acme", "member")
    answer = run("plan", "prod", "new", "--organization-id", organization)
    assert answer.code == 2
    assert answer.error == f"There is no organization {organization!r} for the clone to land in."


@pytest.mark.parametrize("organization", ["org_other", "org_none"])
def test_a_bundle_lands_in_no_other_organization(
    organization: str, login: Login, home: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "bundle", prod("ns_new0000001", "new", organization))
    login("org_acme", "member")
    before = contents(home)
    answer = run("load", "bundle")
    assert answer.code == 2
    assert f"There is no organization {organization!r}" in answer.error
    assert contents(home) == before


def test_a_key_sees_its_own_organization_only(login: Login) -> None:
    login("org_acme", "admin")
    assert {row["organization_id"] for row in run("list", "--json").json} == {"org_acme"}
    login("org_other", "read")
    assert [row["namespace_name"] for row in run("list", "--json").json] == ["elsewhere"]


def test_an_admin_names_the_other_organization(login: Login, home: Path) -> None:
    login("org_other", "admin")
    assert run("plan", "prod", "new").code == 2
    answer = run("plan", "prod", "new", "--source-organization-id", "org_acme", "--json")
    assert answer.json["source"]["organization_id"] == "org_acme"
    assert answer.json["target"]["organization_id"] == "org_other"


def test_a_source_of_others_is_compared_with_by_an_admin_only(login: Login, home: Path) -> None:
    """A clone that an operator put here from another organization tells nothing about its source
    beyond what it holds."""
    with harness.open_stores(home) as stores:
        harness.clone(stores, "elsewhere", "foreign", organization_id="org_acme")
    login("org_acme", "member")
    assert run("verify", "foreign").code == 0
    refused = run("verify", "elsewhere", "foreign")
    assert (refused.code, "There is no namespace 'elsewhere'" in refused.error) == (2, True)
    login("org_acme", "admin")
    assert run("verify", "elsewhere", "foreign").code == 0


def test_the_demo_needs_its_organization(login: Login, home: Path) -> None:
    login("org_acme", "member")
    before = contents(home)
    answer = run("demo", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "not_found"
    assert contents(home) == before


# ---- the key itself --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["wrong", "expired", "revoked"])
def test_a_key_that_is_none_is_refused_without_saying_why(
    state: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_key, key_id = _key(home, "org_acme", "admin", age_days=state == "expired")
    if state == "revoked":
        catalog = Catalog.open(f"sqlite:///{home / 'catalog.db'}")
        revoke_key(catalog, key_id, datetime.now(timezone.utc))
        catalog.close()
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", "sk_guess" if state == "wrong" else api_key)
    answer = run("list", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "unauthorized"
    assert answer.error.startswith("The API key is unknown, expired or revoked;")


def test_a_key_can_be_made_that_expires(home: Path) -> None:
    made = run("keys", "create", "--organization", "org_acme", "--role", "read", "--days", "7")
    assert made.code == 0
    (listed,) = run("keys", "list", "--json").json
    lasts = datetime.fromisoformat(listed["expires_at"]) - datetime.now(timezone.utc)
    assert timedelta(days=6) < lasts < timedelta(days=7)


def test_a_shared_catalog_needs_a_key(
    postgres_url: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From nothing to a plan: the first key is made with access to the database only."""
    write_bundle(tmp_path / "bundle", prod("ns_shared00001", "shared"))
    monkeypatch.setenv("CATALOG_URL", postgres_url)
    for arguments in (["list"], ["load", "bundle"], ["clone", "prod", "new"], ["demo"]):
        answer = run(*arguments, "--json")
        assert answer.code == 2
        assert answer.json["error"]["code"] == "unauthorized"
        assert "CLONE_PIPELINE_API_KEY is needed" in answer.error
    assert run("keys", "create", "--role", "admin").code == 2
    made = run("keys", "create", "--organization", "org_acme", "--role", "member", "--json").json
    assert set(made) == {"api_key", "key_id"}
    monkeypatch.setenv("CLONE_PIPELINE_API_KEY", made["api_key"])
    assert run("list", "--json").json == []
    assert run("load", "bundle", "--json").json["points"] == 5
    assert run("plan", "shared", "new", "--json").json["target"]["organization_id"] == "org_acme"
    assert run("keys", "revoke", made["key_id"], "--yes", "--json").json["revoked"] is True
    assert run("list").code == 2
    [listed] = run("keys", "list", "--json").json
    assert made["api_key"] not in str(listed)
    assert listed["revoked_at"]
