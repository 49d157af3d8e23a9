"""The resources of a namespace, marks for references to them, and what only looks like one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .marks import Outside, Prose, Ref, Spelled
from .pick import Pick

# Some begin with others; one is no word.
_IDS = {
    "bucket": ("bkt_a", "bkt_ab", "bkt-1.x"),
    "collection": ("col_a", "col_ab", "col_a_b", "col_0123456789"),
    "retriever": ("ret_a", "ret_ab", "ret_a_b"),
    "taxonomy": ("tax_a", "tax_a_b"),
}
_NEVER_CLONED = {
    "alert": "alt_1",
    "cluster": "clust_1",
    "evaluation": "eval_1",
    "evaluation dataset": "ds_1",
    "trigger": "trg_1",
    "weight set": "ws_1",
}
# Every namespace has this collection, under no other id.
DIRECT = "_direct_upsert"
# A taxonomy that there is not, although one begins so that there is.
_UNKNOWN = "tax_agone"
NAMESPACE_ID = "ns_prod000001"
NAMESPACE_NAME = "prod"
ORGANIZATION = "org_acme"
OTHER_NAMESPACE = "ns_other00001"


@dataclass
class World:
    pick: Pick
    ids: dict[str, list[str]]

    @classmethod
    def new(cls, pick: Pick) -> World:
        least = {"bucket": 2, "collection": 2, "retriever": 2, "taxonomy": 1}
        return cls(pick, {kind: pick.some(options, least[kind]) for kind, options in _IDS.items()})

    def name(self, kind: str, value: str) -> str:
        return f"{kind}-{self.ids[kind].index(value)}"

    def ref(self, kind: str, outside: Outside, *, dangles: bool = True) -> Ref:
        """A reference to one of the namespace, now and then to one that it does not have."""
        known = self.pick.one(self.ids[kind])
        if dangles and self.pick.rarely():
            return Ref(kind, f"{known}gone", outside)
        return Ref(kind, known, outside)

    def refs(
        self, kind: str, outside: Outside = "drop", *, dangles: bool = True, name: bool = False
    ) -> list[Ref]:
        """A list of them, none twice. `name`: a name may stand there too."""
        found = [Ref(kind, known, outside) for known in self.pick.some(self.ids[kind], 1)]
        if name and self.pick.maybe():
            found[0] = Ref(kind, self.name(kind, found[0].value), outside, name=True)
        if dangles and self.pick.rarely():
            found.append(Ref(kind, f"{found[0].value}gone", outside))
        return found

    def never(self, kind: str, outside: Outside) -> Ref:
        """A reference to something of a type that is never cloned."""
        return Ref(kind, _NEVER_CLONED[kind], outside)

    def shared(self, value: str, outside: Outside = "null") -> Ref:
        """A reference to something of the organization: a connection, a secret, a cluster."""
        return Ref("of the organization", value, outside)

    def constant(self, kind: str = "collection") -> Ref:
        """Data that is an id as a whole."""
        return self.ref(kind, "stays", dangles=False)

    def field(self, what: str = "label", *, prefix: str = "_internal.") -> Spelled:
        """The name of a payload field in which a taxonomy's id stands."""
        taxonomy = Ref("taxonomy", self.pick.one([*self.ids["taxonomy"], _UNKNOWN]), "data")
        return Spelled((f"{prefix}_taxonomy_", taxonomy, f"_{what}"))

    def fields(self, *whats: str, prefix: str = "_internal.") -> dict[Spelled, str]:
        """Names for several taxonomies and things, none twice, each with its thing."""
        taxonomies = [Ref("taxonomy", one, "data") for one in self.ids["taxonomy"]]
        taxonomies.append(Ref("taxonomy", _UNKNOWN, "data"))
        return {
            Spelled((f"{prefix}_taxonomy_", taxonomy, f"_{what}")): what
            for taxonomy in taxonomies
            for what in self.pick.some(whats)
        }

    def uri(self) -> str | Spelled:
        """A feature URI: global, or of a collection."""
        of_collection = Spelled(("namespace://", self.ref("collection", "stays"), "/embedding"))
        return self.pick.one(("mixpeek://text_extractor@v1/embedding", of_collection))

    def prose(self) -> Prose:
        """Text that names an id literally, among templates and words that only begin like one."""
        kind = self.pick.one(("collection", "retriever", "bucket", "taxonomy"))
        known = self.pick.one(self.ids[kind])
        text = f"Compare {{{{DOC.title}}}} with {known}, not with x{known} or {known}gone."
        return Prose(text, (known,))

    def template(self) -> Spelled:
        """A template that puts in what a taxonomy wrote, among text that only looks like it."""
        field = self.field()
        return Spelled(("_taxonomy_x_label: {{ DOC.", *field.parts, " | tojson }} {{DOC.title}}"))

    def user_data(self) -> dict[str, Any]:
        """What a user stored; ids of the namespace and its paths among it. None is a reference."""
        collection = self.pick.one(self.ids["collection"])
        taxonomy = self.pick.one(self.ids["taxonomy"])
        url = f"s3://store/{ORGANIZATION}/{NAMESPACE_ID}/{collection}/clip.mp4"
        everything = {
            "collection_id": collection,
            "note": f"{collection} and {collection}b",
            "url": url,
            "namespace_id": NAMESPACE_ID,
            f"_taxonomy_{taxonomy}_label": taxonomy,
            collection: {"retriever_id": self.pick.one(self.ids["retriever"]), "n": 1.0},
            "_internal": {"namespace_id": NAMESPACE_ID, "collection_id": collection},
            "edges": [{"type": "uses", "target_collection_id": collection}],
            "source_details": [{"type": "collection", "source_id": collection}],
            "stages": [{"config": {"parameters": {"taxonomy_id": taxonomy}}}],
            "path": f"{self.pick.one(self.ids['bucket'])}/{collection}",
            "types": [1, 1.0, True, None, "ü\u2028", 2**60, -0.0, [], {}],
        }
        return self.pick.keep(everything)
