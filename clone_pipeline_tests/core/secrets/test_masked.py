"""What is shown of a document is looked for once, and is always that document's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clone_pipeline.core import secrets
from clone_pipeline.core.secrets import masked as module
from clone_pipeline.core.secrets.masked import Masked

_keys = some.sampled_from(["api_key", "name", "headers", "url", "description"])
_texts = some.one_of(some.text(max_size=8), some.just("https://user:pass@host/x"))
_values = some.recursive(
    some.one_of(
        some.none(), some.booleans(), some.integers(), some.floats(allow_nan=False), _texts
    ),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(_keys, inner)),
    max_leaves=8,
)
_documents = some.dictionaries(_keys, _values)


@given(some.lists(_documents, max_size=8), some.integers(0, 200))
@pytest.mark.outside
def test_it_is_what_secrets_leave_however_little_is_remembered(
    documents: list[dict[str, Any]], most: int
) -> None:
    masked = Masked(most)
    for document in documents * 2:
        assert masked(document) == secrets.without(document)


def test_a_document_is_looked_through_once_and_a_changed_one_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Any] = []
    real = secrets.without
    monkeypatch.setattr(
        module, "without", lambda document: looked.append(document) or real(document)
    )
    masked = Masked(1000)
    document = {"name": "a", "api_key": "sk-secret", "headers": {"accept": "x"}}
    first = masked(document)
    first["headers"]["accept"] = "changed by whoever was shown it"
    assert masked(dict(document)) == real(document)
    assert len(looked) == 1
    masked({**document, "name": "b"})
    assert len(looked) == 2


def test_no_secret_is_remembered() -> None:
    masked = Masked(1000)
    masked({"name": "a", "api_key": "sk-secret"})
    assert "sk-secret" not in repr(vars(masked))
