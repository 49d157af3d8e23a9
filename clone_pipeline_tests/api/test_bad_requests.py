"""Every bad request is answered with its documented status and the one envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from clone_pipeline.api.errors import TYPES
from clone_pipeline_tests.api.world import World
from clone_pipeline_tests.cli.prod import contents

CLONE, PLAN = "/v1/namespaces/prod/clone", "/v1/namespaces/prod/clone/plan"
LIST, TASKS = "/v1/namespaces/list", "/v1/tasks/list"
FROM, TEMPLATES = "/v1/templates/namespaces/from-namespace/prod", "/v1/templates/namespaces"
IN_PROD = {"X-Namespace": "prod"}


@dataclass(frozen=True)
class Bad:
    """`says` stands in the message."""

    method: str
    path: str
    status: int
    says: str
    body: Any = None
    who: str | None = "member"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.method} {self.path} {self.body or self.raw or ''}"[:90]


def clone(status: int, says: str, body: Any, **more: Any) -> Bad:
    return Bad("POST", CLONE, status, says, body, **more)


def named(status: int, says: str, **options: Any) -> Bad:
    return clone(status, says, {"namespace_name": "new", **options})


BAD = [
    # Keys.
    Bad("GET", "/v1/namespaces/prod", 401, "An API key is needed", who=None),
    Bad("GET", "/v1/namespaces/prod", 401, "unknown, expired or revoked", who="sk_guess"),
    Bad("GET", "/v1/namespaces/prod", 401, "needed", None, None, {"Authorization": "Basic eDp5"}),
    Bad("GET", "/v1/namespaces/prod", 401, "needed", None, None, {"Authorization": "Bearer"}),
    Bad("GET", "/v1/namespaces/prod", 401, "needed", None, None, {"Authorization": "sk_x"}),
    clone(401, "needed", {"namespace_name": "new"}, who=None),
    Bad("DELETE", "/v1/tasks/x", 401, "needed", who=None),
    # Roles.
    clone(403, "may look", {"namespace_name": "new"}, who="reader"),
    Bad("DELETE", "/v1/namespaces/staging", 403, "may look", who="reader"),
    Bad("DELETE", "/v1/tasks/anything", 403, "may look", who="reader"),
    Bad("POST", FROM, 403, "may look", {"template_name": "t"}, "reader"),
    # What is not there, or belongs to others.
    Bad("GET", "/v1/namespaces/nothing", 404, "no namespace 'nothing'"),
    Bad("GET", "/v1/namespaces/ns_elsewhere1", 404, "no namespace"),
    Bad("GET", "/v1/namespaces/elsewhere", 404, "no namespace", who="admin"),
    Bad("GET", "/v1/namespaces/%00", 404, "no namespace"),
    Bad("GET", "/v1/namespaces/" + "x" * 2000, 404, "no namespace"),
    Bad("DELETE", "/v1/namespaces/nothing", 404, "no namespace"),
    Bad("DELETE", "/v1/namespaces/elsewhere", 404, "no namespace", who="admin"),
    Bad("POST", "/v1/namespaces/nothing/clone", 404, "to clone", {"namespace_name": "new"}),
    Bad("POST", "/v1/namespaces/elsewhere/clone", 404, "to clone", {"namespace_name": "new"}),
    Bad("POST", "/v1/namespaces/%00/clone", 404, "to clone", {"namespace_name": "new"}),
    named(404, "to clone", source_organization_id="org_other"),
    named(404, "to clone", source_organization_id="org_none"),
    named(404, "no organization", organization_id="org_other"),
    named(404, "no organization", organization_id="org_none"),
    Bad("GET", "/v1/tasks/nothing", 404, "no task"),
    Bad("GET", "/v1/tasks/%00", 404, "no task"),
    Bad("DELETE", "/v1/tasks/nothing", 404, "no task"),
    Bad("GET", "/v1/buckets/nothing", 404, "no bucket", headers=IN_PROD),
    Bad("GET", "/v1/collections/nothing", 404, "no collection", headers=IN_PROD),
    Bad("GET", "/v1/retrievers/nothing", 404, "no retriever", headers=IN_PROD),
    Bad("GET", "/v1/taxonomies/nothing", 404, "no taxonomy", headers=IN_PROD),
    Bad("GET", "/v1/taxonomies/kinds?version=9", 404, "no taxonomy", headers=IN_PROD),
    Bad("GET", "/v1/buckets/videos", 404, "no namespace", headers={"X-Namespace": "elsewhere"}),
    Bad("POST", "/v1/buckets/list", 404, "no namespace", headers={"X-Namespace": "nothing"}),
    Bad("GET", f"{TEMPLATES}/tmpl_none", 404, "no template"),
    Bad("GET", f"{TEMPLATES}/%00", 404, "no template"),
    Bad(
        "POST", f"{TEMPLATES}/tmpl_none/instantiate", 404, "no template", {"namespace_name": "new"}
    ),
    Bad("POST", f"{TEMPLATES}/from-namespace/x", 404, "no namespace", {"template_name": "t"}),
    Bad("GET", "/v1/nothing", 404, "no such path"),
    Bad("GET", "/v1/namespaces/prod/", 404, "no such path"),
    # Methods.
    Bad("PUT", "/v1/namespaces/prod", 405, "no such method", {}),
    Bad("PATCH", "/v1/namespaces/prod", 405, "no such method", {}),
    Bad("GET", CLONE, 405, "no such method"),
    Bad("DELETE", "/v1/buckets/videos", 405, "no such method", headers=IN_PROD),
    # What is in the way.
    clone(409, "named 'staging' exists", {"namespace_name": "staging"}),
    clone(409, "not a clone of", {"namespace_name": "plain", "if_exists": "replace"}),
    clone(409, "is the id of a namespace", {"namespace_name": "ns_plain00001"}),
    Bad("POST", "/v1/namespaces/half/clone", 409, "not ready", {"namespace_name": "new"}),
    Bad("DELETE", "/v1/namespaces/prod", 409, "is no clone: it was loaded from a bundle."),
    Bad("POST", f"{TEMPLATES}/from-namespace/half", 409, "not ready", {"template_name": "t"}),
    # Dangling references.
    named(400, "would not resolve", on_dangling="fail"),
    # Bodies.
    clone(422, "not JSON", None, raw=b"{"),
    clone(422, "not JSON", None, raw=b"\xff\xfe"),
    clone(422, "not usable", None, raw=b""),
    clone(422, "not usable", [1]),
    clone(422, "not usable", "text"),
    clone(422, "`namespace_name` is not usable", {}),
    clone(422, "`namespace_name` is not usable", {"namespace_name": None}),
    clone(422, "`namespace_name` is not usable", {"namespace_name": ""}),
    clone(422, "`namespace_name` is not usable", {"namespace_name": "x" * 65}),
    clone(422, "`namespace_name` is not usable", {"namespace_name": 7}),
    clone(422, "control characters", {"namespace_name": "a\nb"}),
    clone(422, "control characters", {"namespace_name": " new"}),
    clone(422, "`namespace_name` holds half", None, raw=b'{"namespace_name": "\\ud800"}'),
    clone(422, "same namespace", {"namespace_name": "prod"}),
    named(422, "Unknown key `colections`; accepted are: namespace_name", colections=True),
    named(422, "Unknown key `namespace_identifier`", namespace_identifier="prod"),
    named(
        422,
        "Unknown key `points`; accepted are: collections, retrievers, taxonomies",
        include_resources={"points": True},
    ),
    named(422, "`include_resources.collections`", include_resources={"collections": "yes"}),
    named(422, "`include_resources` is not usable", include_resources=True),
    named(422, "copy-on-write", mode="branch"),
    named(422, "`mode` is not usable", mode="move"),
    named(422, "`ttl_seconds` is not usable", ttl_seconds=59),
    named(422, "`ttl_seconds` is not usable", ttl_seconds="60"),
    named(422, "`ttl_seconds` is not usable", ttl_seconds=60.5),
    named(422, "`description` is not usable", description=["x"]),
    named(422, "`if_exists` is not usable", if_exists="merge"),
    named(422, "`lane` is not usable", lane="fast"),
    named(422, "`lane: native` is not possible", lane="native"),
    named(422, "`verify` is not usable", verify=True),
    named(422, "`concurrent_slices` is not usable", concurrent_slices=65),
    named(422, "`max_points_per_second` is not usable", max_points_per_second=0),
    Bad("POST", PLAN, 422, "`namespace_name` is not usable", {}),
    Bad("POST", PLAN, 422, "Unknown key `x`", {"namespace_name": "new", "x": 1}),
    clone(
        422,
        "`header.Idempotency-Key`",
        {"namespace_name": "n"},
        headers={"Idempotency-Key": "x" * 256},
    ),
    # Lists.
    Bad("POST", f"{LIST}?limit=0", 422, "`query.limit` is not usable", {}),
    Bad("POST", f"{LIST}?limit=1001", 422, "`query.limit` is not usable", {}),
    Bad("POST", f"{LIST}?offset=10001", 422, "`query.offset` is not usable", {}),
    Bad("POST", f"{LIST}?offset=-1", 422, "`query.offset` is not usable", {}),
    Bad("POST", f"{LIST}?limit=many", 422, "`query.limit` is not usable", {}),
    Bad("POST", f"{LIST}?cursor=nonsense", 422, "`cursor` is not one", {}),
    Bad("POST", LIST, 422, "Unknown key `where`", {"where": {}}),
    Bad(
        "POST",
        LIST,
        422,
        "operators eq, ne",
        {"filters": {"AND": [{"field": "x", "operator": "like"}]}},
    ),
    Bad("POST", LIST, 422, "takes a list", {"filters": {"OR": {"field": "x"}}}),
    Bad("POST", LIST, 422, "each condition is an object", {"filters": {"AND": ["x"]}}),
    Bad(
        "POST",
        LIST,
        422,
        "`sort.direction` is not usable",
        {"sort": {"field": "x", "direction": "up"}},
    ),
    Bad("POST", LIST, 422, "`search` is not usable", {"search": 7}),
    Bad("POST", TASKS, 422, "Unknown key `state`", {"state": "x"}),
    Bad("POST", "/v1/retrievers/list", 422, "`X-Namespace` is needed", {}),
    Bad("GET", "/v1/retrievers/search", 422, "`X-Namespace` is needed"),
    Bad("GET", "/v1/taxonomies/kinds?version=0", 422, "`query.version`", headers=IN_PROD),
    # Templates.
    Bad("POST", FROM, 422, "`template_name` is not usable", {}),
    Bad("POST", FROM, 422, "`scope` is not usable", {"template_name": "t", "scope": "system"}),
    Bad("POST", FROM, 422, "`is_public` is not usable", {"template_name": "t", "is_public": True}),
    Bad("POST", f"{TEMPLATES}/x/instantiate", 422, "`namespace_name`", {"namespace_name": "ab"}),
]


@pytest.fixture(scope="module")
def world(made_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for all of them: none may change it."""
    import shutil

    from clone_pipeline.api.runs import Runs
    from clone_pipeline_tests.api.conftest import NOWHERE
    from clone_pipeline_tests.api.world import opened

    home = shutil.copytree(made_world, tmp_path_factory.mktemp("bad") / "home")
    with opened(home, Runs(NOWHERE)) as world:
        yield world, contents(home)


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_request_is_answered_with_status_and_envelope(
    bad: Bad, world: tuple[World, Any]
) -> None:
    there, before = world
    content = bad.raw if bad.body is None else json.dumps(bad.body).encode()
    headers = {"Content-Type": "application/json", **bad.headers}
    answer = there.ask(bad.method, bad.path, bad.who, headers=headers, content=content)
    assert answer.status_code == bad.status, answer.text
    document = answer.json()
    assert set(document) == {"success", "status", "error"}
    assert (document["success"], document["status"]) == (False, bad.status)
    error = document["error"]
    assert set(error) == {"message", "type", "code", "details"}
    assert error["type"] == TYPES[bad.status]
    assert error["code"]
    assert bad.says in error["message"], error["message"]
    assert error["message"].endswith((".", "?"))
    assert answer.headers["x-request-id"]
    assert contents(there.home) == before


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 60
    assert {bad.status for bad in BAD} == {400, 401, 403, 404, 405, 409, 422}


def test_a_body_that_is_not_usable_names_every_mistake(alone: World) -> None:
    answer = alone.clone("prod", namespace_name="", ttl_seconds=1)
    found = answer.json()["error"]["details"]["validation_errors"]
    assert [one["location"] for one in found] == [
        ["body", "namespace_name"],
        ["body", "ttl_seconds"],
    ]
    assert all(set(one) == {"type", "location", "message"} for one in found)
