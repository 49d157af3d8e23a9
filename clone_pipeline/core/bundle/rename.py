"""A checked bundle under another name, in another organization, or with new ids.

With the ids that it has, and in its own organization, a namespace stays as it is, and a backup is
restored: what had been cleared in it is put back. Else it becomes what a clone of it would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from ..catalog import namespaces as catalog
from ..catalog.documents import RECORDS, Document, in_collection
from ..catalog.engine import Catalog
from ..catalog.namespace import CLONE_STATE, COUNTS, FOREIGN_PAYLOADS
from ..errors import InvalidRequest
from ..kinds import KINDS, ResourceKind
from ..plan.id_map import new_ids, new_namespace_id
from ..plan.restore import Reinstated, secrets_to_set, sentences
from ..plan.warnings import of_references, told
from ..references import IdMap, Reference, Rewriter
from ..request import LONGEST_ID, LONGEST_NAME
from ..text import fault
from ..words import Option
from .check import Bundle
from .cleared import Cleared, read_cleared
from .files import RECORD_FILES, identified
from .rewritten import Key, Rewrite, RewrittenFiles, key_of

_MADE = "loaded namespace"
_AS_IT_IS = (
    "This is a backup, loaded as it is: `load --as NAME` makes of it what was backed up, with what "
    "the backup had cleared put back."
)
_TOLD = ("cleared", "unresolved", "mentioned", "unlisted")


@dataclass(frozen=True)
class Target:
    """As what a bundle is loaded; None: as it says itself."""

    name: str | None = None
    organization_id: str | None = None
    new_ids: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        limits = {"namespace_name": LONGEST_NAME, "organization_id": LONGEST_ID}
        for key, value in zip(limits, (self.name, self.organization_id), strict=True):
            if value is not None and (wrong := _wrong(value, limits[key])):
                raise InvalidRequest(Option(key), f" {wrong}.")


AS_IT_IS = Target()


@dataclass(frozen=True)
class Renamed:
    """The bundle as it is to be loaded. `references` are those that do not simply lead to the same
    thing in it, `by_hand` what a person has to set."""

    bundle: Bundle
    warnings: list[str] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)
    by_hand: list[dict[str, Any]] = field(default_factory=list)


def rename(stored: Catalog, bundle: Bundle, target: Target) -> Renamed:
    """The bundle as `target` wants it. Nothing is written. Raises BundleError for a cleared.json
    that cannot be used."""
    cleared = read_cleared(bundle.files)
    if target == AS_IT_IS:
        return Renamed(bundle, [_AS_IT_IS] if cleared else [])
    organization = target.organization_id or bundle.organization_id
    name = target.name or bundle.namespace["namespace_name"]
    as_clone = target.new_ids or organization != bundle.organization_id
    if cleared is None and not as_clone:
        named = bundle.namespace | {"namespace_name": name}
        return Renamed(replace(bundle, namespace=named))
    with stored.read() as connection:
        ids = _id_map(
            connection, bundle, target, (organization, name), None if as_clone else cleared
        )
    made = _Renaming(bundle, ids, cleared, organization, name).renamed()
    if cleared is not None and as_clone:
        why = "its ids are new" if target.new_ids else "it is in another organization"
        made.warnings.append(f"What the backup had cleared is not put back, because {why}.")
    return made


def _wrong(text: str, limit: int) -> str | None:
    if not 1 <= len(text) <= limit:
        return f"must have 1 to {limit} characters"
    if text != text.strip() or not text.isprintable():
        return "must not begin or end with a space or hold control characters"
    return fault(text)


def _id_map(
    connection: Connection,
    bundle: Bundle,
    target: Target,
    under: tuple[str, str],
    restored: Cleared | None,
) -> IdMap:
    """`under`: the organization and the name that it is to have."""
    source_id = bundle.namespace["namespace_id"]
    ids: dict[str, dict[str, str]] = {}
    names: dict[str, set[str]] = {}
    for kind in KINDS:
        documents = list(_documents(bundle, kind))
        old = list(dict.fromkeys(document[kind.id_field] for document in documents))
        same = {one: one for one in old}
        ids[kind.name] = new_ids(connection, kind.name, old, under) if target.new_ids else same
        names[kind.name] = {document[kind.name_field] for document in documents}
    namespace_id = source_id
    if target.new_ids:
        namespace_id = new_namespace_id(connection, source_id, under)
    elif restored is not None and restored.namespace_name == under[1]:
        namespace_id = restored.namespace_id  # as `restore` gives it its id again
    return IdMap(
        namespace=(source_id, namespace_id),
        organization=_internal_ids(connection, bundle, under[0]),
        ids=ids,
        names=names,
        left_out={},
        restored_from=None if restored is None else restored.namespace_id,
        foreign_payloads=bundle.namespace.get(FOREIGN_PAYLOADS) is True,
    )


def _internal_ids(connection: Connection, bundle: Bundle, organization: str) -> tuple[str, str]:
    """Of the bundle's organization and of the one that it is loaded into. One that is new has its
    id for it, and of one that is not here only the bundle can tell."""

    def known(organization_id: str, otherwise: str) -> str:
        if catalog.has_organization(connection, organization_id):
            return catalog.internal_id(connection, organization_id)
        return otherwise

    new = known(organization, organization)
    if organization == bundle.organization_id:
        return new, new
    own = bundle.organization_id
    told = bundle.namespace.get("internal_id")
    return known(own, told if isinstance(told, str) and told else own), new


def _documents(bundle: Bundle, kind: ResourceKind) -> Iterator[Document]:
    record = RECORDS[kind.name]
    for line in bundle.files.lines(RECORD_FILES[kind.name], checked=True):
        yield identified(record, line.document)


class _Renaming:
    """One pass over all of which there is little."""

    def __init__(
        self,
        bundle: Bundle,
        ids: IdMap,
        cleared: Cleared | None,
        organization_id: str,
        name: str,
    ) -> None:
        self._bundle = bundle
        self._organization_id = organization_id
        self._name = name
        self._ids = ids
        self._restores = ids.restored_from is not None
        self._reinstated = Reinstated()
        if cleared is not None and self._restores:
            self._reinstated = cleared.reinstated()
        self._rewriter = Rewriter(ids)
        self._references: list[Reference] = []

    def renamed(self) -> Renamed:
        namespace = self._namespace()
        small: dict[Key, Document] = {}
        for kind in KINDS:
            for document in _documents(self._bundle, kind):
                source_id, version = document[kind.id_field], document.get("version", 0)
                key = key_of(kind.name, document)
                small[key] = self._small(kind.name, source_id, version, document)
        if self._restores:
            self._reinstated.finish(self._references, [kind.name for kind in KINDS])
        rewrite = Rewrite(self._rewriter, small)
        bundle = replace(
            self._bundle,
            files=RewrittenFiles(self._bundle.files, rewrite),
            organization_id=self._organization_id,
            namespace=namespace,
            qdrant_collection=namespace["infrastructure"]["qdrant_collection"],
            config=self._rewriter.rewrite_qdrant_config(self._bundle.config),
            rewrite=rewrite,
        )
        return Renamed(bundle, self._warnings(), self._told(), self._by_hand())

    def _namespace(self) -> Document:
        """As a clone inherits it, with the times that it has."""
        before, after = self._ids.namespace
        document = self._small("namespace", before, 0, self._bundle.namespace)
        own = (*CLONE_STATE, *COUNTS)
        document = {key: value for key, value in document.items() if key not in own}
        document |= {"namespace_id": after, "namespace_name": self._name}
        # With the id that it had it has its collection; what has another id may be beside it.
        collection = self._bundle.qdrant_collection if after == before else after
        return in_collection(document, collection)

    def _small(self, kind: str, source_id: str, version: int, document: Document) -> Document:
        record = RECORDS.get(kind)
        version = version if record is not None and record.versioned else 0
        document = self._reinstated.document(kind, source_id, version, document)
        document, found = self._rewriter.rewrite(kind, document)
        found += self._rewriter.unlisted(kind, document)
        self._references += [replace(one, version=version, resource_id=source_id) for one in found]
        return document

    def _warnings(self) -> list[str]:
        told = of_references(self._references, _MADE, restored=self._restores)
        return [*sentences(self._reinstated), *told]

    def _told(self) -> list[dict[str, Any]]:
        abroad = self._organization_id != self._bundle.organization_id
        return [told(one, abroad=abroad) for one in self._references if one.outcome in _TOLD]

    def _by_hand(self) -> list[dict[str, Any]]:
        return [*self._reinstated.by_hand, *secrets_to_set(self._references)]
