"""The fixed identifiers and times of the demo namespace, derived from readable names."""

from __future__ import annotations

import hashlib
import string
import uuid
from datetime import datetime, timedelta, timezone

_ALPHABET = string.ascii_lowercase + string.digits
_START = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)


def make_id(prefix: str, length: int, *parts: object) -> str:
    """`prefix` and `length` characters, the same ones for the same parts."""
    number = int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest(), "big")
    characters = []
    for _ in range(length):
        number, index = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return prefix + "".join(characters)


def document_id(*parts: object) -> str:
    return "doc_" + hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:24]


def object_id(*parts: object) -> str:
    return make_id("obj_", 12, "object", *parts)


def blob_id(*parts: object) -> str:
    return make_id("blob_", 12, "blob", *parts)


def point_uuid(document: str) -> str:
    """The point id of a document: Qdrant takes no `doc_...` strings."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mixpeek://documents/{document}"))


def moment(minutes: int) -> str:
    """A time this many minutes into the life of the demo namespace."""
    return (_START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


ORGANIZATION = "org_demo"
NAMESPACE = make_id("ns_", 10, "cloud_api_docs")
NAMESPACE_NAME = "cloud_api_docs"
STORAGE = f"s3://demo-cloud-docs/{ORGANIZATION}/{NAMESPACE}"

GUIDES = make_id("bkt_", 8, "service_guides")
REFERENCE = make_id("bkt_", 8, "api_reference")

OVERVIEWS = make_id("col_", 10, "service_overviews")
OPERATIONS = make_id("col_", 10, "api_operations")
HIGHLIGHTS = make_id("col_", 10, "operation_highlights")
ERRORS = make_id("col_", 10, "error_reference")
CATEGORIES = make_id("col_", 10, "service_categories")
QUESTIONS = make_id("col_", 10, "common_questions")
DELETED_COLLECTION = make_id("col_", 10, "search_logs")

SEARCH = make_id("ret_", 14, "documentation_search")
BY_SERVICE = make_id("ret_", 14, "operations_by_service")
CATEGORY_LOOKUP = make_id("ret_", 14, "category_lookup")
ANSWERS = make_id("ret_", 14, "highlight_answers")
TROUBLESHOOT = make_id("ret_", 14, "error_troubleshooting")
SIMILAR = make_id("ret_", 14, "similar_operations")

CATEGORY_TAXONOMY = make_id("tax_", 12, "service_category")
LEVEL_TAXONOMY = make_id("tax_", 12, "documentation_level")

# Types that a clone never brings along, and what belongs to the organization.
CLUSTER = make_id("clust_", 10, "service_families")
ALERT = make_id("alt_", 10, "deprecated_operation_found")
TRIGGER = make_id("trg_", 10, "nightly_overviews")
CONNECTION = make_id("conn_", 15, "docs_storage")
USER = make_id("usr_", 15, "docs_admin")
EVALUATION_DATASET = make_id("eds_", 12, "support_questions_2026q1")
EVALUATION = make_id("eval_", 12, "rerank_2026q1")
WEIGHT_SET = make_id("wts_", 12, "rerank_2026q1")

DENSE = "text_extractor_v1_embedding"
DENSE_BY_MODEL = "sentence_transformers__all_minilm_l6_v2"
MULTI = "text_extractor_v1_keywords"
SPARSE = "lexical_v1_terms"
DIMENSIONS = 384

TEXT_URI = "mixpeek://text_extractor@v1/embedding"
KEYWORDS_URI = "mixpeek://text_extractor@v1/keywords"
PASSAGE_URI = "mixpeek://passage_extractor@v1/embedding"
TERMS_URI = "mixpeek://passage_extractor@v1/terms"
