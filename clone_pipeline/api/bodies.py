"""What bodies have in common: they are closed and not deep, and what is kept of them is text."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from clone_pipeline.core.text import fault

# Nobody writes a deeper one; what walks a body must not run out of stack.
DEEPEST = 32


def check_depth(values: Any) -> None:
    """Raises PydanticCustomError for what is nested too deep."""
    level = _inside([values])
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise PydanticCustomError("too_deep", f"It is nested deeper than {DEEPEST}")


def _inside(value: Any) -> list[Any]:
    """What is nested in it; numbers and texts, of which there may be many, are not."""
    values = value.values() if isinstance(value, dict) else value
    return [one for one in values if isinstance(one, dict | list)]


class Body(BaseModel):
    """A closed object: no key is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _is_not_deep(cls, values: Any) -> Any:
        check_depth(values)
        return values

    @model_validator(mode="before")
    @classmethod
    def _name_the_accepted_keys(cls, values: Any) -> Any:
        known, keys = cls.model_fields, values if isinstance(values, dict) else ()
        unknown = next((key for key in keys if key not in known), None)
        if unknown is not None:
            raise PydanticCustomError(
                "unknown_key",
                "Unknown key `{key}`; accepted are: {accepted}",
                {"key": unknown, "accepted": ", ".join(known)},
            )
        return values

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_is_no_text(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, dict) else ():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and (wrong := fault(text)) is not None:
                    raise PydanticCustomError(
                        "no_text", "`{key}` {wrong}", {"key": key, "wrong": wrong}
                    )
        return values
