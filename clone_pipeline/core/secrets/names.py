"""Which keys name a secret, in whatever spelling: `api_key`, `apiKey`, `X-Api-Key`, `APIKEY`."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# A secret whatever stands before it.
_SECRETS = frozenset(
    {"password", "passwords", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets"}
    | {"credential", "credentials", "creds", "authorization", "auth", "bearer", "jwt", "pat"}
    | {"cookie", "cookies", "headers", "dsn", "otp", "mnemonic", "kubeconfig", "htpasswd", "netrc"}
    | {"passwort", "kennwort"}
)
# What makes a `key` a secret one. `unique_key`, `primary_key`, `public_key` and so on are none.
_KEYS = frozenset(
    {"api", "access", "private", "secret", "account", "client", "application", "app", "signing"}
    | {"encryption", "decryption", "shared", "master", "auth", "ssh", "service", "subscription"}
    | {"admin", "hmac", "deploy", "webhook", "license", "function", "functions", "sas", "llm"}
    | {"rsa", "pgp", "gpg", "tls", "ssl", "security", "fernet"}
    | {"openai", "anthropic", "cohere", "gemini", "google", "azure", "aws", "gcp", "hf", "groq"}
    | {"huggingface", "mistral", "qdrant", "mixpeek", "stripe", "slack", "twilio", "sendgrid"}
    | {"pinecone", "weaviate", "replicate", "deepgram", "elevenlabs", "voyage", "jina", "serpapi"}
    | {"tavily", "apify", "firecrawl", "algolia", "elastic", "github", "gitlab", "assemblyai"}
    | {"captcha", "maps", "geocoding", "geocoder", "weather", "deepl", "consumer", "server", "fcm"}
    | {"unseal", "cosmos", "deepseek", "openrouter", "fireworks", "perplexity", "xai", "nvidia"}
    | {"twelvelabs", "luma", "mathpix", "langsmith", "langfuse", "wandb", "datadog", "supabase"}
    | {"firebase", "notion", "airtable", "hubspot", "zendesk", "shopify", "dropbox", "iconik"}
    | {"cloudinary", "youtube", "bing", "brave", "exa", "serper", "minio", "snowflake"}
    | {"databricks", "redis", "mongodb", "clickhouse", "elasticsearch", "opensearch"}
)
# A `token` that is text, a place in a list or a bound, and not a secret.
_NO_TOKENS = frozenset(
    {"cls", "pad", "mask", "sep", "unk", "bos", "eos", "special", "stop", "start", "end", "begin"}
    | {"next", "page", "previous", "continuation", "cursor", "separator", "image", "prefix"}
    | {"max", "min", "per", "each", "first", "last", "single"}
)
# What makes several `tokens` secrets: alone they are words of a text.
_TOKENS = frozenset(
    {"access", "api", "auth", "bearer", "refresh", "session", "service", "user", "client", "app"}
    | {"personal", "secret", "id", "security", "admin", "webhook", "bot", "oauth"}
)
# Several words that are one only together.
_TOGETHER = (
    *(("connection", "string"), ("conn", "string"), ("conn", "str")),
    *(("service", "account", "json"), ("service", "account", "info")),
    *(("auth", "header"), ("authorization", "header"), ("user", "pass"), ("db", "pass")),
    *(("smtp", "pass"), ("proxy", "pass"), ("pass",), ("pass", "word"), ("header", "value")),
    *(("access", "code"), ("auth", "code"), ("authorization", "code"), ("azure", "storage", "key")),
    *(("recovery", "code"), ("recovery", "codes"), ("backup", "codes"), ("seed", "phrase")),
    *(("private", "pem"), ("kube", "config")),
)
# These say how a secret is written, and not what it is called.
_WRITTEN = frozenset(
    {"value", "values", "hash", "raw", "plain", "plaintext", "text", "literal", "encoded"}
    | {"encrypted", "current", "old", "new", "default", "backup", "prod", "live", "test", "pem"}
    | {"production", "staging", "dev", "primary", "secondary", "override"}
    | {"json", "string", "str", "b64", "base64", "data", "content"}
)
# One word of two: `apikey`, `authtoken`.
_RUN_TOGETHER = re.compile(
    r"(?:api|access|secret|private|account|client|auth|master|signing|license|consumer|service)key$"
    r"|(?:api|access|auth|bearer|refresh|session|id|security)token$"
    r"|(?:client|api|webhook|signing|app)secret$|(?:db|user|my)?password$|connectionstring$"
)
_SPEAKS_OF_ONE = frozenset({"ref", "refs", "name", "names"})
_AUTHORIZATION = frozenset({"auth", "authorization", "authentication", "login", "connection"})
_MAPS = frozenset({"env", "envs", "environ", "environment", *_SECRETS}) - _AUTHORIZATION
_MAPS_TOGETHER = (("env", "vars"), ("environment", "variables"), ("env", "variables"))
# An object that is called so is what the word before says.
_SETTINGS = frozenset({"config", "configuration", "settings", "options", "template", "templates"})
# A name in two parts: `openai: {key: ...}`, and `keys: {openai: ...}`.
_LAST_PART = frozenset({"key", "keys", "tokens", "string"})
_FIRST_PART = frozenset({"keys", "tokens"})


@lru_cache(maxsize=4096)
def words_of(key: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(key))


@lru_cache(maxsize=4096)
def names_a_secret(key: str) -> bool:
    """Whether a literal value under this key is a secret."""
    words = words_of(key)
    if _ends(words, _TOGETHER):
        return True
    while len(words) > 1 and words[-1] in _WRITTEN:
        words = words[:-1]
    if not words:
        return False
    *above, last = words
    before = above[-1] if above else ""
    if last == "token":
        return before not in _NO_TOKENS
    if last == "tokens":
        return before in _TOKENS
    if last in ("key", "keys"):
        return before in _KEYS or (before.endswith("api") and before != "api")
    return last in _SECRETS or _ends(words, _TOGETHER) or bool(_RUN_TOGETHER.search(last))


@lru_cache(maxsize=4096)
def name_a_secret_together(above: str, key: str) -> bool:
    """Whether a literal value is a secret because of its key and the key of the object around."""
    if key.lower() in _LAST_PART:
        return names_a_secret(f"{above}_{key.lower()}")
    return above.lower() in _FIRST_PART and names_a_secret(f"{key}_{above.lower()}")


@lru_cache(maxsize=4096)
def speaks_of_a_secret(key: str) -> bool:
    """Whether a key says which secret is meant, and not what it is: `secret_ref`, `api_key_name`.
    Such a value may stand even among credentials."""
    *above, last = words_of(key) or ("",)
    return last in _SPEAKS_OF_ONE and any(
        word in _SECRETS or word in ("key", "token") for word in above
    )


@lru_cache(maxsize=4096)
def is_map_of_secrets(key: str) -> bool:
    """Whether everything literal in an object or list under this key counts as a secret, because
    nobody can know which of it is none."""
    words = _object_words(key)
    return _ends(words, _MAPS_TOGETHER) or words[-1] in _MAPS


@lru_cache(maxsize=4096)
def is_authorization(key: str) -> bool:
    """Whether an object under this key says how to log in: mostly settings, with secrets among
    them under the plainest of names."""
    return _object_words(key)[-1] in _AUTHORIZATION


def _object_words(key: str) -> tuple[str, ...]:
    words = words_of(key) or ("",)
    return words[:-1] if len(words) > 1 and words[-1] in _SETTINGS else words


def _ends(words: tuple[str, ...], phrases: tuple[tuple[str, ...], ...]) -> bool:
    return any(words[-len(phrase) :] == phrase for phrase in phrases)
