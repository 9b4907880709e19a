"""Every part of the portal killed with SIGKILL at every moment of a change.

Web, worker, beat and agent may be killed at any moment: the change is done all the same. Terraform, its runner and its
provider take their change along, and the page's button leads on. A killed service comes back by itself, unless it had
not answered yet: a start that fails is told at once.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.faults import invariants
from tests.faults.portal_under_fault import Environment, PortalUnderFault
from tests.faults.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OURS = ("worker", "web", "beat", "agent")
MOMENTS = (
    "queued", "planning", "between plan and apply", "middle of apply", "between apply and its record", "stopping",
    "starting", "destroying",
)  # fmt: skip
# What does not exist at a moment cannot be killed then.
ABSENT = {
    ("terraform", "queued"), ("terraform", "between plan and apply"), ("terraform", "between apply and its record"),
    ("provider", "queued"), ("provider", "between plan and apply"), ("provider", "between apply and its record"),
    ("runner", "queued"), ("runner", "between plan and apply"), ("runner", "between apply and its record"),
}  # fmt: skip
VICTIMS = (*OURS, "terraform", "provider", "runner", "service")
# The nastiest moment of each, in every run of the suite.
NASTIEST = {
    ("worker", "queued"), ("web", "middle of apply"), ("beat", "queued"), ("agent", "between apply and its record"),
    ("agent", "middle of apply"), ("terraform", "middle of apply"), ("provider", "destroying"),
    ("service", "middle of apply"),
}  # fmt: skip
# Moments outermost, so that one part is not killed again before it has run for a while.
CASES = [
    pytest.param(victim, moment, marks=[] if (victim, moment) in NASTIEST else [pytest.mark.matrix])
    for moment in MOMENTS
    for victim in VICTIMS
    if (victim, moment) not in ABSENT
]


class Moment:
    """Brings an environment to a moment and kills a victim there."""

    def __init__(self, portal: PortalUnderFault, victim: str) -> None:
        self.portal = portal
        self.victim = victim
        self.killed: Process | None = None

    def reach(self, moment: str) -> Environment:
        return self.REACH[moment](self)

    def kill(self, environment: Environment) -> None:
        if self.victim in OURS:
            self.killed = self.portal.child(self.victim)
        else:
            find: dict[str, Callable[[], Process | None]] = {
                "terraform": lambda: self.portal.terraform(environment),
                "provider": lambda: self.portal.provider(environment),
                "runner": lambda: self.portal.runner(environment),
                "service": lambda: self.portal.service(environment),
            }
            self.killed = find[self.victim]()
        assert self.killed, f"there is no {self.victim}"
        self.killed.kill()
        self.killed.wait_gone()

    def begin(self, **knobs: float) -> Environment:
        """A launch; where the service is the victim, an update of one that runs, for moments in which none runs yet."""
        if self.victim == "service":
            environment = self.portal.launched(**{name: value for name, value in knobs.items() if name != "settle_s"})
            self.portal.update(environment, message="changed", **knobs)
            return environment
        return self.portal.launch(**knobs)

    # -- moments

    def queued(self) -> Environment:
        """The agent is held, so that the change stays in line; a worker that is to die is held before it can act."""
        held = [self.portal.child("agent")]
        if self.victim == "worker":
            worker = self.portal.child("worker")
            held += [worker, *(p for p in self.portal.everything() if p.parent == worker.pid)]
        ready = self.portal.launched() if self.victim == "service" else None
        with self.portal.frozen(*held):
            if ready:
                self.portal.act(ready, "stop")
            environment = ready or self.portal.launch()
            self.portal.wait_phase(environment, "queued")
            self.kill(environment)
        return environment

    def planning(self) -> Environment:
        environment = self.begin()
        self.portal.wait_phase(environment, "planning")
        if self.victim in OURS:
            self.portal.terraform(environment)
        self.kill(environment)
        return environment

    def between(self) -> Environment:
        """The plan has ended and the agent, held since it was asked last, has not seen it."""
        environment = self.begin()
        self.portal.wait_phase(environment, "planning")
        self.portal.wait_exit(environment, "plan", "*-plan.exit")
        with self.portal.frozen(self.portal.child("agent")):
            self.portal.wait_exit(environment, "plan")
            self.kill(environment)
        return environment

    def applying(self) -> Environment:
        """Terraform waits for the service's first answer."""
        environment = self.portal.launch(health_s=3)
        self.portal.wait_log(environment, "slipway_service.app")
        self.portal.service(environment)
        self.kill(environment)
        return environment

    def applied(self) -> Environment:
        """Terraform has ended and the agent, held since the service was ready, has not seen it."""
        environment = self.portal.launch(settle_s=2)
        self.portal.wait_log(environment, "terraform_data.settle")
        with self.portal.frozen(self.portal.child("agent")):
            self.portal.wait_exit(environment, "apply")
            self.kill(environment)
        return environment

    def stopping(self) -> Environment:
        environment = self.portal.launched(stop_s=3)
        self.portal.act(environment, "stop")
        self.portal.wait_log(environment, "slipway_service.app")
        self.kill(environment)
        return environment

    def starting(self) -> Environment:
        environment = self.portal.launched(health_s=2)
        self.portal.act(environment, "stop")
        self.portal.settled(environment, "stopped")
        self.portal.act(environment, "start")
        self.portal.wait_log(environment, "slipway_service.app")
        self.portal.service(environment)
        self.kill(environment)
        return environment

    def destroying(self) -> Environment:
        environment = self.portal.launched(stop_s=3)
        self.portal.act(environment, "destroy")
        self.portal.wait_log(environment, "slipway_service.app")
        self.kill(environment)
        return environment

    REACH = {
        "queued": queued, "planning": planning, "between plan and apply": between, "middle of apply": applying,
        "between apply and its record": applied, "stopping": stopping, "starting": starting, "destroying": destroying,
    }  # fmt: skip


@pytest.fixture
def leaving(broken: PortalUnderFault) -> Iterator[ExitStack]:
    """Whatever comes of a test, the portal's parts run again and its environments are gone afterwards."""
    with ExitStack() as stack:
        yield stack
    for name in OURS:
        broken.child_wait(name)


@pytest.mark.parametrize(("victim", "moment"), CASES)
def test_killed(broken: PortalUnderFault, leaving: ExitStack, victim: str, moment: str) -> None:
    at = Moment(broken, victim)
    environment = at.reach(moment)
    status = broken.settled(environment)
    change = broken.change(environment)
    assert change is not None
    if victim in OURS or (victim == "service" and moment not in ("middle of apply", "starting")):
        assert change["status"] == "applied", broken.story(environment)
        assert status != "failed", broken.story(environment)
    invariants.check(broken, environment)
    if status != "destroyed":
        invariants.lead_on(broken, environment)
        invariants.check(broken, environment)
        invariants.end(broken, environment)
    if victim in OURS:
        assert at.killed is not None
        broken.child_wait(victim, other_than=at.killed)
