"""What stands before every route: keys, roles, the rate limit, the size of bodies, request ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.catalog.keys import list_keys, revoke_key
from clone_pipeline.core.catalog.schema import clones
from clone_pipeline_tests.api.conftest import NOWHERE
from clone_pipeline_tests.api.world import World, key, opened

pytestmark = pytest.mark.outside

LIMIT_HEADERS = {
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-window",
}


def test_a_key_that_is_none_is_refused_without_saying_why(alone: World) -> None:
    stores = alone.stores
    revoked = key(stores, "org_acme", "admin")
    key_id = list_keys(stores.catalog)[-1]["key_id"]
    revoke_key(stores.catalog, key_id, stores.clock())
    expired = key(stores, "org_acme", "admin", timedelta(seconds=0.001))
    answers = [
        alone.ask("GET", "/v1/namespaces/prod", who) for who in (revoked, expired, "sk_guess")
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)
    assert all(answer.json()["error"]["code"] == "unauthorized" for answer in answers)


@pytest.mark.parametrize("path", ["/v1/namespaces/prod", "/v1/nothing", "/v1/namespaces/list"])
def test_without_a_key_nobody_learns_anything(path: str, alone: World) -> None:
    """Not even whether a path exists, or a body is well formed."""
    answer = alone.ask("POST", path, None, content=b"{not json")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "UnauthorizedError"


def test_the_health_of_the_service_is_told_without_a_key(alone: World) -> None:
    assert alone.ask("GET", "/healthz", None).json() == {"status": "ok"}
    answer = alone.ask("GET", "/readyz", None)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "ServiceUnavailableError")
    assert answer.headers["retry-after"] == "5"


def test_the_service_is_ready_when_dagster_answers(world: World) -> None:
    assert world.ask("GET", "/readyz", None).json() == {"status": "ok"}


def test_requests_are_counted_by_key_and_refused_above_the_limit(home: Path) -> None:
    with opened(home, Runs(NOWHERE), requests_per_minute=3) as world:
        answers = [world.ask("GET", "/v1/namespaces/prod") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers[:3]] == [
            "2",
            "1",
            "0",
        ]
        assert all(set(answer.headers) >= LIMIT_HEADERS for answer in answers)
        refused = answers[3]
        assert refused.headers["x-ratelimit-limit"] == "3"
        assert refused.headers["x-ratelimit-window"] == "60"
        wait = int(refused.headers["retry-after"])
        assert 1 <= wait <= 61
        assert refused.json()["error"]["type"] == "TooManyRequestsError"
        assert refused.json()["error"]["details"]["retry_after_seconds"] == wait
        # Another key is another caller.
        assert world.ask("GET", "/v1/namespaces/prod", "reader").status_code == 200


def test_guessing_keys_is_limited_by_address(home: Path) -> None:
    with opened(home, Runs(NOWHERE), requests_per_minute=2) as world:
        answers = [world.ask("GET", "/v1/namespaces/prod", f"sk_{n}").status_code for n in range(4)]
        assert answers == [401, 401, 429, 429]


def test_a_large_body_is_refused_before_it_is_read(alone: World) -> None:
    path = "/v1/namespaces/prod/clone"
    answer = alone.ask("POST", path, content=b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    answer = alone.ask("POST", path, content=chunks())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_every_answer_has_a_request_id(alone: World) -> None:
    given = alone.ask("GET", "/v1/namespaces/prod", headers={"X-Request-ID": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    for odd in ("", "a b", "x" * 65):
        made = alone.ask("GET", "/v1/nothing", headers={"X-Request-ID": odd})
        assert re.fullmatch(r"req_[0-9a-f]{16}", made.headers["x-request-id"])


def test_a_mistake_of_ours_is_an_envelope_with_the_id_to_find_it_by(
    alone: World, caplog: pytest.LogCaptureFixture
) -> None:
    with alone.stores.catalog.write() as connection:
        connection.execute(update(clones).values(response={"odd": "secret"}))
    answer = alone.ask("GET", "/v1/namespaces/staging", headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["type"], "secret" in answer.text) == ("InternalServerError", False)
    assert "find-me" in error["message"]
    assert "Request find-me failed unexpectedly." in caplog.text


# ---- roles -----------------------------------------------------------------------------------

WRITING = [
    ("POST", "/v1/namespaces/prod/clone", {"namespace_name": "new"}),
    ("DELETE", "/v1/namespaces/staging", None),
    ("POST", "/v1/templates/namespaces/from-namespace/prod", {"template_name": "t"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITING)
def test_a_read_only_key_may_look_and_change_nothing(
    method: str, path: str, body: object, alone: World
) -> None:
    answer = alone.ask(method, path, "reader", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "ForbiddenError")
    plan = {"namespace_name": "new"}
    assert alone.ask("POST", "/v1/namespaces/prod/clone/plan", "reader", json=plan).is_success
    assert alone.ask("GET", "/v1/namespaces/staging", "reader").is_success
