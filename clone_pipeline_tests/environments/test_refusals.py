"""All that is refused between environments: each with its sentence and exit code, and nothing is
written anywhere."""

# A sentence a line reads best as a table.
# ruff: noqa: E501

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from clone_pipeline.core.catalog.engine import HEAD

from ..cli.conftest import dagster_home
from .proxy import days_ahead, forwarding, port_of
from .servers import asking_for_passwords, qdrants
from .two import PRODUCTION
from .world import STAGING, World, made

__all__ = ["dagster_home", "made", "qdrants"]  # fixtures

pytestmark = pytest.mark.outside

OLD = f"{int(HEAD) - 1:04}"
CLONE = ("clone", "production:prod", "copy")
COPYING = (*CLONE, "--files", "copy")
CHECK = ("environments", "check", PRODUCTION)


@dataclass
class Case:
    """`spoil` changes a world that works, and may open what ends with the test."""

    spoil: Callable[[World, ExitStack], None]
    code: int
    sentence: str
    command: tuple[str, ...] = CLONE


def entry(**values: Any) -> Callable[[World, ExitStack], None]:
    """Puts these in production's entry."""
    return lambda world, _: world.entries[PRODUCTION].update(values)


def variable(**values: str | None) -> Callable[[World, ExitStack], None]:
    def spoil(world: World, _: ExitStack) -> None:
        for name, value in values.items():
            if value is None:
                del world.variables[name]
            else:
                world.variables[name] = value

    return spoil


def nothing(world: World, opened: ExitStack) -> None:
    """What is wrong is what is asked for."""


def same_catalog(world: World, opened: ExitStack) -> None:
    world.variables["PRODUCTION_CATALOG_URL"] = world.variables["CATALOG_URL"].replace(
        "127.0.0.1", "localhost"
    )
    world.variables["PRODUCTION_KEY"] = world.variables["CLONE_PIPELINE_API_KEY"]


def same_catalog_by_a_proxy(world: World, opened: ExitStack) -> None:
    own = port_of(world.variables["CATALOG_URL"])
    port = opened.enter_context(forwarding(own))
    same_catalog(world, opened)
    url = world.variables["CATALOG_URL"].replace(str(own), str(port))
    world.variables["PRODUCTION_CATALOG_URL"] = url


def same_qdrant(world: World, opened: ExitStack) -> None:
    """By the name of the host that no comparison of addresses would notice."""
    _name_own_qdrant(world, world.variables["QDRANT_URL"].replace("127.0.0.1", "localhost"))


def same_qdrant_by_a_proxy(world: World, opened: ExitStack) -> None:
    port = opened.enter_context(forwarding(port_of(world.variables["QDRANT_URL"])))
    _name_own_qdrant(world, f"http://127.0.0.1:{port}")


def _name_own_qdrant(world: World, url: str) -> None:
    world.entries[PRODUCTION]["qdrant"]["url"] = url


def wrong_password(world: World, opened: ExitStack) -> None:
    url = world.variables["PRODUCTION_CATALOG_URL"]
    role = str(psycopg.conninfo.conninfo_to_dict(url)["user"])
    opened.enter_context(asking_for_passwords(world.server, role))
    world.variables["PRODUCTION_CATALOG_URL"] = url.replace("only-reads", "only-hush")


def schema(version: str) -> Callable[[World, ExitStack], None]:
    """Lets production's catalog have another one."""

    def spoil(world: World, opened: ExitStack) -> None:
        name = f"test_{uuid.uuid4().hex}"
        world.server.execute(f"CREATE DATABASE {name} TEMPLATE {world.server.template}")
        opened.callback(world.server.execute, f"DROP DATABASE {name} WITH (FORCE)")
        url = world.server.address(name)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE clone_pipeline_version SET version_num = %s", (version,))
        world.variables["PRODUCTION_CATALOG_URL"] = url

    return spoil


def a_day_ahead(store: str) -> Callable[[World, ExitStack], None]:
    def spoil(world: World, opened: ExitStack) -> None:
        place = world.entries[PRODUCTION][store]
        key = "url" if store == "qdrant" else "endpoint_url"
        port = opened.enter_context(forwarding(port_of(place[key]), days_ahead(1)))
        place[key] = f"http://127.0.0.1:{port}"

    return spoil


