"""Which environment a command works in: `--environment`, or `NAME:` before a namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from clone_pipeline.core.request import DEFAULT_ENVIRONMENT
from clone_pipeline.environments import read_environments
from clone_pipeline.settings import load_settings


@dataclass
class Chosen:
    """The environment of the command at work; None is the one that the variables describe."""

    environment: str | None = None

    @property
    def name(self) -> str:
        return self.environment or DEFAULT_ENVIRONMENT


def chosen() -> Chosen:
    """That of the command at work."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Chosen)
    return found or Chosen()


def split(text: str) -> tuple[str | None, str]:
    """Environment and namespace. A name may have a colon in it: what stands before the first one
    counts only where an environment is called so."""
    before, colon, name = text.partition(":")
    if colon and name and before in read_environments(load_settings().environments).names:
        return before, name
    return None, text


class NamespaceType(click.ParamType[str]):
    """A namespace of the environment that the command works in, which it may name itself."""

    name = "namespace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        environment, name = split(value)
        if environment is not None:
            known = chosen()
            if known.environment not in (None, environment):
                self.fail(
                    f"{value!r} is in another environment than {known.name!r}; a command works in "
                    "one."
                )
            known.environment = environment
        return name

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> None:
        """The argument's own."""


NAMESPACE = NamespaceType()
