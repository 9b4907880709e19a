"""Policies and input policies through the API, and what a launch through it is told."""

from typing import TYPE_CHECKING, Any

import pytest
from rest_framework.test import APIClient

if TYPE_CHECKING:
    from tests.factories import People

DENY = 'package slipway\n\ndeny contains "No." if input.request.team == "vision"\n'


def client(person: Any) -> APIClient:
    made = APIClient()
    made.force_authenticate(person)
    return made


def test_a_policy_from_the_first_text_to_switched_on(people: "People") -> None:
    pete = client(people.pete)
    made = pete.post("/api/v1/policies/", {"slug": "no", "title": "No", "rego": DENY, "team": "vision"}, format="json")
    assert made.status_code == 201, made.data
    assert (made.data["scope"], made.data["team"], made.data["enabled"], made.data["version"]) == (
        "team", "vision", False, 1,
    )  # fmt: skip
    assert pete.post("/api/v1/policies/no/enable/").data["enabled"] is True
    written = pete.post(
        "/api/v1/policies/no/versions/", {"rego": DENY.replace("No", "Never"), "expected": 1}, format="json"
    )
    assert (written.status_code, written.data["number"]) == (201, 2)
    stale = pete.post("/api/v1/policies/no/versions/", {"rego": DENY.replace("No", "x"), "expected": 1}, format="json")
    assert (stale.status_code, stale.data["code"]) == (409, "policies:changed")
    assert [row["number"] for row in pete.get("/api/v1/policies/no/versions/").data["results"]] == [2, 1]
    assert pete.patch("/api/v1/policies/no/", {"target": "local"}, format="json").data["scope"] == "target"
    assert pete.post("/api/v1/policies/no/disable/").data["enabled"] is False


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"slug": "No!"}, "slug"),
        ({"slug": "inputs"}, "slug"),
        ({"title": ""}, "title"),
        ({"rego": "package slipway\ndeny contains if"}, "rego"),
        ({"team": "gone"}, "team"),
        ({"team": "vision", "target": "local"}, "target"),
        ({"target": "mars"}, "target"),
        ({"note": "x" * 300}, "note"),
    ],
)
def test_what_cannot_be_stored_is_named(people: "People", changed: dict[str, Any], field: str) -> None:
    sent = {"slug": "no", "title": "No", "rego": DENY, **changed}
    answer = client(people.pete).post("/api/v1/policies/", sent, format="json")
    assert answer.status_code == 400
    assert field in answer.data["errors"]


def test_who_may_what(people: "People") -> None:
    from apps.policies.services import policy_create

    policy_create(actor=people.pete, slug="no", title="No", rego=DENY)
    for person, codes in ((people.dana, (404, 404, 403)), (people.ada, (200, 403, 403))):
        api = client(person)
        found = (
            api.get("/api/v1/policies/no/").status_code,
            api.post("/api/v1/policies/no/enable/").status_code,
            api.post("/api/v1/policies/", {}, format="json").status_code,
        )
        assert found == codes, person
    assert client(people.dana).get("/api/v1/policies/").data["results"] == []
    assert client(people.dana).get("/api/v1/input-policies/").data["results"] == []


def test_input_policies_hold_for_a_launch_through_the_api(people: "People") -> None:
    from apps.audit.models import AuditEvent
    from apps.environments.models import Environment
    from tests.factories import notebook_version

    notebook_version()
    pete, dana = client(people.pete), client(people.dana)
    rules = {"memory_gb": {"maximum": 4, "default": 2}, "cpu": {"fix": 1}}
    made = pete.post("/api/v1/input-policies/", {"module": "local-notebook", "rules": rules}, format="json")
    assert (made.status_code, made.data["rules"]) == (200, rules)
    offered = dana.get("/api/v1/input-policies/offer/?module=local-notebook&team=vision").data
    shown = {one["name"]: one for one in offered["inputs"]}
    assert (shown["memory_gb"]["maximum"], shown["cpu"]["value"]) == (4, 1)
    assert "Set by your platform team." in shown["memory_gb"]["note"]

    launch = {"name": "a", "team": "vision", "module": "local-notebook", "inputs": {"memory_gb": 8, "cpu": 2}}
    refused = dana.post("/api/v1/environments/", launch, format="json")
    assert refused.status_code == 400
    assert refused.data["errors"]["inputs.memory_gb"] == ["Choose at most 4. Set by your platform team."]
    assert "inputs.cpu" in refused.data["errors"]
    launched = dana.post("/api/v1/environments/", {**launch, "inputs": {}, "preset": ""}, format="json")
    assert launched.status_code == 201, launched.data
    assert (launched.data["inputs"]["cpu"], launched.data["inputs"]["memory_gb"]) == (1, 2)

    row = Environment.objects.get(pk=launched.data["id"])
    assert row.inputs["cpu"] == 1
    one = f"/api/v1/input-policies/{made.data['id']}/"
    changed = pete.patch(one, {"rules": {"memory_gb": {"maximum": 8}}}, format="json")
    assert changed.data["rules"] == {"memory_gb": {"maximum": 8}}
    event = AuditEvent.objects.filter(action="policies:input-policy:changed").latest("id")
    assert event.before == {"cpu": {"fix": 1}, "memory_gb": {"maximum": 4, "default": 2}}
    assert event.after == {"cpu": None, "memory_gb": {"maximum": 8}}
    assert pete.delete(one).status_code == 204
    assert pete.get(one).status_code == 404


def test_what_is_wrong_with_rules_is_named_by_variable(people: "People") -> None:
    from tests.factories import notebook_version

    notebook_version()
    sent = {"module": "local-notebook", "rules": {"cpu": {"fix": "x"}, "gone": {"hide": True}}}
    answer = client(people.pete).post("/api/v1/input-policies/", sent, format="json")
    assert answer.status_code == 400
    assert answer.data["errors"].keys() == {"rules.cpu", "rules.gone"}


def test_an_environment_keeps_what_it_has_until_its_next_change(people: "People") -> None:
    from apps.policies.services import input_policy_set
    from tests.factories import environment_running

    environment = environment_running(people, name="old", inputs={"memory_gb": 4, "cpu": 1})
    input_policy_set(
        actor=people.pete, module=environment.module, team=people.vision, rules={"memory_gb": {"maximum": 2}}
    )
    dana = client(people.dana)
    address = f"/api/v1/environments/{environment.pk}/"
    assert dana.get(address).data["inputs"]["memory_gb"] == 4
    refused = dana.patch(address, {"inputs": {"cpu": 2}}, format="json")
    assert refused.status_code == 400
    assert refused.data["errors"] == {"inputs.memory_gb": ["Choose at most 2. Set by your platform team."]}
    assert dana.patch(address, {"inputs": {"memory_gb": 2}}, format="json").status_code == 200
