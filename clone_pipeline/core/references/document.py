"""Writes docs/references.md from the table.

python -m clone_pipeline.core.references.document > docs/references.md
"""

from __future__ import annotations

import sys

from .model import ITSELF, KINDS, NOTHING, OF_ORGANIZATION, Row
from .table import CONFIGURATION, RECORDS

_HEAD = """# References

Generated from the table in `clone_pipeline/core/references` by
`python -m clone_pipeline.core.references.document`; a test fails when this page is stale.

A clone gets new ids, so every place that refers to a resource has to point into the clone. These
are all the places that are looked at; everything else is carried over untouched. In a path, `[]` is
each item of a list, `*` each value of an object, `{}` its keys, `**` any depth inside a stage.

| outcome | meaning |
|---|---|
| rewritten | the target is cloned: the place holds the clone's id |
| kept | right as it is: a name, a template, something of the organization, data, or another \
namespace on purpose; with `preserve_resource_ids` every id |
| cleared | the target is outside the clone: removed as the row says, and parked in the ledger |
| unresolved | outside the clone, but removing it would break the document or change what it means |
| mentioned | a known id stands literally in a template or text: told, never rewritten |

Outside the clone are resources whose switch is off, ids that the source namespace does not know
itself, types that are never cloned, and what belongs to the organization when the clone goes to
another one. Across all rows:

- An id is matched as a whole, also as a segment of `lineage.path` and as the id in
  `_taxonomy_<id>_...` field names (the longest known id wins), never by its prefix.
- *points at* taxonomy, *in its path or URI*: the place names a payload field, or a
  `namespace://collection/feature`; payloads keep the names of taxonomies that are not cloned.
- Where an id may stand, so may the name of a cloned resource: names work in the clone. A value with
  `{{` is a template.
- A filter's value is never dropped, because that would widen the result. It is rewritten where its
  field holds ids in payloads too; a value that is left out is unresolved, any other is data.
- Constants are rewritten where the whole of them is a cloned id.
- User data (`metadata`, user fields, blob properties) and S3 locations are never looked at.
"""

_TITLES = {
    "namespace": "Namespace",
    "bucket": "Bucket",
    "collection": "Collection",
    "retriever": "Retriever",
    "taxonomy": "Taxonomy",
    "stage": "Inside a stage",
    "object": "Object",
    "payload": "Point payload",
}

# Shape -> what happens, and what does where the target is outside the clone.
_TREATMENT = {
    "own id": ("its own id, set to the clone's", ""),
    "namespace": ("the source's becomes the clone's", "kept"),
    "organization": ("the source's becomes the clone's", "kept"),
    "field name": ("rewritten in its path or URI", "kept; of a URI unresolved"),
    "field names": ("rewritten in every path or URI below", "kept; of a URI unresolved"),
    "constant": ("rewritten where it is exactly an id", "unresolved; else it is data"),
    "filters": ("values rewritten by their field", "unresolved; else they are data"),
    "stages": ("the rows of *Inside a stage*", ""),
    "inputs": ("constants of `document_reference` inputs; else text", "unresolved"),
    "text": ("mentioned", "mentioned"),
    "acts": ("never comes over", "null, or false"),
    "verbatim": ("never touched", ""),
    "set": ("set to the clone's, whatever stood there", ""),
    "id path": ("each known segment is rewritten", "kept"),
    "typed id": ("rewritten", "kept"),
    "node": ("rewritten where it is a collection", "kept"),
    "signed url": ("removed", ""),
    "ends with own id": ("recomputed", "null"),
}


def markdown() -> str:
    """The page."""
    parts = [_HEAD]
    for resource, rows in {**CONFIGURATION, **RECORDS}.items():
        parts.append(f"\n## {_TITLES[resource]}\n")
        if resource in RECORDS:
            parts.append(
                "Records are data: a reference to what is not cloned is kept, and counted.\n"
            )
        parts.append(
            "| path | points at | in the clone | outside it | note |\n|---|---|---|---|---|"
        )
        parts += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(parts) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    inside, outside = _TREATMENT.get(row.shape) or (_inside(row), _outside(row))
    notes = [note for note in (row.note, "parked only as `was set`" if row.secret else "") if note]
    return f"`{row.path}`", row.target, inside, outside, "; ".join(notes)


def _inside(row: Row) -> str:
    """What happens while the target is part of the clone, or where it can never be."""
    if set(row.target.split(" or ")) <= set(KINDS):
        return "rewritten"
    if row.target in OF_ORGANIZATION:
        return "kept within one organization"
    return "never cloned"


def _outside(row: Row) -> str:
    if row.resource in RECORDS:
        return "kept"
    how = [_removal(row)]
    if row.last_stays:
        how.append("the last one is unresolved while its type is cloned")
    if row.scope_of:
        beside = " or ".join(f"`{key}`" for key in row.scope_of)
        how.append(f"unresolved beside {beside} while its type is cloned")
    if row.required_unless is not None:
        key, value = row.required_unless
        how.append(f"unresolved unless `{key}` is `{value}`")
    return "; ".join(how)


def _removal(row: Row) -> str:
    if row.clears == NOTHING:
        return "unresolved"
    if row.clears == ITSELF:
        return {"[]": "item dropped", "{}": "key dropped"}.get(row.steps[-1], "null")
    if row.clears.endswith("[]"):
        return f"entry of `{row.clears[:-2]}` dropped"
    return f"`{row.clears}` null"


if __name__ == "__main__":
    sys.stdout.write(markdown())
