"""Secrets inside a text, by their shape; and what of a value is a template."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from .names import names_a_secret

MASKED = "***"
# Of a bare word after a colon: shorter ones are numbers and names.
_LONG_ENOUGH = 6

_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}|\{%[^%]*%\}")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
# What a value of a secret's key may say without being one: how somebody logs in.
_MANNERS = frozenset(
    {"", "none", "null", "basic", "bearer", "digest", "oauth", "oauth2", "token", "jwt", "header"}
    | {"api_key", "apikey", "api-key", "custom", "required", "optional", "key", "was set"}
)
_MEDIA_TYPE = re.compile(
    r"[a-z*]+/[\w.+*-]+(?:\s*[;,]\s*[\w.+*/-]+(?:=[\w.+*-]+)?)*", re.IGNORECASE
)

# Every repetition that may fail late has a bound: a text may be long, and somebody else's.
# No shape can stand in a text without one of these.
_ANY = re.compile(
    r"://|[=:]|earer |asic |sk[-_]|[A-Z]{4}|[a-z\d]{2,6}[-_][\w-]{10}|-----BEGIN|AIza|SG\.|eyJ"
    r"|ya29\.|[\"']\s*,\s*[\"']|--\w|</|-u\s|-user\s|\w\s{1,9}[\"']"
)

# `user:password@` or `token@` after a scheme. What SQLAlchemy reads as a password may have a slash
# in it. A feature URI (mixpeek://extractor@v1/output) has an @ too.
_LOGINS = (
    re.compile(r"(?<![\w+-])((?!mixpeek:|namespace:|ns_)[A-Za-z][\w+-]*://)([^/\s\"'<>?#]*)@"),
    re.compile(
        r"(?<![\w+-])((?!mixpeek:|namespace:|ns_)(?:[A-Za-z][\w+-]*:|(?<![:/]))//)"
        r"([^/\s:@\"'<>]{0,256}:(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>@]{0,1024})@"
    ),
)
_QUERY = re.compile(r"(?<=[?&;#])([\w.\-\[\]%]+)=([^&\s#\"'<>;]+)")
_SIGNATURE = re.compile(r"signature$", re.IGNORECASE)
_QUERY_SECRETS = frozenset({"sig", "key", "code", "sas", "appid"})
# Of a header that is written down: `Authorization: Token ...`, whatever the scheme is called.
_AUTHORIZATION = re.compile(
    r"(authorization\\?[\"']?\s{0,9}[:=,]\s{0,9}[a-z]?\\?[\"']?)(\w{1,32})(\s{1,9})"
    r"([A-Za-z0-9._~+/=-]{8,})",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic|ApiKey)(\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_KNOWN = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)[-_][\w-]{8,}|\bsk[-_](?=[\w-]{0,64}[A-Z0-9])[\w-]{12,}"
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abprs]-[\w-]{10,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{20,}|\bnpm_\w{30,}"
    r"|\bSG\.[\w-]{16,}\.[\w-]{16,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\b(?:gsk|whsec|dop_v1|lin_api|shp(?:at|ss|ca|pa)|sntrys|r8)_(?=\w{0,64}\d)\w{16,}"
    r"|\b(?:pplx|tvly|xai|nvapi|xapp|pypi)-(?=[\w-]{0,64}\d)[\w-]{16,}|\bya29\.[\w-]{16,}"
    r"|\b(?:jina_|key-|dapi)(?=[a-zA-Z]{0,64}\d)[A-Za-z0-9]{30,}"
    r"|(?<=api\.telegram\.org/bot)\d+:[\w-]+|(?<=outlook\.office\.com/webhook/)[\w@/-]+"
    r"|(?<=hooks\.slack\.com/services/)[\w/]+|(?<=discord\.com/api/webhooks/)[\w/-]+",
    re.DOTALL,
)
# `api_key = "..."`, `"token": "..."`, also with its quotes escaped; `PASSWORD=...`.
_NAMED = re.compile(r"([A-Za-z][\w.-]{1,63})\\?[\"']?\]?\s{0,9}(:=|:|=>?)\s{0,9}")
# The same in a call (`setdefault("API_KEY", "...")`), a command (`--api-key ...`), SQL
# (`PASSWORD '...'`) and XML (`<password>...</password>`).
_CALLED = re.compile(r"([\"'])([A-Za-z][\w.-]{1,63})\1\s{0,9},\s{0,9}([\"'])([^\"']{1,999})\3")
_OPTION = re.compile(
    r"(?<![\w-])--([A-Za-z][\w-]{1,40})(?:\s{1,9}|=)([\"']?)([^\s\"'-][^\s\"']{2,999})\2"
)
_USER = re.compile(r"(\s(?:-u|--user)\s{1,9}[\"']?)([^\s:\"']{1,99}):([^\s\"']{1,999})")
_SAID = re.compile(
    r"\b([A-Za-z][\w.-]{1,63})(?:\s{1,9}by)?\s{1,9}([\"'])([^\"'\s]{6,999})\2", re.IGNORECASE
)
_PAIR = re.compile(
    r"(?:\bauth\s{0,9}=\s{0,9}|BasicAuth)\(\s{0,9}[\"'][^\"']{0,99}[\"']\s{0,9},\s{0,9}[\"']([^\"']{1,999})"
)
_ELEMENT = re.compile(r"<([A-Za-z][\w.-]{1,63})>([^<>]{1,999})</")
_QUOTED_VALUE = re.compile(r"(\\?[\"'])(.{0,9999}?)\1", re.DOTALL)
_BARE_VALUE = re.compile(r"[^\s,;&\"'\\(){}\[\]<>]{1,512}(?![(\[\w])")


def is_literal(value: Any) -> bool:
    """Whether a value says something itself: it is more than a template and the word before it."""
    if not isinstance(value, str):
        return value is not None and not isinstance(value, bool)
    if "{{" in value and "://" in value:
        return mask(value) != value  # a template in an address: its login, or a part of its path
    left = _TEMPLATE.sub(" ", value).strip(" \t\r\n:;,.-\"'")
    templates = " ".join(match[0] for match in _TEMPLATE.finditer(value))
    inside = _QUOTED.findall(templates)
    return not _says_nothing(left) or any(len("".join(text)) > 2 for text in inside)


def is_media_type(value: Any) -> bool:
    return isinstance(value, str) and _MEDIA_TYPE.fullmatch(value) is not None


def mask(text: str) -> str:
    """The text without the secrets that can be known in it by their shape. Masking it again changes
    nothing."""
    if _ANY.search(text) is None:
        return text
    for login in _LOGINS:
        text = login.sub(_without_login, text)
    text = _KNOWN.sub(MASKED, text)
    text = _QUERY.sub(_masked_query, text)
    text = _AUTHORIZATION.sub(_masked_authorization, text)
    text = _SCHEME.sub(_masked_scheme, text)
    text = _mask_told(text)
    return _mask_named(text)


def _mask_told(text: str) -> str:
    """What follows a name without `:` and `=`."""
    text = _CALLED.sub(lambda at: _masked(at, names_a_secret(at[2]), 4), text)
    text = _OPTION.sub(lambda at: _masked(at, names_a_secret(at[1]), 3), text)
    text = _USER.sub(lambda at: _masked(at, True, 3), text)
    text = _PAIR.sub(lambda at: _masked(at, True, 1), text)
    text = _ELEMENT.sub(lambda at: _masked(at, names_a_secret(at[1]), 2), text)
    return _SAID.sub(_masked_said, text)


def _masked(match: re.Match[str], secret: bool, group: int) -> str:
    if not secret or not is_literal(match[group]):
        return match[0]
    start, end = (at - match.start() for at in match.span(group))
    return match[0][:start] + MASKED + match[0][end:]


def _masked_said(match: re.Match[str]) -> str:
    told = any(character.isdigit() for character in match[3])
    return _masked(
        match, told and (names_a_secret(match[1]) or match[1].lower() == "identified"), 3
    )


def _masked_authorization(match: re.Match[str]) -> str:
    told = any(character.isdigit() or character.isupper() for character in match[4][1:])
    return _masked(match, told, 4)


def _says_nothing(text: str) -> bool:
    return text.lower() in _MANNERS or not any(character.isalnum() for character in text)


def _without_login(match: re.Match[str]) -> str:
    user, _, password = match[2].partition(":")
    # With the password as a template, the login is no secret.
    return match[0] if "{{" in match[2] and not is_literal(password or user) else match[1]


def _masked_query(match: re.Match[str]) -> str:
    name = unquote(match[1])
    secret = names_a_secret(name) or name.lower() in _QUERY_SECRETS or _SIGNATURE.search(name)
    return f"{match[1]}={MASKED}" if secret and is_literal(match[2]) else match[0]


def _masked_scheme(match: re.Match[str]) -> str:
    # "Basic authentication" is no secret, nor are words with a hyphen.
    told = any(character.isdigit() or character.isupper() for character in match[3][1:])
    return f"{match[1]}{match[2]}{MASKED}" if told else match[0]


def _mask_named(text: str) -> str:
    """What stands after a name that names a secret. One name may be the value of another one, so
    each is looked at from where it begins."""
    parts: list[str] = []
    at = done = 0
    while named := _NAMED.search(text, at):
        at = named.end()
        span = _value_after(text, named) if names_a_secret(named[1]) else None
        if span is not None and is_literal(text[slice(*span)]):
            parts += [text[done : span[0]], MASKED]
            at = done = span[1]
    return "".join([*parts, text[done:]])


def _value_after(text: str, named: re.Match[str]) -> tuple[int, int] | None:
    """Where the value of a name stands, if it is one: quoted, or a bare word that is no code and no
    word of a sentence (`token=token, ...`)."""
    if quoted := _QUOTED_VALUE.match(text, named.end()):
        return quoted.span(2)
    bare = _BARE_VALUE.match(text, named.end())
    if bare is None:
        return None
    assigned = named[0].endswith("=") and text[bare.end() : bare.end() + 1] in ("", ";", "&", "\n")
    told = len(bare[0]) >= _LONG_ENOUGH and any(character.isdigit() for character in bare[0])
    return bare.span() if assigned or told else None
