"""Writes docs/references.md from the table.

python -m clone_pipeline.core.references.page > docs/references.md
"""

from __future__ import annotations

import sys

from ..kinds import KINDS as RESOURCE_KINDS
from .model import ITSELF, KINDS, NOTHING, OF_ORGANIZATION, Row
from .table import CONFIGURATION, RECORDS

_HEAD = """# References

Generated from the table in `clone_pipeline/core/references` by
`python -m clone_pipeline.core.references.page`; a test fails when this page is stale.

A clone gets new ids, so every place that refers to a resource has to point into the clone. These
are all the places that are rewritten; everything else is carried over untouched, and looked through
for ids of the source. In a path, `[]` is each item of a list, `*` each value of an object, `{}` its
keys, `**` any depth inside a stage.

| outcome | meaning |
|---|---|
| rewritten | the target is cloned: the place holds the clone's id |
| kept | right as it is: a name, a template, something of the organization, data, or another \
namespace on purpose; with `preserve_resource_ids` every id |
| cleared | the target is outside the clone: removed as the row says, and parked in the ledger |
| unresolved | outside the clone, but removing it would break the document or change what it means |
| mentioned | a known id stands literally in a text, or as a user's data: told, never rewritten |
| unlisted | a known id is a whole value, a whole key, one of a list in a text, or a part of an \
address where no row names a reference: told, never rewritten; `on_dangling: fail` refuses it, but \
for what users store in `metadata` |

Outside the clone are resources whose switch is off, ids that the source namespace does not know
itself, types that are never cloned, and what belongs to the organization when the clone goes to
another one. Across all rows:

- An id is matched as a whole, also as a segment of `lineage.path` and as the id in
  `_taxonomy_<id>_...` field names (the longest known id wins), never by its prefix.
- *points at* taxonomy, *in its path or URI*: the place names a payload field, or a
  `namespace://collection/feature`; payloads keep the names of taxonomies that are not cloned.
- Where an id may stand, so may the name of a cloned resource: names work in the clone. A value with
  `{{` is a template.
- In every template and text, `_taxonomy_<id>_...` follows the taxonomy inside `{{...}}`, because
  the clone's payloads have the new name; outside of the braces a text stays as it is.
- A filter's value is never dropped, because that would widen the result. It is rewritten where its
  field holds ids in payloads too; a value that is left out is unresolved, any other is data.
  Filters may be written as `{field, operator, value}` under AND, OR and NOT, as `{field: value}`,
  or as Qdrant does: `{key, match}` under must, should and must_not, also `nested` and `is_empty`.
  In any other spelling it is a condition where something in it names a field that holds ids:
  `{name, value}`, `{field, any}`, `["collection_id", "==", ...]`, `DOC.collection_id`.
- Constants are rewritten where the whole of them is a cloned id, or names a payload field of a
  cloned taxonomy; in a JSON text, its strings. Where ids stand with commas between them, each
  is one.
- An id without its type's prefix (PREFIXES) may be an ordinary word, like a
  namespace called `production` or `s3`. It is rewritten where an id of its type has to stand, and
  nowhere else: not among constants, not as the scheme of an address, and it is not looked for.
- User data (`metadata`, user fields, blob properties) is never rewritten, and locations of S3 files
  only with `files: copy`: then each becomes that of the clone's own copy. Addresses that are not in
  S3 (http, https) and keys without their bucket stay, and are counted.

## What the table does not name

The plan looks through every configuration document of the clone, and `verify: full` through every
document, object and payload of it, for ids of the source at any place. What is found where no row
names a reference is counted as `unlisted`, with the places at which it stands most. Ids that are
preserved are the clone's own, and not among them. It is no proof that something is wrong: a user's
field may hold an id and mean it. In configuration it mostly is a free-form parameter, a header or
an address that still points at the source; change it in the clone, or in the source and clone
again.
"""

_SETTINGS = """
## Settings that act

A copy must not write into its source's output, run on its cluster, spend its budget, or be public
because the source is. So these are cleared in every clone and parked; `restore` puts them back,
where they do not say where the source's own things are.

Kept on purpose, because they act on the clone alone or only when somebody asks:
`source_adapter.enabled` (its endpoint is cleared), `tiering` but for its exemption,
`ingest_filter`, enrichments and applications of what is cloned too, and within one organization
`trusted_issuers` and `infrastructure.authorization`: whoever may ask the source may ask the copy.

| resource | setting | what it would do | becomes | in a restore |
|---|---|---|---|---|"""

