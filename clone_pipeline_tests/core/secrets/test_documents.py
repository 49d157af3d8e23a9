"""What counts as a secret, and what is left of a document without it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clone_pipeline.core import secrets
from clone_pipeline.core.errors import StoreUnavailable, unexpected
from clone_pipeline.core.secrets import names_a_secret
from clone_pipeline_tests.canaries import FORMS, KEYS, PLACES, canary, planted

HARMLESS = (
    *("api_token_secret_ref", "secret_ref", "secret_name", "max_tokens", "max_output_tokens"),
    *("tokenizer", "min_token_len", "max_token_len", "token_count", "tokens", "tokens_used"),
    *("unique_key", "key_prefix", "primary_key", "foreign_key", "partition_key", "public_key"),
    *("key", "keys", "keywords", "author", "authorized_by", "stop_token", "next_page_token"),
    *("access_key_id", "password_protected", "api_key_name", "token_type", "key_id", "dedup_key"),
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_names_a_secret_is_known_in_any_spelling(key: str) -> None:
    for spelled in (key, key.upper(), key.replace("_", "-"), f"my_{key}"):
        assert names_a_secret(spelled), spelled


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_only_speaks_of_one_is_none(key: str) -> None:
    assert not names_a_secret(key)


def test_what_is_no_secret_is_shown_as_it_stands() -> None:
    document = {
        **{key: "a value" for key in HARMLESS},
        "api_key": "{{SECRET.openai}}",
        "Authorization": "Bearer {{ secrets.x }}",
        "password": "",
        "token": None,
        "secret": True,
        "max_tokens": 100,
        "headers": {"Accept": "application/json", "Content-Type": "text/plain; charset=utf-8"},
        "env": {"KEY": "{{SECRET.key}}"},
        "auth": {"type": "bearer", "secret_ref": "vault_name", "location": "header"},
        "credentials": {"type": "access_key", "secret_ref": "vault_name"},
        "properties": {"password": {"type": "string", "description": "of the user"}},
        "document_schema": {"properties": {"token": {"type": ["string", "null"]}}},
        "feature_uri": "mixpeek://text_extractor@v1/e5",
        "template": "{{DOC.mixpeek://text_extractor@v1/e5}}",
        "url": "postgresql://app:{{SECRET.pw}}@db/x",
        "prompt": "Basic authentication: say password: required, use max_tokens=100000.",
        "code": "f(token=token, api_key=os.environ['KEY'])",
        "file": "s3://bucket/a@b/c?versionId=3",
        "port": "http://host:8080/a@b",
        "filter": {"field": "token", "operator": "eq", "value": "word"},
        "condition": {"id": 1, "field": "api_key", "operator": "eq", "value": "word"},
        "settings": {"primary": {"key": "a"}, "unique": {"key": "b"}, "server": {"url": "c"}},
        "model": "jina_embeddings_v2_base_en, key-value-store-of-2024-and-later",
        "help": "the token 'start' and the secret \"word\", --max-tokens 100000, -u nobody",
        "xml": "<name>value1</name>",
        "call": "f('title', 'value1')",
        "jwks": {"keys": [{"kty": "RSA", "n": "abc", "e": "AQAB"}]},
    }
    assert secrets.without(document) == document
    assert secrets.clear(document) == (document, [])
    assert secrets.places(document) == []


def test_what_is_sent_along_with_a_request_is_a_secret_whatever_it_is_called() -> None:
    call = {"url": "https://maps", "params": {"key": "abc", "q": ["d"], "v": "{{INPUT.v}}"}}
    assert secrets.without(call) == {"url": "https://maps", "params": {"q": [], "v": "{{INPUT.v}}"}}
    extractor = {"feature_extractor_name": "text_extractor", "params": {"model": "e5", "key": "k"}}
    assert secrets.without(extractor) == extractor


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_every_form_of_a_secret_is_found_and_left_out(number: int) -> None:
    members = FORMS[number](canary(number))
    document = {"plain": "stays", "deep": [members]}
    before = copy.deepcopy(document)
    assert len(secrets.places(document)) == 1
    shown, (cleared, places) = secrets.without(document), secrets.clear(document)
    assert canary(number) not in json.dumps([shown, cleared])
    assert (document, shown["plain"], cleared["plain"]) == (before, "stays", "stays")
    assert places == secrets.places(document)
    assert secrets.clear(cleared) == (cleared, [])


def test_a_cleared_field_is_null_and_what_stood_in_a_map_is_gone() -> None:
    document = {"params": {"api_key": "abc", "q": 1}, "headers": {"X-Team": "abc"}, "at": ["x"]}
    assert secrets.clear(document) == (
        {"params": {"api_key": None, "q": 1}, "headers": {}, "at": ["x"]},
        ["params.api_key", "headers.X-Team"],
    )


def test_of_a_text_only_the_secret_goes() -> None:
    text = "GET https://app:pw@api.example.org/v1?api_key=abc&q=1 with Bearer abcDEF123"
    assert secrets.mask(text) == "GET https://api.example.org/v1?api_key=***&q=1 with Bearer ***"


def test_an_error_says_nothing_of_a_login_in_what_it_quotes() -> None:
    error = StoreUnavailable("Qdrant at http://app:pw@q:6333/?api_key=abc cannot be reached.")
    assert error.message == str(error) == "Qdrant at http://q:6333/?api_key=*** cannot be reached."
    assert unexpected(ValueError("postgresql+psycopg2://app:pw@db/x")).message == (
        "Unexpected ValueError: postgresql+psycopg2://db/x."
    )


@given(st.text() | st.from_regex(r"[a-z]*://[a-z:@/]*|(token|password)[=:]\S*", fullmatch=True))
def test_a_masked_text_is_masked(text: str) -> None:
    assert secrets.mask(secrets.mask(text)) == secrets.mask(text)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Anything, with canaries in it."""
    number = iter(range(1_000))
    forms = st.sampled_from(FORMS).map(lambda form: form(canary(next(number))))
    # Hypothesis takes words of the tests for texts, too.
    texts = st.text(max_size=8).filter(lambda text: "CANARY" not in text)
    plain = st.none() | st.booleans() | st.integers() | texts
    keys = st.sampled_from(["config", "params", "metadata", "list", "stages"]) | texts
    inner = st.recursive(
        forms | plain,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=3),
        max_leaves=12,
    )
    return draw(st.dictionaries(keys, inner, min_size=1, max_size=4))


@settings(max_examples=200, deadline=None)
@given(documents())
@pytest.mark.outside
def test_no_document_keeps_a_secret(document: dict[str, Any]) -> None:
    cleared, places = secrets.clear(document)
    assert "CANARY" not in json.dumps([secrets.without(document), cleared])
    assert secrets.places(cleared) == []
    assert (places == []) == (secrets.without(document) == document)


def test_the_canaries_stand_everywhere() -> None:
    documents, names = planted(1_000)
    text = json.dumps(documents)
    assert all(name in text for name in names)
    assert all(documents[kind] for kind in PLACES)
