"""The whole portal killed at once in the middle of an apply: the next start adopts or ends what it finds."""

import pytest

from tests.faults import invariants
from tests.faults.portal_under_fault import PortalUnderFault

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_killed_with_terraform_and_services(broken: PortalUnderFault) -> None:
    """As after a power cut: what ran comes up again, what was cut off can be tried again, nothing runs twice."""
    running, building = broken.launched(), broken.launch(health_s=5)
    before = broken.service(running)
    broken.wait_log(building, "slipway_service.app")
    broken.service(building)
    broken.kill_everything()
    assert broken.everything() == []
    broken.start_again()
    broken.settled(building)
    assert broken.settled(running) == "running", broken.story(running)
    invariants.check_portal(broken, [running, building])
    assert broken.service(running).pid != before.pid
    invariants.lead_on(broken, building)
    for environment in (running, building):
        invariants.check(broken, environment)
        invariants.end(broken, environment)
    invariants.check_portal(broken, [])


@pytest.mark.matrix
def test_killed_while_terraform_and_services_go_on(broken: PortalUnderFault) -> None:
    """They are in sessions of their own: the next agent takes them over, and the change is done as if nothing was."""
    running, building = broken.launched(), broken.launch(health_s=5)
    before = broken.service(running)
    broken.wait_log(building, "slipway_service.app")
    terraform, service = broken.terraform(building), broken.service(building)
    broken.kill_everything(services=False)
    assert terraform.alive
    broken.start_again()
    assert broken.settled(building) == "running", broken.story(building)
    invariants.check_portal(broken, [running, building])
    assert broken.service(running).pid == before.pid
    assert broken.service(building).pid == service.pid
    for environment in (running, building):
        invariants.end(broken, environment)
    invariants.check_portal(broken, [])
