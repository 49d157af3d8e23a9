"""What an admin has cloned into another organization can be read by the id that was answered."""

from __future__ import annotations

from clone_pipeline_tests.api.world import World, new_name


def test_an_admin_reads_by_id_what_was_just_cloned_into_another_organization(world: World) -> None:
    name = new_name()
    asked = {"namespace_name": name, "organization_id": "org_other"}
    answer = world.clone("prod", "admin", **asked)
    assert answer.status_code == 200, answer.text
    namespace_id = answer.json()["namespace"]["namespace_id"]
    path = f"/v1/namespaces/{namespace_id}"
    assert world.ask("GET", path, "admin").json()["namespace_name"] == name
    # Nobody else of the organization does, nor by its name; nor the other's own.
    assert world.ask("GET", path, "member").status_code == 404
    assert world.ask("GET", f"/v1/namespaces/{name}", "admin").status_code == 404
    assert world.ask("GET", "/v1/namespaces/ns_elsewhere1", "admin").status_code == 404
