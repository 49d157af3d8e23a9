"""Source namespaces: the one place where their documents are put together.

`source` makes a namespace of the resources that a test is about, with honest values where it says
nothing; `harness.load` puts it into stores, and `harness.holding` opens stores that hold some. Each
folder of tests has its own resources, because its tests are about them:

    one_of_each                     the least that has every type
    core/bundle/samples.py          values that a bundle might spoil
    core/verify/source.py           something to damage at every kind of place
    cli/prod.py                     everything refers to everything
    faults/bundles.py               as many points and objects as a test needs, ids nowhere else
    properties/namespaces.py        invented ones, with marks where ids stand; a bundle is what is
                                    left without the marks
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Document = dict[str, Any]
# Documents by file; a `.jsonl` file is a list of them.
Files = dict[str, Any]

ORGANIZATION, ID, NAME = "org_acme", "ns_prod000001", "prod"
VECTORS: Document = {"vectors": {"v": {"size": 2, "distance": "Dot"}}}


def source(
    namespace: Document | None = None,
    *,
    buckets: Iterable[Document] = (),
    objects: Iterable[Document] = (),
    collections: Iterable[Document] = (),
    retrievers: Iterable[Document] = (),
    taxonomies: Iterable[Document] = (),
    points: Iterable[Document] = (),
    config: Document = VECTORS,
    store: str | None = None,
) -> Files:
    """The files of a bundle: `prod` of `org_acme` unless `namespace` says otherwise. `store` is its
    collection in Qdrant; a resource without a name is called as its id is, without the prefix."""
    identity = {"organization_id": ORGANIZATION, "namespace_id": ID, "namespace_name": NAME}
    infrastructure = {} if store is None else {"infrastructure": {"qdrant_collection": store}}
    return {
        "namespace.json": identity | infrastructure | (namespace or {}),
        "buckets.jsonl": _named("bucket", buckets),
        "objects.jsonl": list(objects),
        "collections.jsonl": _named("collection", collections),
        "retrievers.jsonl": _named("retriever", retrievers),
        "taxonomies.jsonl": [{"version": 1, **one} for one in _named("taxonomy", taxonomies)],
        "qdrant.json": {**config},
        "points.jsonl": list(points),
    }


def _named(kind: str, documents: Iterable[Document]) -> list[Document]:
    return [{f"{kind}_name": one[f"{kind}_id"].partition("_")[2], **one} for one in documents]


def one_of_each(**more: Document) -> Files:
    """A small namespace of every resource type; `more` is laid over the document of a type."""
    payload = {"collection_id": "col_1", "_internal": {"namespace_id": ID}}
    least: dict[str, Document] = {
        "bucket": {"bucket_id": "bkt_1"},
        "collection": {"collection_id": "col_1"},
        "retriever": {"retriever_id": "ret_1", "stages": []},
        "taxonomy": {"taxonomy_id": "tax_1", "config": {}},
    }
    of = {kind: document | more.get(kind, {}) for kind, document in least.items()}
    return source(
        more.get("namespace"),
        buckets=[of["bucket"]],
        collections=[of["collection"]],
        retrievers=[of["retriever"]],
        taxonomies=[of["taxonomy"]],
        points=[{"id": 1, "vector": {"v": [1.0, 2.0]}, "payload": payload}],
        config=VECTORS | {"sparse_vectors": {}, "payload_schema": {}},
    )


def write_bundle(folder: Path, files: Files) -> Path:
    """Texts and bytes are written as they are, None is no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content is None:
            continue
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        elif name.endswith(".jsonl"):
            lines = [json.dumps(document) for document in content]
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
        else:
            (folder / name).write_text(json.dumps(content))
    return folder