def no_right_to_the_key(world: World, opened: ExitStack) -> None:
    """What AWS answers where a file is encrypted with a key that its KMS does not use for us."""
    message = "is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-1:1:key/2"
    body = f"<Error><Code>AccessDenied</Code><Message>User u {message}</Message></Error>"
    answers = iter([f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\n\r\n{body}"])
    place = world.entries[PRODUCTION]["files"]
    change = forwarding(port_of(place["endpoint_url"]), lambda _: next(answers, "").encode())
    place["endpoint_url"] = f"http://127.0.0.1:{opened.enter_context(change)}"


def no_bucket(world: World, opened: ExitStack) -> None:
    world.entries[PRODUCTION]["files"]["bucket"] = "no-such-bucket"


CASES = {
    "a target that is only read": Case(
        nothing,
        2,
        "The environment 'production' has `access: read`: it can be a source, and never a target.",
        ("clone", "production:prod", "production:copy"),
    ),
    "a push into one that is only read": Case(
        nothing,
        2,
        "The environment 'production' has `access: read`: it can be a source, and never a target.",
        ("clone", "prod", "production:copy"),
    ),
    "an environment that is not in the file": Case(
        nothing,
        2,
        "There is no environment 'prodution'; FILE has default, production, staging.",
        ("clone", "prod", "copy", "--source-environment", "prodution"),
    ),
    "a variable that is not set": Case(
        variable(PRODUCTION_KEY=None),
        2,
        "FILE: the environment 'production' needs the variable PRODUCTION_KEY, which is not set.",
    ),
    "an address that is no catalog's": Case(
        variable(PRODUCTION_CATALOG_URL="mysql://127.0.0.1/db"),
        2,
        "FILE: the `catalog_url` of the environment 'production' names mysql; PostgreSQL and SQLite are supported.",
    ),
    "one catalog under two names": Case(
        same_catalog,
        2,
        "The environments 'production' and 'default' have the same catalog, so they are one; leave 'production' out.",
    ),
    "one catalog behind a proxy": Case(
        same_catalog_by_a_proxy,
        2,
        "The environments 'production' and 'default' have the same catalog, so they are one; leave 'production' out.",
    ),
    "one Qdrant under two names": Case(
        same_qdrant,
        2,
        "The environments 'production' and 'default' have the same Qdrant; give the target one of its own.",
    ),
    "one Qdrant behind a proxy": Case(
        same_qdrant_by_a_proxy,
        2,
        "The environments 'production' and 'default' have the same Qdrant; give the target one of its own.",
    ),
    "a wrong key of Qdrant": Case(
        variable(PRODUCTION_QDRANT_KEY="wrong"),
        1,
        "Qdrant at ADDRESS does not let this API key do that: HTTP status 401 Unauthorized.",
    ),
    "a wrong key of the target's Qdrant": Case(
        variable(QDRANT_API_KEY="wrong"),
        1,
        "Qdrant at OWN does not let this API key do that: HTTP status 401 Unauthorized.",
    ),
    "a wrong password of PostgreSQL": Case(
        wrong_password,
        1,
        "password authentication failed for user",
    ),
    "an API key that the catalog does not know": Case(
        variable(PRODUCTION_KEY="sk_unknown"),
        2,
        "The API key is unknown, expired or revoked",
    ),
    "a schema that is too old": Case(
        schema(OLD),
        2,
        f"The catalog of the environment 'production' has a schema of version {OLD}, and this program reads {HEAD}: upgrade clone-pipeline there.",
    ),
    "a schema that is too new": Case(
        schema("9999"),
        2,
        f"The catalog of the environment 'production' has a schema of version 9999, and this program reads {HEAD}: upgrade clone-pipeline here.",
    ),
    "a wrong key of S3": Case(
        variable(AWS_SECRET_ACCESS_KEY="wrong"),
        1,
        "S3 refuses the request (SignatureDoesNotMatch); check AWS_SECRET_ACCESS_KEY, or the profile.",
        ("environments", "check", STAGING),
    ),
    "a wrong key of S3, of a clone that copies files": Case(
        variable(AWS_SECRET_ACCESS_KEY="wrong", CLONE_FILES_BUCKET="copies"),
        2,
        "to which files would be copied, refuses these credentials (403).",
        COPYING,
    ),
    "a bucket that is not there": Case(
        no_bucket,
        1,
        "S3 refuses the request (NoSuchBucket); make it first, or name another one.",
        CHECK,
    ),
    "a bucket that is not there, of a clone that copies files": Case(
        variable(CLONE_FILES_BUCKET="no-such-bucket"),
        2,
        "There is no bucket 'no-such-bucket' at S3 to copy files to; make it first.",
        COPYING,
    ),
    "a file that KMS does not decrypt for us": Case(
        no_right_to_the_key,
        0,
        "An object's file cannot be read, as copies would: s3://BUCKET/there: S3 refuses the request (AccessDenied); its credentials need kms:Decrypt for the key with which the file is encrypted.",
        CHECK,
    ),
    "a clock of Qdrant that is a day off": Case(
        a_day_ahead("qdrant"),
        1,
        "The clock of Qdrant is 24.0 h ahead of ours (",
        CHECK,
    ),
    "a clock of S3 that is a day off": Case(
        a_day_ahead("files"),
        1,
        "; S3 refuses requests from 15 min on; set both by NTP.",
        CHECK,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_refused_with_a_sentence_and_nothing_is_written(made: World, case: Case) -> None:
    before = made.everything()
    world = made.changed()
    with ExitStack() as opened:
        case.spoil(world, opened)
        said = world.run(*case.command)
    told = said.stdout if case.command[0] == "environments" else said.error
    address = world.entries[PRODUCTION]["qdrant"]["url"]
    names = {
        world.variables["S3_ENDPOINT_URL"]: "S3",
        str(world.file): "FILE",
        made.bucket: "BUCKET",
        address: "ADDRESS",
        world.variables["QDRANT_URL"]: "OWN",
    }
    for text, name in names.items():
        told = told.replace(text, name)
    assert case.sentence in told
    assert said.code == case.code
    assert made.everything() == before
