"""What bodies have in common: an unknown key is refused with the accepted ones."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """A closed object: no key is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

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
