"""Names and ids are looked up one kind at a time, within one organization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from clone_pipeline.core.catalog import schema
from clone_pipeline.core.errors import Conflict
from clone_pipeline.core.generations.delete import delete_clone
from clone_pipeline.core.generations.templates import create_template
from clone_pipeline.core.ids import derive
from clone_pipeline.core.plan import dry_run
from clone_pipeline.core.principal import Principal
from clone_pipeline.core.request import parse_request
from clone_pipeline.core.steps import run_step
from clone_pipeline.core.stores import Stores

from ... import harness
from ...cli.prod import prod

ACME = Principal("org_acme", "member", None)
SOURCE = "ns_prod000001"


@pytest.fixture
def stores(catalog_url: str, tmp_path: Path) -> Any:
    with harness.holding(tmp_path, prod(SOURCE), catalog_url=catalog_url) as stores:
        yield stores


def plan(stores: Stores, source: str, name: str, **more: Any) -> Any:
    asked = {"namespace_identifier": source, "namespace_name": name, **more}
    return dry_run.plan(stores, parse_request(asked), ACME)


def make_template(stores: Stores) -> str:
    values = {"template_name": "t", "description": "d", "category": None, "tags": []}
    return str(create_template(stores, ACME, SOURCE, values)["template_id"])


def test_others_who_call_theirs_as_our_id_would_be_do_not_matter(
    stores: Stores, tmp_path: Path
) -> None:
    ours = derive("namespace", "org_acme", "staging", SOURCE)
    for organization in ("org_b", "org_c"):
        harness.load(stores, prod(f"ns_of_{organization}", ours, organization))
    made = plan(stores, "prod", "staging")
    assert made.target_namespace_id == ours


def test_a_name_within_the_organization_is_not_shadowed_by_a_new_id(
    stores: Stores, tmp_path: Path
) -> None:
    ours = derive("namespace", "org_acme", "staging", SOURCE)
    harness.load(stores, prod("ns_first00001", ours))
    made = plan(stores, "prod", "staging")
    assert made.target_namespace_id == derive("namespace", "org_acme", "staging", SOURCE, 1)


def test_a_template_is_a_source_by_its_own_id_only(stores: Stores) -> None:
    template_id = make_template(stores)
    assert plan(stores, template_id, "fresh").source.role == "template"
    assert plan(stores, SOURCE, "fresh").source.role == "live"
    assert plan(stores, "prod", "fresh").source.role == "live"
    with stores.catalog.write() as connection:
        gone = schema.namespaces.c.role == "live"
        connection.execute(delete(schema.namespaces).where(gone))
    for lost in (SOURCE, "prod"):
        with pytest.raises(Exception, match="There is no namespace"):
            plan(stores, lost, "fresh")


def test_a_template_is_not_shadowed_by_what_is_called_so(stores: Stores, tmp_path: Path) -> None:
    template_id = make_template(stores)
    with pytest.raises(Conflict, match="is the id of a template"):
        plan(stores, "prod", template_id)
    # Another organization may, and so may a service that does not know of templates.
    harness.load(stores, prod("ns_impostor01", template_id, "org_b"))
    harness.load(stores, prod("ns_impostor02", "impostor"))
    with stores.catalog.write() as connection:
        theirs = schema.namespaces.c.namespace_name == "impostor"
        connection.execute(
            update(schema.namespaces).where(theirs).values(namespace_name=template_id)
        )
    assert plan(stores, template_id, "fresh").source.role == "template"


def test_the_id_of_a_namespace_that_was_cloned_is_nobody_elses_name(stores: Stores) -> None:
    harness.clone(stores, "prod", "backup", preserve_resource_ids=True)
    with stores.catalog.write() as connection:
        lost = schema.namespaces.c.namespace_id == SOURCE
        connection.execute(delete(schema.namespaces).where(lost))
    with pytest.raises(Conflict, match="that was cloned"):
        plan(stores, "backup", SOURCE)
    # And it can come back, under its name and with its id.
    restored = plan(stores, "backup", "prod", restore=True, preserve_resource_ids=True)
    assert restored.target_namespace_id == SOURCE


@pytest.mark.parametrize("adopt", [False, True])
def test_who_took_the_name_while_a_replacement_was_made_is_replaced_with_adopt_only(
    stores: Stores, tmp_path: Path, adopt: bool
) -> None:
    harness.clone(stores, "prod", "staging")
    harness.load(stores, prod("ns_foreign001", "foreign"))
    made = harness.clone(
        stores, "prod", "staging", if_exists="replace", adopt=adopt, until="publish_clone"
    )
    table = schema.namespaces
    with stores.catalog.write() as connection:
        live = (table.c.namespace_name == "staging", table.c.role == "live")
        connection.execute(delete(table).where(*live))
        foreign = update(table).where(table.c.namespace_id == "ns_foreign001")
        connection.execute(foreign.values(namespace_name="staging"))

    def publish() -> None:
        assert made.run_id is not None
        run_step(stores, made.clone_id, made.run_id, "publish_clone", process_goes_on=True)

    if adopt:
        publish()
    else:
        with pytest.raises(Conflict, match="was not made by clone-pipeline"):
            publish()
    query = select(table.c.role).where(table.c.namespace_id == "ns_foreign001")
    with stores.catalog.read() as connection:
        assert connection.execute(query).scalar_one() == ("previous" if adopt else "live")


def test_a_name_that_is_also_an_id_elsewhere_means_the_name(stores: Stores, tmp_path: Path) -> None:
    """A target is looked up by its name: its own id, or another's, is something else."""
    harness.load(stores, prod("ns_other00001", "other", "org_b"))
    made = harness.clone(stores, "prod", "staging", principal=ACME)
    assert made.status == "ready"
    assert [one.name for one in delete_clone(stores, "org_acme", "staging")] == ["staging"]
