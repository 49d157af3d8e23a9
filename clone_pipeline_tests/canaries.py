"""Secrets that are easy to find again, in every form and at every kind of place of a namespace."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from clone_pipeline_tests.sources import one_of_each

Json = dict[str, Any]

# A form takes a canary and gives the members that an object gets with it.
Form = Callable[[str], Json]

KEYS = (
    *("api_key", "apiKey", "X-Api-Key", "llm_api_key", "OPENAI_API_KEY", "captcha_service_api_key"),
    *("access_token", "refreshToken", "bearer_token", "auth_token", "hf_token", "token"),
    *("client_secret", "webhook_secret", "signingSecret", "secret", "aws_secret_access_key"),
    *("password", "db_password", "PGPASSWORD", "passphrase", "private_key", "accountKey"),
    *("Authorization", "proxy-authorization", "cookie", "credentials", "connection_string", "dsn"),
    *("credentials_json", "captcha_key", "rapidapi_key", "consumerKey", "azure_storage_key"),
    *("pass_word", "otp", "access_code", "kubeconfig", "secret_string", "x-functions-key"),
)


def _keyed(key: str) -> Form:
    return lambda canary: {key: canary}


IN_MAPS: tuple[Form, ...] = (
    lambda canary: {"headers": {"X-Team": canary}},
    lambda canary: {"custom_headers": {"X-Trace": {"deep": [canary]}}},
    lambda canary: {"headers": [{"name": "X-Team", "value": canary}]},
    lambda canary: {"env": {"REGION": canary, "MODE": "{{SECRET.mode}}"}},
    lambda canary: {"environment": {"REGION": canary}},
    lambda canary: {"env_vars": [f"REGION={canary}"]},
    lambda canary: {"credentials": {"type": "basic", "user_id": canary}},
    lambda canary: {"connection": {"credentials": {"anything": {"at": [canary]}}}},
    lambda canary: {"secrets": {"one": canary}},
    lambda canary: {"api_key": {"value": canary}},
    lambda canary: {"api_keys": [canary]},
    lambda canary: {"cookies": {"session": canary}},
    lambda canary: {"auth": {"type": "bearer", "value": canary}},
    lambda canary: {"auth_config": {"type": "basic", "password": canary}},
    lambda canary: {"headers": {"Content-Type": canary}},
    lambda canary: {"headers": {"Authorization": f"Bearer {canary} {{{{INPUT.x}}}}"}},
    lambda canary: {"api_key": f"{{{{ secrets.x | default('{canary}') }}}}"},
    lambda canary: {"api_key": f"{{% set key = '{canary}' %}}{{{{ key }}}}"},
    lambda canary: {"headers_template": {"X-Team": canary}},
    lambda canary: {"authentication": {"params": {"x": canary}}},
    lambda canary: {"endpoint": "https://api", "queryParams": {"q": canary}},
    lambda canary: {"base_url": "https://api", "query_parameters": {"q": canary}},
    lambda canary: {"openai": {"key": canary}},
    lambda canary: {"keys": {"openai": canary}},
    lambda canary: {"connection": {"string": canary}},
    lambda canary: {"connection": {"of": {"key": canary}}},
    lambda canary: {"args": ["--api-key", canary]},
)
IN_TEXTS: tuple[Form, ...] = (
    lambda canary: {"url": f"https://app:{canary}@api.example.org/v1"},
    lambda canary: {"url": f"https://{canary}@api.example.org/v1"},
    lambda canary: {"dsn_of_it": f"postgresql+psycopg2://app:{canary}@db:5432/x"},
    lambda canary: {"dsn_of_it": f"postgresql+psycopg2://app:{canary}/slash@db:5432/x"},
    lambda canary: {"at": f"redis://:{canary}@cache:6379/0"},
    lambda canary: {"url": f"https://api.example.org/?q=1&api_key={canary}&r=2"},
    lambda canary: {"url": f"https://api.example.org/?X-Amz-Signature={canary}"},
    lambda canary: {"prompt": f"Ask https://api.example.org/?token={canary} for it."},
    lambda canary: {"body": f'{{"api_key": "{canary}", "q": "x"}}'},
    lambda canary: {"code": f"client = Client(x, api_key='{canary}')"},
    lambda canary: {"code": f'PASSWORD = "{canary}"\nprint(1)'},
    lambda canary: {"note": f"Server=db;Uid=app;Pwd={canary};"},
    lambda canary: {"note": f"send Authorization: Bearer {canary}"},
    lambda canary: {"note": f"send Authorization: Token {canary}"},
    lambda canary: {"at": f"//app:{canary}@cache:6379/0"},
    lambda canary: {"url": f"https://files.example.org/a?X-Goog-Signature={canary}&x=1"},
    lambda canary: {"url": f"https://api.example.org/?api%5Fkey={canary}"},
    lambda canary: {f"https://app:{canary}@api.example.org": "by address"},
    lambda canary: {"code": f'os.environ["API_KEY"] = "{canary}"'},
    lambda canary: {"code": f'os.environ.setdefault("API_KEY", "{canary}")'},
    lambda canary: {"code": f"requests.get(u, auth=('app', '{canary}'))"},
    lambda canary: {"code": f"curl -u app:{canary} https://api.example.org"},
    lambda canary: {"code": f"tool --api-key {canary} run"},
    lambda canary: {"query": f"CREATE USER a IDENTIFIED BY '{canary}'"},
    lambda canary: {"body": f"<login><password>{canary}</password></login>"},
    lambda canary: {"note": f"AIza{canary.replace('-', '_')}abcdefghijklmnopqrstuvwxyz0123"},
    lambda canary: {"note": f"SG.{canary}abcdefghijklmnop.{canary}abcdefghijklmnop"},
    lambda canary: {"note": f"whsec_{canary.replace('-', '_')}abcdefghijklmnop"},
    lambda canary: {
        "pem": f"-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----",
    },
)
NAMED: tuple[Form, ...] = (
    lambda canary: {"list": [{"name": "Authorization", "val": canary}]},
    lambda canary: {"list": [{"id": "password", "value": canary}]},
    lambda canary: {"list": [{"headerName": "X-Api-Key", "value": canary}]},
    lambda canary: {"list": [{"header_name": "X-Team", "header_value": canary}]},
    lambda canary: {"list": [{"type": "secret", "value": canary}]},
    lambda canary: {"list": [{"name": "x", "is_secret": True, "value": canary}]},
    lambda canary: {"list": [{"name": "api_key", "value": canary}]},
    lambda canary: {"list": [{"key": "Authorization", "value": canary}]},
    lambda canary: {
        "input_mappings": [
            {"input_key": "api_key", "source": {"source_type": "constant", "value": canary}}
        ]
    },
    lambda canary: {
        "input_mappings": [{"input_key": "password", "source_type": "literal", "override": canary}]
    },
    lambda canary: {"properties": {"api_key": {"type": "string", "default": canary}}},
    lambda canary: {"properties": {"token": {"type": "string", "examples": [canary]}}},
    lambda canary: {
        "secret": {"type": "object", "properties": {"a": {"type": "string", "default": canary}}}
    },
)
FORMS: tuple[Form, ...] = (*map(_keyed, KEYS), *IN_MAPS, *IN_TEXTS, *NAMED)

# An object of a resource that takes members of any kind, and the resource's file.
Place = Callable[[Json], Json]


def _stage(members: Json) -> Json:
    config = {"stage_id": "api_call", "parameters": members}
    return {"stages": [{"stage_name": "s", "config": config}]}


PLACES: dict[str, tuple[Place, ...]] = {
    "namespace": (
        lambda members: {
            "feature_extractors": [{"feature_extractor_name": "e", "params": members}]
        },
        lambda members: {"infrastructure": {"compute_profiles": {"e_v1": members}}},
        lambda members: {"unknown": {"deep": [members]}},
    ),
    "bucket": (
        lambda members: {"source_adapter": {"adapter_type": "iconik", **members}},
        lambda members: {"metadata": members},
        lambda members: {"bucket_schema": members},
    ),
    "collection": (
        lambda members: {"feature_extractor": {"parameters": members}},
        lambda members: {"metadata": {"deep": members}},
        lambda members: {"retriever_transform": _stage(members)},
    ),
    "retriever": (
        _stage,
        lambda members: {"display_config": {"extensions": members}},
        lambda members: {"display_config": {"retriever_config": _stage(members)}},
    ),
    "taxonomy": (
        lambda members: {"config": {"taxonomy_type": "hierarchical", "step_analytics": members}},
        lambda members: {"metadata": members},
    ),
    "qdrant": (lambda members: {"metadata": members},),
}


def canary(number: int) -> str:
    return f"CANARY-{number:05d}-x7Qz"


def planted(count: int) -> tuple[dict[str, list[Json]], list[str]]:
    """Documents without identity by kind, with that many canaries, and the canaries."""
    documents: dict[str, list[Json]] = {kind: [] for kind in PLACES}
    names = []
    for number, (kind, place, form) in zip(range(count), _everywhere(), strict=False):
        names.append(canary(number))
        documents[kind].append(place(form(names[-1])))
    return documents, names


def _everywhere() -> Iterator[tuple[str, Place, Form]]:
    places = [(kind, place) for kind, those in PLACES.items() for place in those]
    return (
        (kind, place, form)
        for form, (kind, place) in itertools.cycle(itertools.product(FORMS, places))
    )


# ---- namespaces --------------------------------------------------------------------------------


def planted_files(count: int) -> tuple[Json, list[str]]:
    """The small namespace with canaries in resources of every type, one a resource; the places of
    the namespace's own document and of Qdrant's metadata hold many."""
    documents, names = planted(count)
    files = one_of_each(
        namespace={
            f"planted_{number}": one for number, one in enumerate(documents.pop("namespace"))
        }
    )
    metadata = documents.pop("qdrant")
    files["qdrant.json"]["metadata"] = {str(n): one["metadata"] for n, one in enumerate(metadata)}
    plural = {"taxonomy": "taxonomies"}
    for kind, those in documents.items():
        file = f"{plural.get(kind, kind + 's')}.jsonl"
        first = files[file][0]
        for number, one in enumerate(those):
            identity = {f"{kind}_id": f"{first[f'{kind}_id']}x{number}"}
            files[file].append({**first, **one, **identity, f"{kind}_name": f"{kind} {number}"})
    typed = {
        "qdrant_api_key": canary(90_001),
        "qdrant_url": f"http://app:{canary(90_002)}@127.0.0.1:9",
        "authorization": {"enabled": True, "api_token": canary(90_003)},
        "ray_head_node_url": f"ray://app:{canary(90_004)}@head:10001",
    }
    files["namespace.json"]["infrastructure"] = typed
    files["namespace.json"]["description"] = f"with token={canary(90_005)};"
    adapter = {"webhook_secret": canary(90_006), "connection": {"credentials": [canary(90_007)]}}
    files["buckets.jsonl"][0] |= {"source_adapter": adapter}
    return files, [*names, *map(canary, range(90_001, 90_008))]
