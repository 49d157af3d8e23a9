"""Text that a database cannot keep is told in the same words at every door, on both databases."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from clone_pipeline.api.runs import Runs
from clone_pipeline.core.catalog import namespaces
from clone_pipeline.core.catalog.keys import create_key, revoke_key
from clone_pipeline.core.errors import CloneError, InvalidRequest, NotFound
from clone_pipeline.core.ledger import clones as ledger
from clone_pipeline.core.request import parse_request
from clone_pipeline_tests import harness
from clone_pipeline_tests.api.world import opened
from clone_pipeline_tests.core.bundle.samples import sample

WORDS = {
    "a\0b": "holds the character NUL, which a database cannot keep.",
    "a\ud800b": "holds half a surrogate pair, which is not text.",
}
JSON = "application/json"
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", WORDS, ids=ascii)
@pytest.mark.parametrize(
    "field", ["namespace_name", "description", "organization_id", "source_organization_id"]
)
def test_a_request_says_which_field_it_is(field: str, text: str) -> None:
    values = {"namespace_identifier": "prod", "namespace_name": "copy", field: text}
    with pytest.raises(InvalidRequest) as caught:
        parse_request(values)
    assert caught.value.message == f"`{field}` {WORDS[text]}"


@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_what_is_looked_up_is_not_there(tmp_path: Path, catalog_url: str, text: str) -> None:
    with harness.holding(tmp_path, sample(), catalog_url=catalog_url) as stores:
        with stores.catalog.read() as connection:
            assert namespaces.find(connection, None, text) is None
            assert namespaces.find(connection, text, "prod") is None
            assert not namespaces.has_organization(connection, text)
        with pytest.raises(NotFound):
            revoke_key(stores.catalog, text, NOW)
        with pytest.raises((NotFound, InvalidRequest)):
            harness.clone(stores, text, "copy")
        with pytest.raises(InvalidRequest):
            create_key(stores.catalog, text, "admin", NOW)


@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_an_error_that_quotes_it_is_kept(tmp_path: Path, catalog_url: str, text: str) -> None:
    with harness.holding(tmp_path, sample(), catalog_url=catalog_url) as stores:
        run_id = harness.new_run()
        made = harness.clone(stores, "prod", "copy", run_id=run_id, until="copy_points")
        ledger.fail(stores, made.clone_id, run_id, f"The key {text} is gone.")
        with stores.catalog.read() as connection:
            error = ledger.get(connection, made.clone_id).error
    assert error in (r"The key a\x00b is gone.", r"The key a\ud800b is gone.")


BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("/v1/namespaces/prod/clone", "namespace_name", {}),
    ("/v1/namespaces/prod/clone", "description", {"namespace_name": "copy"}),
    ("/v1/namespaces/prod/clone", "source_organization_id", {"namespace_name": "copy"}),
    ("/v1/templates/namespaces/from-namespace/prod", "template_name", {}),
    ("/v1/templates/namespaces/from-namespace/prod", "description", {"template_name": "t"}),
    ("/v1/templates/namespaces/from-namespace/prod", "category", {"template_name": "t"}),
    ("/v1/templates/namespaces/from-namespace/prod", "tags", {"template_name": "t"}),
    ("/v1/namespaces/list", "search", {}),
]


@pytest.mark.outside
@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_the_api_says_which_field_it_is(tmp_path: Path, catalog_url: str, text: str) -> None:
    with opened(tmp_path, Runs("http://127.0.0.1:9"), catalog_url=catalog_url) as world:
        files = sample()
        files["namespace.json"]["infrastructure"] = None
        harness.load(world.stores, files)
        for path, field, more in BODIES:
            body = {**more, field: [text] if field == "tags" else text}
            # Escaped, as JSON can say it.
            json_body = {"content": json.dumps(body), "headers": {"Content-Type": JSON}}
            answer = world.ask("POST", path, "admin", **json_body)
            assert answer.status_code == 422, (path, field, answer.text)
            assert answer.json()["error"]["message"] == f"`{field}` {WORDS[text]}"
        for path in ("/v1/namespaces/a%00b", "/v1/templates/namespaces/a%00b", "/v1/tasks/a%00b"):
            assert world.ask("GET", path).status_code == 404


@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_a_bundle_says_which_field_it_is(tmp_path: Path, catalog_url: str, text: str) -> None:
    with harness.open_stores(tmp_path, catalog_url) as stores:
        for file, field in (
            ("namespace.json", "namespace_name"),
            ("buckets.jsonl", "bucket_name"),
            ("objects.jsonl", "object_id"),
            ("collections.jsonl", "collection_id"),
            ("taxonomies.jsonl", "taxonomy_name"),
        ):
            files = sample()
            document = files[file] if file == "namespace.json" else files[file][0]
            document[field] = text
            with pytest.raises(CloneError) as caught:
                harness.load(stores, files)
            assert caught.value.message.endswith(f": `{field}` {WORDS[text]}")