_SECRETS = """
## Secrets

Secrets are known by one table (`clone_pipeline/core/secrets`), in every resource but objects and
points, which are data and go where they are sent:

- by the key, in any spelling and at any depth: `password`, `secret`, `token`, `authorization`,
  `cookie`, `api_key`, `privateKey`, `X-Api-Key`, `aws_secret_access_key`. A key that only speaks
  of one is none: `secret_ref`, `api_key_name`, `max_tokens`, `unique_key`, `public_key`;
- everything literal in `headers`, `env`, `environment`, `cookies` and `credentials`, in the
  `params` of a request (beside its `url`), and below a key that names a secret, because nobody can
  know which of it is harmless (media types are). Other free-form maps, as the `params` of an
  extractor, which say how long its vectors are, go by key and shape;
- by its key and the one around it (`openai: {key: ...}`, `keys: {openai: ...}`), or where something
  beside it says so: `{"name": "api_key", "value": ...}`, `{"type": "secret", "value": ...}`,
  `["--api-key", ...]`;
- by the shape, in any text and any key: the login in a URL of any scheme, `?api_key=...`,
  `"token": "..."`, `PASSWORD=...;`, `Bearer ...`, `--api-key ...`, `IDENTIFIED BY '...'`, private
  keys, tokens of known forms. Of a text only that part.

A template (`{{SECRET.name}}`) is none, wherever it stands; the plan reports the secret it asks for.

| | what happens |
|---|---|
| API answers, plans, metadata, errors | left out, or `***` in a text; what is hidden \
is no field for filters, search and order |
| a clone within the organization | copied, and counted in the plan |
| a clone in another organization | cleared, parked as `was set`, listed in the plan \
to be set by hand |
| `dump` | written, with a warning that says how many |
"""

_TITLES = {"stage": "Inside a stage", "payload": "Point payload"}

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
    "text": ("mentioned; templates follow", "mentioned"),
    "acts": ("never comes over: see *Settings that act*", ""),
    "verbatim": ("never touched", ""),
    "set": ("set to the clone's, whatever stood there", ""),
    "id path": ("each known segment is rewritten", "kept"),
    "typed id": ("rewritten", "kept"),
    "node": ("rewritten where it is a collection", "kept"),
    "signed url": ("removed", ""),
    "location": ("its copy's with `files: copy`; else never touched", ""),
    "ends with own id": ("recomputed", "null"),
}


def markdown() -> str:
    """The page."""
    prefixes = ("ns_", *(kind.id_form.prefix for kind in RESOURCE_KINDS))
    named = ", ".join(f"`{prefix.rstrip('_')}`" for prefix in prefixes)
    parts = [_HEAD.replace("PREFIXES", named)]
    for resource, rows in {**CONFIGURATION, **RECORDS}.items():
        parts.append(f"\n## {_title(resource)}\n")
        if resource in RECORDS:
            parts.append(
                "Records are data: a reference to what is not cloned is kept, and counted.\n"
            )
        parts.append(
            "| path | points at | in the clone | outside it | note |\n|---|---|---|---|---|"
        )
        parts += [f"| {' | '.join(_cells(row))} |" for row in rows]
    parts += [*_settings(), _SECRETS]
    return "\n".join(parts).rstrip() + "\n"


def _title(resource: str) -> str:
    return _TITLES.get(resource, resource.capitalize())


def _cells(row: Row) -> tuple[str, ...]:
    inside, outside = _TREATMENT.get(row.shape) or (_inside(row), _outside(row))
    note = "" if row.shape == "acts" else row.note
    return f"`{row.path}`", row.target, inside, outside, note


def _settings() -> list[str]:
    """The table of what acts."""
    lines = [_SETTINGS]
    for resource, rows in CONFIGURATION.items():
        for row in rows:
            if row.shape == "acts":
                left = f"`{row.resets}`" if row.resets else "null, or false"
                again = "by hand" if row.placed or row.secret else "put back"
                cells = (_title(resource).lower(), f"`{row.path}`", row.note, left, again)
                lines.append(f"| {' | '.join(cells)} |")
    return lines


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
