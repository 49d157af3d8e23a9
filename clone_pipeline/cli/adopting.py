"""`adopt` and `release`: Qdrant collections of somebody else's, as namespaces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clone_pipeline.cli.asking import confirm
from clone_pipeline.cli.common import json_option, opened, print_json, tell
from clone_pipeline.cli.naming import NAMESPACE
from clone_pipeline.cli.output import counted, say
from clone_pipeline.core.errors import InvalidRequest

if TYPE_CHECKING:
    from clone_pipeline.core.adopt import Found


@click.command()
@click.argument("collection")
@click.argument("name", required=False)
@click.option(
    "--qdrant-url", metavar="URL", help="The server that has it, where that is not QDRANT_URL."
)
@click.option("--organization", metavar="ID", help="Whose it is; by default the only one there is.")
@click.option("--yes", is_flag=True, help="Do not ask before several are adopted.")
@json_option
def adopt(
    collection: str,
    name: str | None,
    qdrant_url: str | None,
    organization: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the Qdrant COLLECTION a namespace, called NAME or as it is.

    Nothing is written to Qdrant, and nothing ever deletes an adopted collection. An alias goes too:
    then the namespace is what that stands for. A glob ('prod_*') adopts all that fit, after showing
    them.
    """
    from clone_pipeline.core import adopt as adopting

    with opened() as session:
        session.must_write()
        owner = organization or session.organization_id
        found, taken = adopting.find_collections(session.stores, qdrant_url, collection)
        if name is not None and len(found) > 1:
            raise InvalidRequest(
                f"{collection!r} means {len(found)} collections, which cannot all be called "
                f"{name!r}; leave NAME out."
            )
        for other in taken:
            tell(f"{other} is left out: it is some namespace's already.")
        if len(found) > 1:
            _confirm(found, yes=yes)
        rows: list[dict[str, Any]] = []
        for one in found:
            made = adopting.adopt(session.stores, owner, one, name or one.name, qdrant_url)
            rows.append(
                {
                    "namespace_name": made.name,
                    "namespace_id": made.namespace_id,
                    "organization_id": made.organization_id,
                    "qdrant_collection": one.collection,
                    "points": one.points,
                }
            )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(
            f"Adopted {row['qdrant_collection']} as {row['namespace_name']} "
            f"({row['namespace_id']}): {counted({'points': row['points']})}. Nothing was written "
            "to Qdrant."
        )


@click.command()
@click.argument("name", type=NAMESPACE)
@json_option
def release(name: str, as_json: bool) -> None:
    """Forget the adopted namespace NAME. Its Qdrant collection and its clones stay."""
    from clone_pipeline.core import adopt as adopting

    with opened() as session:
        session.must_write()
        gone = adopting.release(session.stores, session.organization_id, name)
    if as_json:
        print_json({"namespace_id": gone.namespace_id, "qdrant_collection": gone.qdrant_collection})
    else:
        say(f"{gone.name} is released; the Qdrant collection {gone.qdrant_collection} stays.")


def _confirm(found: Sequence["Found"], *, yes: bool) -> None:
    """Raises Declined, and InvalidRequest where there is no terminal."""
    for one in found:
        tell(f"To be adopted: {one.name}, {counted({'points': one.points})}.")
    confirm(lambda: f"Adopt these {len(found)} collections?", yes=yes)
