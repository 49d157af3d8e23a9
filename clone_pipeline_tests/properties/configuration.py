"""The namespace's own document, its buckets, collections, retrievers and taxonomies."""

from __future__ import annotations

from typing import Any

from .marks import Becomes, Outside, Ref, Scope, Spelled, Whole
from .stages import embedded_retriever, filters, inputs, stages
from .world import DIRECT, NAMESPACE_ID, NAMESPACE_NAME, ORGANIZATION, OTHER_NAMESPACE, World

Json = dict[Any, Any]


def namespace(world: World) -> Json:
    infrastructure = {
        "qdrant_url": Becomes("http://qdrant.example.org:6333"),
        "qdrant_api_key": Becomes("qdrant-secret"),
        "compute_tier": world.pick.one((Becomes("dedicated_gpu", "shared"), "shared")),
        "compute_profiles": {"text_extractor_v1": {"gpu": 1}},
        "s3_plugin_bucket": "mixpeek-plugins",
        "s3_plugin_prefix": Becomes(f"{NAMESPACE_ID}/"),
        "ray_cluster_id": Becomes("ray_shared1", cluster=True),
        "s3_vector_bucket": world.shared("vectors"),
        "ray_head_node_url": Becomes("ray://head.example.org:10001"),
        "ray_dashboard_url": Becomes("http://ray.example.org"),
        "authorization": Whole({"api_token_secret_ref": "issuer_token", "enabled": True}),
    }
    optional = {
        "namespace_type": world.pick.one((Becomes("marketplace", "standard"), "standard")),
        "scope": world.pick.one((Becomes("system", "org"), "org")),
        "storage": Becomes({"connection_id": "conn_1", "prefix": f"{NAMESPACE_ID}/"}),
        "pinned": Becomes({"enabled": True, "warm_query_encoder": True}),
        "spend_budget": Becomes({"daily_usd": 500}),
        "tiering": {"enabled": True, "exempt": Becomes("legal hold")},
        "description": f"the original of {NAMESPACE_ID}",
        "cluster_id": Becomes("iclstr_1", cluster=True),
        "feature_extractors": [{"feature_extractor_name": "text_extractor", "version": "v1"}],
        "vector_inference_map": {"text_dense": "intfloat__e5"},
        "payload_indexes": [
            {"field_name": "_internal.collection_id", "type": "keyword", "is_protected": True},
            *({"field_name": name, "type": "keyword"} for name in world.fields("label", "id")),
        ],
        "trusted_issuers": [Whole(_issuer(world))],
        "auto_create_indexes": False,
        "unknown_setting": {"kept": [1, 1.0, None]},
    }
    return {
        "organization_id": ORGANIZATION,
        "namespace_id": Ref("namespace", NAMESPACE_ID, "data"),
        "namespace_name": NAMESPACE_NAME,
        "infrastructure": {
            "qdrant_collection": "prod_vectors",
            **world.pick.keep(infrastructure),
        },
        **world.pick.keep(optional),
    }


def _issuer(world: World) -> Json:
    optional = {
        "retrievers": world.refs("retriever", name=True),
        "collections": world.refs("collection", name=True),
        "owner_writable_collections": world.refs("collection", name=True),
        "claim_filters": [{"claim": "team", "field": world.field("label")}],
    }
    return {"issuer": "https://login.example.org", **world.pick.keep(optional)}


