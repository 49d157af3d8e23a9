"""What all commands share: the stores, `--json`, and errors as one sentence with an exit code."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click

from clone_pipeline.cli.asking import Declined
from clone_pipeline.cli.naming import chosen
from clone_pipeline.core.errors import CloneError, RequestError, unexpected
from clone_pipeline.core.principal import Principal, require_writer
from clone_pipeline.core.stores import Stores
from clone_pipeline.core.words import Hint, Option, Part, as_text
from clone_pipeline.deployment import find_principal, open_stores
from clone_pipeline.settings import Settings, load_settings

FAILED, BAD_INPUT = 1, 2

Command = TypeVar("Command", bound=Callable[..., Any])


class RunFailed(Exception):
    """A run that ended without a clone. `code` is the error's own, where there was one."""

    def __init__(self, said: Sequence[Part], code: str, exit_code: int) -> None:
        super().__init__(as_text(said))
        self.said = said
        self.code = code
        self.exit_code = exit_code


@dataclass(frozen=True)
class Session:
    settings: Settings
    stores: Stores
    principal: Principal

    @property
    def organization_id(self) -> str | None:
        """Whose namespaces the caller sees; None is all of them."""
        return self.principal.organization_id

    def count_points(self, collections: Iterable[str]) -> int:
        """How many points Qdrant collections hold together; one that is gone holds none."""
        with self.stores.vectors() as vectors:
            return sum(vectors.count(name) for name in set(collections) if vectors.exists(name))

    def must_write(self) -> None:
        """Raises Forbidden."""
        require_writer(self.principal)


@contextmanager
def opened(*, to_look: bool = False, environment: str | None = None) -> Iterator[Session]:
    """The stores of an environment, and who is calling; None is the one that the command works in.
    `to_look`: to write nothing."""
    with opened_stores(to_look=to_look, environment=environment) as (settings, stores):
        yield Session(settings, stores, find_principal(settings, stores))


@contextmanager
def opened_stores(
    *, to_look: bool = False, environment: str | None = None
) -> Iterator[tuple[Settings, Stores]]:
    """The stores alone: for what needs access to the database only."""
    settings = load_settings()
    where = environment or chosen().environment
    stores = open_stores(settings, on_wait=tell, environment=where, to_look=to_look)
    try:
        yield settings, stores
    finally:
        stores.close()


def tell(sentence: str) -> None:
    """Something for a person, beside the result."""
    click.echo(sentence, err=True)


def print_json(document: Any) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair in somebody's text, or a terminal with a small alphabet.
        text = json.dumps(document, indent=2, default=str)
    click.echo(text)


def json_option(command: Command) -> Command:
    """`--json`: one JSON document on stdout, everything else on stderr; also when it fails."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
    )(reports_errors(command))


def reports_errors(command: Command) -> Command:
    """Ends the process with the contract's exit code and one sentence, never with a traceback."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        as_json = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except Declined:
            tell("Nothing was changed.")
            if as_json:
                print_json({"declined": True})
        except (CloneError, RunFailed) as error:
            end(as_text(error.said, spelled), error.code, exit_code_of(error), as_json=as_json)
        except KeyboardInterrupt:
            end("Interrupted.", "interrupted", FAILED, as_json=as_json)
        except BrokenPipeError:
            raise
        except OSError as error:
            sentence = f"{error.filename or 'The disk'}: {error.strerror or error}."
            end(sentence, "storage_failed", FAILED, as_json=as_json)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            logging.getLogger(__name__).debug("Unexpected error", exc_info=True)
            end(unexpected(error).message, "unexpected", FAILED, as_json=as_json)

    return wrapped  # type: ignore[return-value]


def spelled(part: Option | Hint) -> str:
    """An option of the request as the command at work spells it; one that it does not have, by the
    request's own name."""
    context = click.get_current_context(silent=True)
    if isinstance(part, Hint) or context is None:
        return str(part)
    name = part.key.rpartition(".")[2]
    found = next((one for one in context.command.params if one.name == name), None)
    if found is None:
        return str(part)
    if not isinstance(found, click.Option):
        return f"`{found.make_metavar(context)}`"
    if part.value is None or not found.is_flag:
        return f"`{' '.join(filter(None, (found.opts[0], part.value)))}`"
    off = part.value == "false"
    return f"`{(found.secondary_opts if off else found.opts)[0]}`"


def exit_code_of(error: CloneError | RunFailed) -> int:
    if isinstance(error, RunFailed):
        return error.exit_code
    return BAD_INPUT if isinstance(error, RequestError) else FAILED


def end(sentence: str, code: str, exit_code: int, *, as_json: bool) -> NoReturn:
    sentence = " ".join(sentence.split())
    if as_json:
        with suppress(OSError):  # a stdout that cannot be written is what we may be telling of
            print_json({"error": {"code": code, "message": sentence}})
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(exit_code)
