"""`verify CLONE` and `verify SOURCE CLONE`: the proof, again, at any later time. Writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ..catalog import namespaces as catalog
from ..catalog.documents import in_collection
from ..catalog.namespace import Namespace
from ..catalog.schema import clone_slices
from ..difference import Differences, differing_fields
from ..errors import Conflict
from ..files.later import look_again
from ..ids import id_map_from_json
from ..kinds import KINDS
from ..ledger import clones as ledger
from ..ledger.clones import Clone
from ..ledger.meter import Meter
from ..outputs import Seal
from ..plan.draft import rewrite_namespace
from ..plan.restore import of_document, restore_document
from ..points.compare import compare
from ..points.retry import Retry
from ..points.sides import Sides
from ..points.stream import slice_of
from ..records.objects import Copying, read_rewritten, read_target
from ..references import Rewriter
from ..request import parse_request
from ..source import Snapshots, open_source, read_config, reading
from ..stores import Stores
from ..vectors.equality import rule
from ..vectors.port import VectorStore
from ..vectors.slices import Slice
from . import records
from .points import digest_all
from .step import config_digest


@dataclass(frozen=True)
class Verdict:
    """`unchanged`: the clone is still what was published, by the seal.

    `equal` is None where no source was compared with. `differences` are those to the source, or,
    without one, the sealed parts that are no longer the same. `points_counted`: of the points the
    seal tells no more than their number.
    """

    clone: str
    unchanged: bool
    equal: bool | None
    changed_parts: list[str]
    compared: dict[str, int]
    differences: Differences
    points_counted: bool = False

    @property
    def good(self) -> bool:
        """A source that moved on is no damage; a clone that changed and differs is."""
        return self.unchanged or self.equal is True

    @property
    def sentence(self) -> str:
        if self.equal:
            return f"{self.clone} equals its source."
        if self.unchanged and self.equal is None:
            counted = ", its points as far as their number tells" * self.points_counted
            return f"{self.clone} is what was published{counted}."
        if self.unchanged:
            return (
                f"{self.clone} is what was published; its source has moved on since, in "
                f"{self.differences.places()}."
            )
        parts = ", ".join(self.changed_parts)
        if self.equal is None:
            return f"{self.clone} is not what was published: {parts} changed since."
        return (
            f"{self.clone} is not what was published ({parts} changed since) and differs from its "
            f"source in {self.differences.places()}."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "clone": self.clone,
            "good": self.good,
            "unchanged_since_publish": self.unchanged,
            "equal_to_source": self.equal,
            "changed_parts": self.changed_parts,
            "compared": self.compared,
            "points_counted_only": self.points_counted,
            "difference_count": self.differences.count,
            "differences": self.differences.to_json(),
            "sentence": self.sentence,
        }


def verify_sealed(stores: Stores, organization_id: str | None, identifier: str) -> Verdict:
    """The clone against the digests that were sealed when it was published.

    Raises NotFound, Conflict for a namespace that is no published clone.
    """
    namespace, clone = _published(stores, organization_id, identifier)
    changed, compared = _changed_parts(stores, namespace, clone)
    found = Differences()
    for part, where in changed.items():
        found.add("sealed part", part, f"differs from what was published{where and f': {where}'}")
    counted = _seals_number_only(clone)
    return Verdict(namespace.name, not changed, None, list(changed), compared, found, counted)


def verify_pair(
    stores: Stores,
    organization_id: str | None,
    source_identifier: str,
    identifier: str,
    *,
    sources_of: str | None = None,
) -> Verdict:
    """The clone against its source, as both are now, with the seal to tell drift from damage.

    `sources_of` is the organization whose sources the caller may see; None is all of them.
    Raises NotFound, Conflict for a namespace that is no published clone of that source.
    """
    namespace, clone = _published(stores, organization_id, identifier)
    with reading(stores, *clone.source_in) as snapshots:
        connection = snapshots.source
        source = catalog.find_by_id(connection, sources_of, clone.source_namespace_id)
        if source is None or source_identifier not in (source.namespace_id, source.name):
            # Whether there is such a namespace is told for the caller's own organization only.
            catalog.resolve(connection, organization_id, source_identifier)
            made_of = clone.source_namespace_id if source is None else repr(source.name)
            raise Conflict(
                f"{namespace.name!r} is a clone of {made_of}, not of {source_identifier!r}."
            )
    changed, compared = _changed_parts(stores, namespace, clone)
    found = Differences()
    request = parse_request(clone.request)
    rewriter = Rewriter(id_map_from_json(clone.plan["ids"]))
    _compare_namespaces(clone, rewriter, source, namespace, found)
    with reading(stores, *clone.source_in) as snapshots:
        _compare_records(snapshots, clone, rewriter, source, namespace, found)
    if request.include_resources.collections:
        _compare_points(stores, clone, rewriter, source, namespace, found)
    counted = _seals_number_only(clone)
    return Verdict(namespace.name, not changed, not found, list(changed), compared, found, counted)


def _published(
    stores: Stores, organization_id: str | None, identifier: str
) -> tuple[Namespace, Clone]:
    with stores.catalog.read() as connection:
        namespace = catalog.resolve(connection, organization_id, identifier)
        if namespace.clone_id is None:
            raise Conflict(f"{namespace.name!r} is not a clone, so it has no seal to verify.")
        clone = ledger.get(connection, namespace.clone_id)
    if clone.seal is None or clone.status != "ready":
        raise Conflict(
            f"{namespace.name!r} is not published (clone_status: {namespace.clone_status}); "
            "finish it with `clone-pipeline resume` first."
        )
    return namespace, clone


def _changed_parts(
    stores: Stores, namespace: Namespace, clone: Clone
) -> tuple[dict[str, str], dict[str, int]]:
    """The sealed parts that are no longer what was published, with where in them as far as that is
    known, and how much was looked at."""
    seal = _seal(clone)
    with stores.catalog.read() as connection:
        now = records.read_records(connection, namespace)
    changed = {kind: "" for kind, digest in seal["records"].items() if now.digests[kind] != digest}
    if config_digest(namespace.qdrant_config) != seal["qdrant_config"]:
        changed["qdrant config"] = ""
    with stores.vectors() as store:
        if not store.exists(namespace.qdrant_collection):
            return changed | {"points (the Qdrant collection is gone)": ""}, now.counts
        if _is_configured_otherwise(store, namespace, clone):
            changed["qdrant config"] = ""
        points = _changed_points(stores, store, namespace, clone)
        compared = now.counts | {"points": points.count}
    if points.where:
        changed["points"] = points.where
    files, wrong = look_again(stores, clone)
    if files:
        compared |= {"files": files}
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        changed["files"] = f"{'; '.join(wrong[:3])}{more}"
    return changed, compared


def _seal(clone: Clone) -> Seal:
    """Raises Conflict."""
    if clone.seal is None:
        raise Conflict(f"{clone.namespace_name!r} was never published, so it has no seal.")
    return clone.seal


def _seals_number_only(clone: Clone) -> bool:
    """The clone's points were counted only, or a program of the first schema sealed them, with one
    digest that points do not have any more."""
    return _seal(clone)["points"]["slices"] is None


@dataclass(frozen=True)
class _Points:
    """How many points there are, and where they differ from what was sealed; "" nowhere."""

    count: int
    where: str


def _changed_points(
    stores: Stores, store: VectorStore, namespace: Namespace, clone: Clone
) -> _Points:
    sealed = _seal(clone)["points"]
    retry, name = Retry(stores), namespace.qdrant_collection
    if sealed["slices"] is None:
        count = retry(lambda: store.count(name))
        apart = count != sealed["count"]
        return _Points(count, f"{sealed['count']} were published, {count} are there" * apart)
    parts = _slices(stores, clone)
    digests = digest_all(store, name, parts, retry)
    differing = [
        str(part)
        for part, digest, published in zip(parts, digests, sealed["slices"], strict=True)
        if digest.hexdigest() != published
    ]
    more = f" and {len(differing) - 3} more slices" if len(differing) > 3 else ""
    return _Points(sum(digest.count for digest in digests), "; ".join(differing[:3]) + more)


def _slices(stores: Stores, clone: Clone) -> list[Slice]:
    query = select(clone_slices).where(clone_slices.c.clone_id == clone.clone_id)
    with stores.catalog.read() as connection:
        rows = connection.execute(query.order_by(clone_slices.c.slice)).mappings()
        return [slice_of(row) for row in rows]


def _is_configured_otherwise(store: VectorStore, namespace: Namespace, clone: Clone) -> bool:
    sealed = store.kept_config(clone.plan["qdrant_config"])
    now = store.read_config(namespace.qdrant_collection)
    for part in ("vectors", "sparse_vectors", "payload_schema"):
        if now[part].keys() != sealed[part].keys():
            return True
    # A newer server tells of settings that there were not when it was sealed.
    return any(not field.endswith(" is extra") for field in differing_fields(sealed, now))


def _compare_namespaces(
    clone: Clone,
    rewriter: Rewriter,
    source: Namespace,
    target: Namespace,
    found: Differences,
) -> None:
    request = parse_request(clone.request)
    raw, _ = restore_document(source.raw, of_document(clone.plan["put_back"], "namespace"))
    rewritten, _ = rewrite_namespace(request, raw, rewriter)
    expected = in_collection(rewritten, target.qdrant_collection)
    times = ("created_at", "updated_at")
    actual = {key: value for key, value in target.document.items() if key not in times}
    found.add("namespace", target.namespace_id, *differing_fields(expected, actual))
    if target.name != request.namespace_name:
        found.add("namespace", target.namespace_id, "namespace_name differs")


def _compare_records(
    snapshots: Snapshots,
    clone: Clone,
    rewriter: Rewriter,
    source: Namespace,
    target: Namespace,
    found: Differences,
) -> None:
    request = parse_request(clone.request)
    for kind in KINDS:
        if not request.includes(kind):
            continue
        put_back = clone.plan["put_back"]
        expected = records.read_expected(
            snapshots.source, source.key, kind.name, rewriter, put_back
        )
        actual = records.read_actual(snapshots.own, target.key, kind.name)
        records.compare_documents(kind.name, expected, actual, found)
    pairs_of_objects = records.merge_objects(
        read_rewritten(snapshots.source, Copying(source.key, rewriter), Counter()),
        read_target(snapshots.own, target.key),
    )
    for before, after in pairs_of_objects:
        if before is None and after is not None:
            found.add("object", after[0], "is extra")
        elif before is not None:
            records.same_object(before, after, found)


def _compare_points(
    stores: Stores,
    clone: Clone,
    rewriter: Rewriter,
    source: Namespace,
    target: Namespace,
    found: Differences,
) -> None:
    name = target.qdrant_collection
    with (
        stores.vectors() as there,
        open_source(stores, there, source, clone.source_environment) as store,
    ):
        config = rewriter.rewrite_qdrant_config(read_config(store, source))
        fields = differing_fields(config, target.qdrant_config)
        found.add("qdrant config", f"{name} in the catalog", *fields)
        if not there.exists(name):
            found.add("qdrant config", name, "is gone")
            return
        kept = there.kept_config(config)
        found.add("qdrant config", name, *differing_fields(kept, there.read_config(name)))
        sides = Sides(
            source=store,
            source_name=source.qdrant_collection,
            target=there,
            target_name=name,
            rewriter=None if clone.plan["lane"] == "native" else rewriter,
            rule=rule(there.embedded or store.embedded, config),
            retry=Retry(stores),
            meter=Meter(stores.clock),
        )
        sides.retry(lambda: store.refuse_hidden(source.qdrant_collection))
        sides.retry(lambda: there.refuse_hidden(name))
        for part in _slices(stores, clone):
            compare(sides, part, found, found)