def bucket(world: World, bucket_id: str) -> Json:
    adapter = {
        "adapter_type": "collection",
        "connection_id": world.shared("conn_1"),
        "source_collection_id": world.ref("collection", "null"),
        "source_bucket_ids": world.refs("bucket"),
        "source_filters": filters(world),
        "webhook_url": Becomes(f"https://in.example.org/{bucket_id}"),
        "webhook_secret": Becomes("hook-secret"),
    }
    ingest = {
        "retriever_id": world.ref("retriever", "around"),
        "retriever_version": 2,
        "action": "drop",
    }
    optional = {
        "description": None,
        "bucket_schema": _schema(world),
        "unique_key": {"fields": ["title"], "default_policy": "upsert"},
        "metadata": world.user_data(),
        "destination": Becomes(
            {"connection_id": "conn_1", "prefix": f"{NAMESPACE_ID}/{bucket_id}"}
        ),
        "ingest_filter": ingest,
        "source_adapter": world.pick.keep(adapter),
        "created_at": "2026-01-02T03:04:05.678901Z",
    }
    return {
        "bucket_id": Ref("bucket", bucket_id, "data"),
        "bucket_name": world.name("bucket", bucket_id),
        **world.pick.keep(optional),
    }


def _schema(world: World) -> Json:
    collection = world.pick.one(world.ids["collection"])
    return {
        "properties": {
            collection: {"type": "string", "examples": [collection], "default": collection},
            "clip": {"type": "video", "description": f"as in {collection}"},
        }
    }


def collection(world: World, collection_id: str) -> Json:
    own = Ref("collection", collection_id, "data")
    optional = {
        "description": "made of clips",
        "metadata": world.user_data(),
        "input_schema": {"properties": {key: {} for key in world.fields("score")}},
        "output_schema": {"properties": {key: {"type": "string"} for key in world.fields("label")}},
        "feature_extractor": _extractor(world),
        "vector_indexes": [{"name": "embedding", "feature_uri": world.uri()}],
        "payload_indexes": [{"field_name": world.field(), "type": "keyword"}],
        "taxonomy_applications": [_taxonomy_application(world) for _ in range(2)],
        "retriever_enrichments": [_retriever_enrichment(world) for _ in range(2)],
        "cluster_applications": [{"cluster_id": world.never("cluster", "around"), "priority": 1}],
        "alert_applications": [_alert_application(world)],
        "trigger_id": world.never("trigger", "null"),
        "schedule": Becomes({"trigger_type": "cron", "schedule_config": {"cron": "0 3 * * *"}}),
        "retriever_transform": _transform(world),
        "index_map": {world.uri(): world.uri()},
        "s3_vector_index": Spelled(("col_", own)),
        "disabled_reason": {
            "code": "source_collection_deleted",
            "source_collection_id": world.pick.one(world.ids["collection"]),
        },
        "lifecycle_state": "active",
    }
    return {
        "collection_id": own,
        "collection_name": world.name("collection", collection_id),
        **_source(world),
        **world.pick.keep(optional),
    }


def _source(world: World) -> Json:
    """The source, with what hangs on it: schemas by bucket, and the tiers above."""
    shape = world.pick.one(("buckets", "one bucket", "one collection", "collections"))
    namespace, buckets, above = _buckets(world, only_one=shape == "one bucket")
    first: Json = {"type": "bucket", **namespace}
    if shape == "one bucket":
        first["bucket_id"] = buckets[0]
    else:
        first |= {
            "bucket_ids": Scope(buckets),
            "inherited_bucket_ids": above,
            "field_map": dict.fromkeys(above, _passed(world)),
            "source_filters": {"filters": filters(world)},
        }
    schema = {"properties": {key: {"type": "string"} for key in world.fields("id")}}
    tier = {"feature_extractor": _extractor(world), "output_schema": schema}
    tiers = [{"source_config": first, **tier}]
    schemas = {"source_bucket_schemas": dict.fromkeys(above, _schema(world))}
    if shape in ("one collection", "collections"):
        second = _collections(world, only_one=shape == "one collection")
        second["inherited_bucket_ids"] = above
        tiers.append({"source_config": second, **tier})
        return {"source": second, "source_lineage": tiers, **schemas}
    return {"source": first, **schemas} | world.pick.keep({"source_lineage": tiers})


