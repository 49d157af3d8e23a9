"""Ids of the clone: derived, not random; a retry and every refresh give the same ones."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping
from typing import Any

from .kinds import KINDS, IdForm
from .objects.location import FileMap
from .references import IdMap

_ALPHABET = string.ascii_letters + string.digits


ID_FORMS = {"namespace": IdForm("ns_", 10), **{kind.name: kind.id_form for kind in KINDS}}


def derive(
    kind: str, organization_id: str, namespace_name: str, source_id: str, attempt: int = 0
) -> str:
    """The id that the clone of `source_id` has in the namespace of that name."""
    form = ID_FORMS[kind]
    text = "\x00".join((kind, organization_id, namespace_name, source_id, str(attempt)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    characters = []
    for _ in range(form.length):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return form.prefix + "".join(characters)


def derive_free(
    kind: str,
    organization_id: str,
    namespace_name: str,
    source_id: str,
    taken: Callable[[str], bool],
) -> tuple[str, int]:
    """The first derivation that is not taken, and how many were."""
    attempt = 0
    while taken(candidate := derive(kind, organization_id, namespace_name, source_id, attempt)):
        attempt += 1
    return candidate, attempt


def id_map_to_json(ids: IdMap) -> dict[str, Any]:
    return {
        "namespace": list(ids.namespace),
        "organization": list(ids.organization),
        "ids": {kind: dict(pairs) for kind, pairs in ids.ids.items()},
        "names": {kind: sorted(names) for kind, names in ids.names.items()},
        "left_out": {kind: sorted(names) for kind, names in ids.left_out.items()},
        "restored_from": ids.restored_from,
        "foreign_payloads": ids.foreign_payloads,
        "other_environment": ids.other_environment,
        "counterparts": {kind: dict(pairs) for kind, pairs in ids.counterparts.items()},
        "files": ids.files and ids.files.root,
    }


def id_map_from_json(values: Mapping[str, Any]) -> IdMap:
    return IdMap(
        namespace=(values["namespace"][0], values["namespace"][1]),
        organization=(values["organization"][0], values["organization"][1]),
        ids=values["ids"],
        names={kind: frozenset(names) for kind, names in values["names"].items()},
        left_out={kind: frozenset(names) for kind, names in values["left_out"].items()},
        restored_from=values.get("restored_from"),
        foreign_payloads=values.get("foreign_payloads", False),
        other_environment=values.get("other_environment", False),
        counterparts=values.get("counterparts", {}),
        files=FileMap(root) if (root := values.get("files")) else None,
    )
