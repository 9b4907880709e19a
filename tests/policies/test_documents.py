"""What rules and later readers get to see of a plan: its shape, and nothing that is secret."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from apps.provisioning.masking import MASK
from apps.provisioning.plans import plan_masked

if TYPE_CHECKING:
    from tests.factories import People

SECRET = "hunter2-hunter2"
PLAN: dict[str, Any] = {
    "variables": {"token": {"value": SECRET}, "pin": {"value": 7}, "size": {"value": 4}},
    "configuration": {
        "root_module": {
            "variables": {"token": {"sensitive": True}, "pin": {"sensitive": True}, "size": {}},
            "resources": [{"expressions": {"command": {"constant_value": f"login {SECRET}"}}}],
        }
    },
    "resource_changes": [
        {
            "address": "x.y",
            "type": "x",
            "name": "y",
            "change": {
                "actions": ["create"],
                "before": None,
                "after": {"password": SECRET, "copy": f"p={SECRET}", "pin": 7, "size": 4, "nested": [{"key": "ab"}]},
                "after_sensitive": {"password": True, "pin": True, "nested": [{"key": True}]},
                "after_unknown": {"id": True},
            },
        }
    ],
    "output_changes": {"url": {"actions": ["create"], "before": None, "after": SECRET, "after_sensitive": True}},
    "planned_values": {
        "outputs": {"url": {"sensitive": True, "value": SECRET}},
        "root_module": {
            "resources": [{"values": {"pin": 7, "size": 4}, "sensitive_values": {"pin": True}}],
            "child_modules": [{"resources": [{"values": {"key": "ab"}, "sensitive_values": {"key": True}}]}],
        },
    },
    "prior_state": {"values": {"outputs": {"old": {"sensitive": True, "value": "xy"}}}},
}


def test_every_secret_of_a_plan_is_replaced_and_its_shape_stays() -> None:
    before = json.dumps(PLAN)
    plan = plan_masked(PLAN, secrets=["another-secret"])
    assert SECRET not in json.dumps(plan)
    assert json.dumps(PLAN) == before
    after = plan["resource_changes"][0]["change"]["after"]
    assert after == {
        "password": MASK, "copy": f"p={MASK}", "pin": MASK, "size": 4, "nested": [{"key": MASK}],
    }  # fmt: skip
    assert plan["variables"] == {"token": {"value": MASK}, "pin": {"value": MASK}, "size": {"value": 4}}
    root = plan["planned_values"]["root_module"]
    assert root["resources"][0]["values"] == {"pin": MASK, "size": 4}
    assert root["child_modules"][0]["resources"][0]["values"] == {"key": MASK}
    assert plan["prior_state"]["values"]["outputs"]["old"]["value"] == MASK
    assert plan["output_changes"]["url"]["after"] == MASK


@pytest.mark.django_db
def test_documents_are_encrypted_bounded_and_pruned(people: "People") -> None:
    from django.utils import timezone

    from apps.policies.documents import MAX_BYTES, plan_document_keep, plan_document_read
    from apps.policies.models import PlanDocument
    from apps.policies.retention import plan_documents_old
    from tests.factories import change_of, environment_make

    change = change_of(environment_make(people))
    request = {"team": "vision"}
    row = plan_document_keep(change=change, plan=PLAN, request=request)
    assert row is not None
    assert b"vision" not in bytes(row.cipher)
    assert plan_document_read(PlanDocument.objects.get()) == {"plan": PLAN, "request": request}
    plan_document_keep(change=change, plan={}, request=request)
    assert plan_document_read(PlanDocument.objects.get())["plan"] == {}
    assert plan_document_keep(change=change, plan={"x": "y" * MAX_BYTES}, request=request) is None
    assert not plan_documents_old().exists()
    PlanDocument.objects.update(planned_at=timezone.now() - timedelta(days=31))
    assert plan_documents_old().count() == 1


@pytest.mark.django_db
def test_rules_are_tried_on_past_plans_of_their_scope(people: "People") -> None:
    from apps.policies.documents import plan_document_keep
    from apps.policies.services import Scope
    from apps.policies.trial import policy_try
    from tests.factories import change_of, environment_make

    for name, team in (("a", people.vision), ("b", people.churn)):
        change = change_of(environment_make(people, name=name, team=team))
        plan_document_keep(change=change, plan={}, request={"team": team.slug})
    deny = 'package slipway\n\ndeny contains "No." if input.request.team == "churn"\n'
    trial = policy_try(actor=people.pete, rego=deny, scope=Scope())
    assert trial.summary == "2 plans: 1 denied, 1 passed"
    assert trial.different == 0
    against = policy_try(actor=people.pete, rego=deny, scope=Scope(), in_force=deny.replace("deny", "warn"))
    assert [(row.result, row.before) for row in against.rows] == [("deny", "warn"), ("pass", "pass")]
    assert [row.result for row in policy_try(actor=people.pete, rego=deny, scope=Scope(team=people.vision)).rows] == [
        "pass"
    ]