def _buckets(world: World, *, only_one: bool) -> tuple[Json, list[Any], list[Any]]:
    """The namespace that a source names, its buckets, and those at the root of its chain."""
    outside: Outside = "stays" if only_one else "drop"
    refs = world.refs("bucket", outside, dangles=False)[: 1 if only_one else None]
    if world.pick.rarely():
        # Even if one there is called like one here.
        there = ["bkt_far", *(ref.value for ref in refs)][: 1 if only_one else None]
        marked = [Whole(bucket, elsewhere=True) for bucket in there]
        return {"source_namespace_id": Whole(OTHER_NAMESPACE)}, marked, marked
    here = {"source_namespace_id": Ref("namespace", NAMESPACE_ID, "data")}
    roots = [Ref("bucket", ref.value, "drop") for ref in refs]
    return world.pick.keep(here), refs, [*roots, Ref("bucket", "bkt_gone", "drop")]


def _passed(world: World) -> list[Json]:
    return [
        {"source_path": world.field(), "target_path": "topic"},
        {"source_path": "title", "target_path": world.field(prefix="")},
    ]


def _collections(world: World, *, only_one: bool) -> Json:
    if only_one:
        return {"type": "collection", "collection_id": world.ref("collection", "stays")}
    upstream = world.refs("collection")
    field_map = {Ref("collection", upstream[0].value, "drop"): _passed(world)}
    return {"type": "collection", "collection_ids": Scope(upstream), "field_map": field_map}


def _extractor(world: World) -> Json:
    return {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "feature_extractor_id": "text_extractor_v1",
        "input_mappings": world.pick.one(
            (
                {"text": "title", "topic": world.field()},
                {"texts": ["title", world.field()]},
                [{"input_key": "text", "source_type": "payload", "path": world.field()}],
            )
        ),
        "field_passthrough": _passed(world),
        "params": {"model": "e5"},
    }


def _mappings(world: World) -> list[Json]:
    return [
        {"input_key": "q", "source": {"source_type": "document_field", "path": world.field()}},
        {"input_key": "in", "source": {"source_type": "constant", "value": world.constant()}},
        {"input_key": "n", "source": {"source_type": "constant", "value": "col_unknown"}},
    ]


def _taxonomy_application(world: World) -> Json:
    optional = {
        "target_collection_id": world.ref("collection", "around"),
        "scroll_filters": filters(world),
        "execution_phase": 1,
    }
    return {"taxonomy_id": world.ref("taxonomy", "around"), **world.pick.keep(optional)}


def _retriever_enrichment(world: World) -> Json:
    return {
        "retriever_id": world.ref("retriever", "around"),
        "input_mappings": _mappings(world),
        "write_back_fields": [{"source_field": world.field(), "target_field": world.field()}],
        "scroll_filters": filters(world),
    }


def _alert_application(world: World) -> Json:
    return {
        "alert_id": world.never("alert", "around"),
        "execution_mode": "on_ingest",
        "input_mappings": _mappings(world),
    }


def _transform(world: World) -> Json:
    if world.pick.one(("saved", "inline")) == "saved":
        saved = {"retriever_id": world.ref("retriever", "around"), "retriever_version": 1}
        written = [{"source_field": world.field(), "target_field": world.field("score")}]
        return saved | {"input_mappings": _mappings(world), "write_back_fields": written}
    return {"stages": stages(world, 1), "unique_id_field": "document_id"}


