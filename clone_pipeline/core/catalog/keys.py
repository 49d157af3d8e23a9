"""API keys: made, listed, revoked, and resolved to who holds them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..errors import InvalidRequest, NotFound, Unauthorized
from ..principal import ROLES, Principal
from ..text import keepable
from ..words import Hint
from .engine import Catalog
from .schema import api_keys, organizations

_LONGEST_ORGANIZATION = 128  # the column's


def create_key(
    catalog: Catalog,
    organization_id: str | None,
    role: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[str, str]:
    """A new API key and its id; the key itself is shown here and never again.

    `organization_id` None means the only organization there is. One that is named and new is made:
    on a fresh database the first key comes before everything else.

    Raises InvalidRequest for an unknown role, a time that is over, or no clear organization.
    """
    if role not in ROLES:
        raise InvalidRequest(f"Role {role!r} is unknown; use one of: {', '.join(ROLES)}.")
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest(f"The key would expire at {expires_at.isoformat()}, which is over.")
    # Not for a test to foresee, so the one source of chance that nobody passes in.
    api_key = f"sk_{secrets.token_urlsafe(32)}"
    key_id = f"key_{secrets.token_hex(8)}"
    with catalog.write() as connection:
        if organization_id is None:
            organization_id = only_organization(connection)
        else:
            ensure_organization(connection, organization_id, now)
        connection.execute(
            insert(api_keys).values(
                key_id=key_id,
                organization_id=organization_id,
                role=role,
                key_hash=_hash(api_key),
                created_at=now,
                expires_at=expires_at,
            )
        )
    return api_key, key_id


def list_keys(catalog: Catalog, organization_id: str | None = None) -> list[dict[str, Any]]:
    """The keys of one organization or of all, oldest first, times as ISO 8601; never the hash."""
    shown = [column for column in api_keys.c if column is not api_keys.c.key_hash]
    query = select(*shown).order_by(api_keys.c.created_at, api_keys.c.key_id)
    if organization_id is not None:
        query = query.where(api_keys.c.organization_id == organization_id)
    with catalog.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def find_key(catalog: Catalog, key_id: str) -> dict[str, Any]:
    """One of `list_keys`. Raises NotFound for an id that no key has."""
    found = next((key for key in list_keys(catalog) if key["key_id"] == key_id), None)
    if found is None:
        raise _unknown(key_id)
    return found


def revoke_key(catalog: Catalog, key_id: str, now: datetime) -> None:
    """The key stops working; nothing changes for one that has been revoked before.

    Raises NotFound for an id that no key has.
    """
    with catalog.write() as connection:
        known = connection.execute(
            select(api_keys.c.revoked_at).where(api_keys.c.key_id == keepable(key_id))
        ).one_or_none()
        if known is None:
            raise _unknown(key_id)
        if known.revoked_at is None:
            connection.execute(
                update(api_keys).where(api_keys.c.key_id == key_id).values(revoked_at=now)
            )


def _unknown(key_id: str) -> NotFound:
    return NotFound(
        f"There is no API key with the id {key_id}",
        Hint("; `clone-pipeline keys list` shows all"),
        ".",
        key_id=key_id,
    )


def resolve_key(catalog: Catalog, api_key: str, now: datetime) -> Principal:
    """Who holds the key.

    Raises Unauthorized with one and the same sentence for an unknown, an expired and a revoked
    key, so that an answer says nothing about keys that exist.
    """
    digest = _hash(api_key)
    with catalog.read() as connection:
        row = connection.execute(
            select(api_keys).where(api_keys.c.key_hash == digest)
        ).one_or_none()
    # The index finds a hash, whose bytes a caller cannot choose; this comparison makes sure that
    # no part of the answer's time depends on how much of it was right.
    if row is None or not hmac.compare_digest(row.key_hash, digest) or not _is_valid(row, now):
        raise Unauthorized(
            "The API key is unknown, expired or revoked; make a new one with "
            "`clone-pipeline keys create`."
        )
    return Principal(row.organization_id, row.role, row.key_id)


def refuse_invalid(connection: Connection, key_id: str | None, now: datetime) -> None:
    """Raises Unauthorized for a key that works no more. The local operator has None."""
    if key_id is None:
        return
    query = select(api_keys).where(api_keys.c.key_id == key_id)
    row = connection.execute(query).one_or_none()
    if row is None or not _is_valid(row, now):
        raise Unauthorized(
            f"The API key {key_id}, which asked for this, has expired or was revoked; ask for it "
            "again with another one."
        )


def _is_valid(row: Any, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def _hash(api_key: str) -> str:
    # A slow, salted hash protects passwords that people choose. A key is 256 random bits: there is
    # nothing to guess or to precompute, and it is resolved on every request.
    # Environments give undecodable bytes as lone surrogates, which strict UTF-8 refuses.
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()


def only_organization(connection: Connection) -> str:
    """Raises InvalidRequest where there is none, or several."""
    found = connection.execute(
        select(organizations.c.organization_id).order_by(organizations.c.organization_id).limit(11)
    )
    names: list[str] = list(found.scalars())
    if not names:
        raise InvalidRequest(
            "The catalog holds no organization yet; name the first one with --organization ID."
        )
    if len(names) > 1:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise InvalidRequest(
            f"The catalog holds several organizations; choose with --organization ID: {shown}."
        )
    return names[0]


def ensure_organization(connection: Connection, organization_id: str, now: datetime) -> None:
    """Makes it where it is new. Raises InvalidRequest for an id that cannot be one."""
    usable = organization_id.isprintable() and organization_id == organization_id.strip()
    if not usable or not 1 <= len(organization_id) <= _LONGEST_ORGANIZATION:
        raise InvalidRequest(
            "An organization's id has 1 to 128 printable characters and no space around them "
            f"(got {organization_id[:80]!r})."
        )
    known = select(organizations).where(organizations.c.organization_id == organization_id)
    if connection.execute(known).first() is not None:
        return
    try:
        with connection.begin_nested():
            connection.execute(
                insert(organizations).values(
                    organization_id=organization_id, internal_id=organization_id, created_at=now
                )
            )
    except IntegrityError:
        # Another process made it between the two statements, which is as good.
        return
