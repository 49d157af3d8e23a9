"""API keys: what is stored of them, who they resolve to, and when they stop working."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.catalog.engine import Catalog
from clone_pipeline.core.catalog.keys import create_key, list_keys, resolve_key, revoke_key
from clone_pipeline.core.errors import InvalidRequest, NotFound, Unauthorized
from clone_pipeline.core.principal import Principal

from .rows import NOW, add_organization

_LATER = NOW + timedelta(hours=1)


def test_the_first_key_of_a_fresh_database_makes_its_organization(catalog: Catalog) -> None:
    api_key, key_id = create_key(catalog, "org_new", "admin", NOW)
    assert re.fullmatch(r"sk_[A-Za-z0-9_-]{43}", api_key)
    assert resolve_key(catalog, api_key, NOW) == Principal("org_new", "admin", key_id)
    with catalog.read() as connection:
        row = connection.execute(select(schema.organizations)).one()
    assert (row.organization_id, row.internal_id, row.created_at) == ("org_new", "org_new", NOW)


def test_keys_of_one_organization_differ(catalog: Catalog) -> None:
    made = [create_key(catalog, "org_a", role, NOW) for role in ("admin", "member", "read")]
    assert len({api_key for api_key, _ in made}) == 3
    assert [resolve_key(catalog, api_key, NOW).role for api_key, _ in made] == [
        "admin",
        "member",
        "read",
    ]


def test_without_a_name_the_only_organization_is_meant(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match="no organization yet; name the first one"):
        create_key(catalog, None, "admin", NOW)
    with catalog.write() as connection:
        add_organization(connection, "org_a")
    api_key, _ = create_key(catalog, None, "member", NOW)
    assert resolve_key(catalog, api_key, NOW).organization_id == "org_a"
    with catalog.write() as connection:
        add_organization(connection, "org_b")
    with pytest.raises(
        InvalidRequest, match="several organizations; choose with --organization ID: org_a, org_b"
    ):
        create_key(catalog, None, "admin", NOW)


@pytest.mark.parametrize("organization_id", ["", " org", "a\x00b", "a\nb", "x" * 129])
def test_an_organization_that_cannot_be_stored_is_refused(
    catalog: Catalog, organization_id: str
) -> None:
    with pytest.raises(InvalidRequest, match="1 to 128 printable characters"):
        create_key(catalog, organization_id, "admin", NOW)


def test_an_unknown_role_or_a_past_expiry_is_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match="admin, member, read"):
        create_key(catalog, "org_a", "owner", NOW)
    with pytest.raises(InvalidRequest, match="is over"):
        create_key(catalog, "org_a", "admin", NOW, expires_at=NOW)
    assert list_keys(catalog) == []


def test_neither_the_database_nor_the_list_holds_the_key(catalog: Catalog) -> None:
    api_key, key_id = create_key(catalog, "org_a", "admin", NOW, expires_at=_LATER)
    with catalog.read() as connection:
        stored = repr(connection.execute(select(schema.api_keys)).all())
        key_hash = connection.execute(select(schema.api_keys.c.key_hash)).scalar_one()
    assert api_key.removeprefix("sk_") not in stored
    assert list_keys(catalog) == [
        {
            "key_id": key_id,
            "organization_id": "org_a",
            "role": "admin",
            "created_at": "2026-11-23T12:00:00+00:00",
            "expires_at": "2026-11-23T13:00:00+00:00",
            "revoked_at": None,
        }
    ]
    assert key_hash not in repr(list_keys(catalog))


def test_the_list_can_be_of_one_organization(catalog: Catalog) -> None:
    _, first = create_key(catalog, "org_a", "admin", NOW)
    _, second = create_key(catalog, "org_b", "admin", _LATER)
    assert [key["key_id"] for key in list_keys(catalog)] == [first, second]
    assert [key["key_id"] for key in list_keys(catalog, "org_b")] == [second]
    assert list_keys(catalog, "org_c") == []


def test_unknown_expired_and_revoked_keys_are_refused_alike(catalog: Catalog) -> None:
    expired, _ = create_key(catalog, "org_a", "admin", NOW, expires_at=_LATER)
    revoked, revoked_id = create_key(catalog, "org_a", "admin", NOW)
    good, _ = create_key(catalog, "org_a", "admin", NOW)
    revoke_key(catalog, revoked_id, NOW)
    sentences = set()
    for api_key in (expired, revoked, "sk_unknown", "", good.upper(), "sk_\ud800", "\x00"):
        with pytest.raises(Unauthorized) as caught:
            resolve_key(catalog, api_key, _LATER)
        sentences.add(caught.value.message)
        assert caught.value.details == {}
    assert len(sentences) == 1
    assert resolve_key(catalog, expired, _LATER - timedelta(seconds=1)).role == "admin"
    assert resolve_key(catalog, good, _LATER).role == "admin"


def test_revoking_twice_keeps_the_first_time(catalog: Catalog) -> None:
    _, key_id = create_key(catalog, "org_a", "admin", NOW)
    revoke_key(catalog, key_id, NOW)
    revoke_key(catalog, key_id, _LATER)
    assert list_keys(catalog)[0]["revoked_at"] == NOW.isoformat()


def test_revoking_an_unknown_key_says_so(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="key_nothing"):
        revoke_key(catalog, "key_nothing", NOW)