def retriever(world: World, retriever_id: str) -> Json:
    display = {
        "retriever_config": embedded_retriever(world),
        "exposed_fields": ["title", world.field()],
        "field_config": {"title": {"format": "text"}} | {key: {} for key in world.fields("score")},
        "field_mappings": {"title": "name", "topic": world.field()},
        "seo": {"canonical_url": Becomes("https://pages.example.org/search"), "robots": "index"},
        "markdowns": [{"content": world.template()}],
    }
    optional = {
        "description": f"looks into {world.pick.one(world.ids['collection'])}",
        "collection_identifiers": [*world.refs("collection", name=True), DIRECT],
        "collections": [{"collection_id": world.ref("collection", "around"), "weight": 1}],
        "input_schema": inputs(world),
        "feature_dependencies": [{"scheme": "mixpeek", "extractor": "text_extractor"}],
        "display_config": world.pick.keep(display),
        "marketplace_listing_id": Becomes("mkt_1"),
        "is_published": Becomes(True, False),
        "visibility": world.pick.one((Becomes("public", "private"), "private")),
        "requires_subscription": Becomes(True, False),
        "metadata": world.user_data(),
        "version": 3,
    }
    return {
        "retriever_id": Ref("retriever", retriever_id, "data"),
        "retriever_name": world.name("retriever", retriever_id),
        "collection_ids": world.refs("collection"),
        "stages": stages(world),
        **world.pick.keep(optional),
    }


def taxonomy(world: World, taxonomy_id: str, version: int) -> Json:
    optional = {
        "description": None,
        "retriever_id": world.ref("retriever", "null"),
        "input_mappings": _taxonomy_mappings(world),
        "metadata": world.user_data(),
        "nodes": [{"node_id": "a/b", "parent_id": "a", "path": ["a", "b"], "level": 1}],
        "ready": True,
    }
    config = world.pick.one((_flat, _hierarchical))(world)
    return {
        "taxonomy_id": Ref("taxonomy", taxonomy_id, "data"),
        "version": version,
        "taxonomy_name": world.name("taxonomy", taxonomy_id),
        "config": config,
        **world.pick.keep(optional),
    }


def _taxonomy_mappings(world: World) -> Any:
    older = {"text": world.uri(), "topic": world.field()}
    listed: list[Json] = [
        {"input_key": "q", "source_type": "payload", "path": world.field()},
        {"input_key": "v", "source_type": "vector", "path": world.uri()},
        {"input_key": "l", "source_type": "literal", "override": "a literal"},
        {"input_key": "c", "source_type": "literal", "override": world.constant()},
    ]
    return world.pick.one((listed, older))


def _flat(world: World) -> Json:
    enrichment = [{"field_path": world.field(), "target_field": world.field("id")}]
    return {
        "taxonomy_type": "flat",
        "retriever_id": world.ref("retriever", "stays"),
        "input_mappings": _taxonomy_mappings(world),
        "source_collection": {
            "collection_id": world.ref("collection", "stays"),
            "enrichment_fields": world.pick.one((None, enrichment)),
        },
        "top_k": 2,
        "step_analytics": {
            "timestamp_field": world.field("score"),
            "sequence_id_field": world.field("id"),
            "covariates": [
                {"field_path": world.field("score"), "covariate_type": "numeric", "name": "score"}
            ],
        },
    }


def _hierarchical(world: World) -> Json:
    optional = {
        "retriever_id": world.ref("retriever", "null"),
        "inference_collections": world.refs("collection"),
        "cluster_ids": [world.never("cluster", "drop")],
        "inference_strategy": "llm",
        "llm_prompt_template": "Describe {collection_id} and {collection_name}",
        "path_field": world.field(),
    }
    root, *below = world.refs("collection", "stays", dangles=False)
    nodes = [_node(world, root, None), *(_node(world, one, root) for one in below)]
    return {
        "taxonomy_type": "hierarchical",
        "hierarchical_nodes": nodes,
        **world.pick.keep(optional),
    }


def _node(world: World, collection_ref: Ref, parent: Ref | None) -> Json:
    optional = {
        "label": "Sports",
        "retriever_id": world.ref("retriever", "null"),
        "enrichment_fields": [{"field_path": world.field("id"), "target_field": world.field()}],
        "input_mappings": _taxonomy_mappings(world),
        "keywords": [collection_ref.value],
    }
    return {
        "collection_id": collection_ref,
        "parent_collection_id": parent,
        **world.pick.keep(optional),
    }
