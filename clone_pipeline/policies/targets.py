"""Who is told when something is wrong with a policy: the entries of `notify` in the file."""

from __future__ import annotations

from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from clone_pipeline.addresses import Address, check_address
from clone_pipeline.variables import FromEnvironment, Secret, read_reference

Kind = Literal[
    "failed",
    "overdue",
    "not_proven",
    "restore_test_failed",
    "restore_test_overdue",
    "broken_file",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Target(BaseModel):
    """A webhook, or a channel in Slack."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(
        min_length=1,
        max_length=100,
        description="Name of the target: letters, digits and `_`, unique in `notify`.",
    )
    webhook: str | FromEnvironment | None = Field(
        None, description="Where to send messages: an address, or `{env: NAME}` for a secret one."
    )
    secret: Secret = Field(
        None, description="What messages to a webhook are signed with: `{env: NAME}`."
    )
    slack: str | None = Field(
        None, min_length=1, max_length=100, description="The channel in Slack, by name or id."
    )
    token: Secret = Field(
        None, description="The token of the Slack app, which may `chat:write`: `{env: NAME}`."
    )
    api_url: Address | None = Field(
        None, description="Where Slack's API is, if not at `https://slack.com/api/` (GovSlack)."
    )
    kinds: list[Kind] = Field(
        list(KINDS),
        min_length=1,
        description="What it is told of; *recovered* goes to whoever was told.",
    )

    # Before the types are checked: a sentence about a wrong type would quote what may be a secret.
    @field_validator("webhook", mode="before")
    @classmethod
    def _is_webhook(cls, value: Any) -> Any:
        if isinstance(value, str):
            check_address(value)
            return value
        return read_reference(value, "an `https://` address, or ")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Target:
        if (self.webhook is None) == (self.slack is None):
            raise ValueError("a target has either `webhook` or `slack`")
        own = ("secret",) if self.slack is None else ("token", "api_url")
        for key in ("secret", "token", "api_url"):
            given = getattr(self, key) is not None
            if given and key not in own:
                kind = "webhook" if self.slack is None else "target in Slack"
                raise ValueError(f"a {kind} has no `{key}`")
            if not given and key in own and key != "api_url":
                raise ValueError(f"`{key}` is required; write `{key}: {{env: NAME}}`")
        return self

    @property
    def where(self) -> str:
        """The place as it may be shown: without what in an address may be secret."""
        if self.slack is not None:
            return f"Slack, {self.slack}"
        if isinstance(self.webhook, FromEnvironment):
            return f"the address in {self.webhook.env}"
        return urlsplit(self.webhook or "").hostname or ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it needs."""
        given = (self.webhook, self.secret, self.token)
        return tuple(one.env for one in given if isinstance(one, FromEnvironment))
