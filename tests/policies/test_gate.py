"""A real Terraform plan, and what rules make of it before anything is applied."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories import People

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(180)]

NO_SHOUTING = """package slipway

deny contains {
	"rule": "no-shouting",
	"msg": sprintf("“%s” is shouted.", [input.request.inputs.message]),
	"cure": "Choose a quieter message.",
	"address": change.address,
} if {
	upper(input.request.inputs.message) == input.request.inputs.message
	some change in input.plan.resource_changes
	change.type == "slipway_service"
}

warn contains sprintf("%s of %s in team %s asks.", [input.request.kind, input.request.user, input.request.team])
"""


BREAKS_AT_A_PLAN = """package slipway

deny contains "x" if {
	some change in input.plan.resource_changes
	to_number(change.type)
}
"""


def policy(people: "People", rego: str, *, slug: str = "quiet", enabled: bool = True) -> Any:
    from apps.policies.services import policy_create, policy_enable

    made = policy_create(actor=people.pete, slug=slug, title=slug.capitalize(), rego=rego)
    return policy_enable(actor=people.pete, policy=made) if enabled else made


def test_a_denied_launch_can_be_changed_and_tried_again(people: "People", tmp_path: Path) -> None:
    from apps.environments.services import environment_update
    from apps.notifications.models import Notification
    from apps.policies.models import PlanDocument
    from tests.factories import change_of
    from tests.faults.one_agent import agent_running, destroy, quick_launch, settled

    policy(people, NO_SHOUTING)
    with agent_running(tmp_path):
        environment = quick_launch(people, message="LOUD")
        assert settled(environment) == "failed"
        change = change_of(environment)
        assert (change.status, change.failure_code, change.applying_at) == ("failed", "policies:denied", None)
        assert "quiet" in environment.status_reason
        assert "no-shouting" in environment.status_reason
        assert "Choose a quieter message." in environment.status_reason
        assert [(one["effect"], one["rule"]) for one in change.findings] == [("deny", "no-shouting"), ("warn", "")]
        assert change.findings[0]["address"] == "slipway_service.app"
        assert change.findings[1]["message"] == "create of dana in team vision asks."
        told = Notification.objects.get(user=people.dana, level="failure")
        assert "no-shouting" in told.text
        assert "Choose a quieter message." in told.text
        assert PlanDocument.objects.filter(change=change).exists()

        environment_update(environment=environment, actor=people.dana, inputs={"message": "quiet"})
        assert settled(environment) == "running"
        assert [one["effect"] for one in change_of(environment).findings] == ["warn"]

        environment_update(environment=environment, actor=people.dana, inputs={"message": "LOUD"})
        assert settled(environment) == "running"
        change = change_of(environment)
        assert (change.kind, change.status, change.failure_code) == ("update", "failed", "policies:denied")
        assert environment.inputs["message"] == "quiet"
        assert "as it was" in environment.status_reason
        destroy(environment, people.dana, tmp_path)


def test_rules_switched_on_while_a_plan_waits_are_asked_before_it_is_applied(people: "People", tmp_path: Path) -> None:
    """And what ends an environment is never denied."""
    from apps.environments.services import environment_stop, environment_update
    from apps.policies.services import policy_version_write
    from apps.provisioning.services import change_approve
    from tests.factories import change_of
    from tests.faults.one_agent import agent_running, destroy, quick_launch, settled

    with agent_running(tmp_path):
        environment = quick_launch(people, settle_s=1)
        assert settled(environment) == "running"
        # A resource goes, which waits for a click.
        environment_update(environment=environment, actor=people.dana, inputs={"settle_s": 0})
        assert settled(environment) == "awaiting_approval"
        deny_all = 'package slipway\n\ndeny contains {"rule": "nothing", "msg": "Nothing goes.", "cure": "Wait."}\n'
        made = policy(people, deny_all, slug="freeze")
        change = change_of(environment)
        change_approve(change=change, actor=people.dana, plan_hash=change.plan_hash)
        assert settled(environment) == "running"
        change = change_of(environment)
        assert (change.status, change.failure_code, change.applying_at) == ("failed", "policies:denied", None)
        assert environment.inputs["settle_s"] == 1

        # Errors only at a plan: the check of a new version knows no resources.
        policy_version_write(
            actor=people.pete,
            policy=made,
            rego=BREAKS_AT_A_PLAN,
        )
        environment_update(environment=environment, actor=people.dana, inputs={"message": "other"})
        assert settled(environment) == "running"
        change = change_of(environment)
        assert (change.status, change.findings[0]["rule"]) == ("failed", "cannot-be-evaluated")
        assert "could not be checked" in environment.status_reason
        told = list(people.pete.notifications.values_list("text", flat=True))
        assert any("Policy “Freeze” cannot be evaluated" in text for text in told), told

        environment_stop(environment=environment, actor=people.dana)
        assert settled(environment) == "stopped"
        assert [one["effect"] for one in change_of(environment).findings] == ["warn"]
        destroy(environment, people.dana, tmp_path)
