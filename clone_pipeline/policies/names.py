"""The names of backups: a template, filled in for a tick."""

from __future__ import annotations

import re
from datetime import datetime
from string import Formatter
from zoneinfo import ZoneInfo

from clone_pipeline.policies.times import is_once_a_day

PLACEHOLDERS = ("source", "policy", "date", "time")
_LONGEST = 64
_NOT_IN_ADDRESSES = set("/?#%")
# Nothing after a `?` or `#` would be part of the path, and nothing is decoded.
_PLACE = re.compile(r"(s3://[^/?#%]+(/[^/?#%]+)+|file:///[^?#%]*[^/?#%])/*")
# The longest that any tick gives.
_SAMPLE = {"date": "20261124", "time": "0230b"}


def render_name(template: str, source: str, policy: str, moment: datetime, timezone: str) -> str:
    """The name for a tick, in the policy's time zone. Where the clock is set back an hour comes
    twice: in the second one `{time}` ends in `b`, so that both have a name of their own."""
    local = moment.astimezone(ZoneInfo(timezone))
    time = f"{local:%H%M}{'b' if local.fold else ''}"
    return template.format(source=source, policy=policy, date=f"{local:%Y%m%d}", time=time)


def is_rendered(name: str, template: str, source: str, policy: str) -> bool:
    """Whether a name is one that the template gives for some tick."""
    any_tick = {"date": "\0d", "time": "\0t"}
    pattern = re.escape(template.format(source=source, policy=policy, **any_tick))
    for placeholder, digits in (("\0d", "[0-9]{8}"), ("\0t", "[0-9]{4}b?")):
        pattern = pattern.replace(re.escape(placeholder), digits)
    return re.fullmatch(pattern, name) is not None


def check_template(template: str, source: str, policy: str, cron: str) -> None:
    """Raises ValueError with a sentence: every tick must give another, usable name."""
    used = _placeholders(template)
    if "date" not in used or ("time" not in used and not is_once_a_day(cron)):
        missing = [name for name in ("date", "time") if name not in used]
        lacks = " and ".join(f"`{{{name}}}`" for name in missing)
        raise ValueError(
            f"`name_template` {template!r} gives the same name twice; put {lacks} into it"
        )
    longest = template.format(source=source, policy=policy, **_SAMPLE)
    if len(longest) > _LONGEST:
        raise ValueError(
            f"`name_template` {template!r} gives names such as {longest!r}, of {len(longest)} "
            f"characters; at most {_LONGEST} are allowed"
        )
    if longest != longest.strip() or not longest.isprintable():
        raise ValueError(
            f"`name_template` {template!r} gives names that begin or end with a space or hold "
            "control characters"
        )


def check_place(to: str, names: str) -> None:
    """Whether archives of these names can be written below a place. Raises ValueError with a
    sentence."""
    if _PLACE.fullmatch(to) is None or not to.isprintable():
        raise ValueError(
            f"`to` {to!r} is no place for archives: write `s3://bucket/prefix` or "
            "`file:///path/of/a/folder`"
        )
    if _NOT_IN_ADDRESSES & set(names) or names.startswith("."):
        raise ValueError(
            "archives need names without `/`, `?`, `#` and `%` that do not begin with a dot, and "
            f"the names here are {names!r}; write another `name_template`"
        )


def _placeholders(template: str) -> set[str]:
    accepted = ", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
    try:
        parts = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        raise ValueError(
            f"`name_template` {template!r} has a brace without its partner; accepted are: "
            f"{accepted}"
        ) from None
    for name, form, conversion in parts:
        if name not in PLACEHOLDERS or form or conversion:
            raise ValueError(
                f"`name_template` has an unknown placeholder `{{{name}}}`; accepted are: {accepted}"
            )
    return {str(name) for name, _, _ in parts}
