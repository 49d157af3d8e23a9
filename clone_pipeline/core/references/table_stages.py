"""What refers to something inside a stage, wherever it stands there.

Parameters of a stage are free-form, and stage lists nest (`retriever_config`,
`retriever_transform`, `feature_search_config`), so these rows are found by their key at any depth.
Strings at no row's place are payload paths or feature URIs where their whole text is one, and else
text.
"""

from __future__ import annotations

from .model import NOTHING, Row, rows_of

_WHOLE = "required in its object, which goes whole"
_FALLS_BACK = "without any it searches the retriever's own collections"

STAGE = rows_of(
    "stage",
    Row("**.collection_id", "collection"),
    Row(
        "**.target_collection_id",
        "collection",
        scope_of=("retriever_id", "retriever_config"),
        note="beside a retriever it is the scope of that retriever",
    ),
    Row("**.reference_collection_id", "collection"),
    Row("**.source_collection_id", "collection"),
    Row("**.collection_ids[]", "collection", last_stays=True, note=_FALLS_BACK),
    Row("**.collection_identifiers[]", "collection", last_stays=True, note=_FALLS_BACK),
    Row("**.example_collection_ids[]", "collection"),
    Row("**.retriever_id", "retriever"),
    Row("**.taxonomy_id", "taxonomy"),
    Row("**.taxonomy_ids[]", "taxonomy"),
    Row("**.bucket_id", "bucket"),
    Row("**.bucket_ids[]", "bucket", last_stays=True),
    Row("**.namespace_id", "namespace", "namespace"),
    Row("**.connection_id", "connection", clears=NOTHING, note="`sql_lookup` requires it"),
    Row("**.secret_ref", "organization secret"),
    Row("**.evaluation_dataset_id", "evaluation dataset"),
    *(
        Row(f"**.shipped_weight_set.{key}", target, clears="**.shipped_weight_set", note=_WHOLE)
        for key, target in (
            ("weight_set_id", "weight set"),
            ("evaluation_id", "evaluation"),
            ("baseline_evaluation_id", "evaluation"),
        )
    ),
    Row("**.pre_filters", "any", "filters"),
    Row("**.post_filters", "any", "filters"),
    Row("**.filters", "any", "filters"),
    Row("**.filter", "any", "filters"),
    Row("**.scroll_filters", "any", "filters"),
    Row("**.source_filters", "any", "filters"),
    Row("**.conditions", "any", "filters"),
    Row("**.must", "any", "filters", note="Qdrant's spelling"),
    Row("**.must_not", "any", "filters", note="Qdrant's spelling"),
    Row("**.should", "any", "filters", note="Qdrant's spelling"),
    Row("**.min_should", "any", "filters", note="Qdrant's spelling"),
    Row("**.when", "any", "filters"),
    Row("**.input_mappings[].source.value", "any", "constant"),
    Row("**.retriever_inputs", "any", "constant"),
    Row("**.parameters.parameters", "any", "constant", note="named parameters of an SQL query"),
    Row("**.input_schema.*", "any", "inputs"),
    Row("**.body", "any", "constant", note="of an API call"),
    Row("**.override", "any", "constant", note="a literal"),
    Row("**.headers", "text", "text"),
    Row("**.env", "text", "text"),
    Row("**.code", "text", "text"),
    Row("**.metadata", "user data", "verbatim"),
)
