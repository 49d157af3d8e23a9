"""What stands in a file for a secret: the name of an environment variable that holds it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class FromEnvironment(BaseModel):
    """The value of an environment variable, which is read when it is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    env: str = Field(
        min_length=1, max_length=200, description="Name of the variable that holds the value."
    )


def read_reference(value: Any, otherwise: str) -> Any:
    """For a validator that runs before the types are checked, because a sentence on a wrong type
    would quote what may be a secret: the reference, or None as it is. `otherwise` says what may
    stand there besides. Raises ValueError."""
    if value is None or isinstance(value, FromEnvironment):
        return value
    name = value.get("env") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(name, str) and name.isidentifier() and name.isascii():
        return FromEnvironment(env=name)
    raise ValueError(
        f"write {otherwise}`{{env: NAME}}`, the name of an environment variable: secrets do not "
        "stand in this file"
    )


# A field that holds a secret, and nothing else.
Secret = Annotated[FromEnvironment | None, BeforeValidator(lambda value: read_reference(value, ""))]
