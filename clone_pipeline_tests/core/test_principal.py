"""Who may read and write what."""

from __future__ import annotations

import pytest

from clone_pipeline.core.principal import LOCAL_OPERATOR, Principal, Role


@pytest.mark.parametrize(("role", "may"), [("admin", True), ("member", True), ("read", False)])
def test_only_the_read_role_cannot_write(role: Role, may: bool) -> None:
    assert Principal("org_a", role, "key_1").may_write() is may


@pytest.mark.parametrize(("role", "others"), [("admin", True), ("member", False), ("read", False)])
def test_another_organization_is_there_for_admins_only(role: Role, others: bool) -> None:
    principal = Principal("org_a", role, "key_1")
    assert principal.may_read("org_a")
    assert principal.may_read("org_b") is others
    # A key never reaches into all organizations at once: it has to name the other one.
    assert not principal.may_read(None)


def test_the_local_operator_is_admin_everywhere() -> None:
    assert LOCAL_OPERATOR.may_write()
    assert LOCAL_OPERATOR.may_read("org_a")
    assert LOCAL_OPERATOR.may_read(None)


@pytest.mark.parametrize("principal", [LOCAL_OPERATOR, Principal("org_a", "read", "key_1")])
def test_a_principal_survives_the_ledger(principal: Principal) -> None:
    assert Principal.from_json(principal.to_json()) == principal
