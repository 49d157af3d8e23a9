"""For any namespace, what is restored from its backup is the namespace, but for its secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from clone_pipeline.core.ids import id_map_from_json
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.verify import verify_pair, verify_sealed

from .. import harness
from ..core.bundle.samples import read_bundle
from .loaded import LONG_EXAMPLES, loaded, nothing
from .marks import Becomes, Ref, Whole
from .namespaces import Source, everything, namespaces
from .oracle import bundles_apart, clone_of, expected
from .world import NAMESPACE_ID, NAMESPACE_NAME

# Namespaces with all that there is, cloned again and again: too long for `fast`.
pytestmark = pytest.mark.outside

BACKUP = {"include_resources": harness.everything(), "preserve_resource_ids": True}
RESTORE = BACKUP | {"restore": True}
# Secrets, and where the vectors and plugins of the source are.
_NOT_PUT_BACK = (
    *("hook-secret", "qdrant-secret", "http://qdrant.example.org:6333", f"{NAMESPACE_ID}/"),
    {"connection_id": "conn_1", "prefix": f"{NAMESPACE_ID}/"},
)
_PUT_BACK_IN = (
    *("namespace.json", "buckets.jsonl", "collections.jsonl", "retrievers.jsonl"),
    "taxonomies.jsonl",
)


def kept(value: Any) -> Any:
    """The marked document in which nothing is cleared: what leads out of the clone stays, and what
    acts acts. A secret does not."""
    if isinstance(value, dict):
        return {kept(key): kept(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return type(value)(kept(inner) for inner in value)
    if isinstance(value, Ref):
        return replace(value, outside="stays")
    if isinstance(value, Becomes) and value.before not in _NOT_PUT_BACK:
        return value.before
    if isinstance(value, Whole):
        return replace(value, value=kept(value.value))
    return value


def check(stores: Stores, home: Path, source: Source, **more: Any) -> None:
    harness.clone(stores, NAMESPACE_NAME, "backup", **BACKUP)
    name = more.pop("name", "again")
    restored = harness.clone(stores, "backup", name, **RESTORE, **more)
    files = {
        file: kept(content) if file in _PUT_BACK_IN else content
        for file, content in source.marked.items()
    }
    ids = clone_of(id_map_from_json(restored.plan["ids"]))
    ids = replace(ids, namespace=(NAMESPACE_ID, ids.namespace[1]))
    wanted = expected(Source(files), ids, name, BACKUP["include_resources"])  # type: ignore[arg-type]
    wanted["namespace.json"]["infrastructure"]["qdrant_collection"] = restored.qdrant_collection
    dumped = read_bundle(harness.dump(stores, name, home / "restored"))
    nothing(bundles_apart(wanted, dumped), more)
    assert verify_sealed(stores, None, name).good
    verdict = verify_pair(stores, None, "backup", name)
    assert verdict.equal, verdict.differences.to_json()


@settings(max_examples=10, derandomize=True, database=None, deadline=None)
@given(source=namespaces())
def test_a_restored_backup_is_its_source_but_for_secrets(source: Source) -> None:
    with loaded(source) as (stores, home):
        check(stores, home, source)


@pytest.mark.long
@settings(max_examples=LONG_EXAMPLES, database=None, deadline=None)
@given(source=namespaces())
def test_many_restored_backups_are_their_sources_but_for_secrets(source: Source) -> None:
    with loaded(source) as (stores, home):
        check(stores, home, source)


def test_of_a_namespace_of_all_that_there_is_all_comes_back() -> None:
    with loaded(everything()) as (stores, home):
        check(stores, home, everything())


def test_it_comes_back_in_its_own_place() -> None:
    with loaded(everything()) as (stores, home):
        check(stores, home, everything(), name=NAMESPACE_NAME, if_exists="replace", adopt=True)
