"""The queue and the database emptied, killed and hanging: no change is lost, none is done twice."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.faults import invariants, processes
from tests.faults.portal_under_fault import Environment, PortalUnderFault, wait, wait_for
from tests.faults.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# A click while the broker hangs: half a second for the rate's count, half a second for the wake-up, and the work.
CLICK_S = 4.0
OURS = ("web", "worker", "beat", "agent")


def valkey(portal: PortalUnderFault, other_than: Process | None = None) -> Process:
    """The server, waited for where it was just killed."""

    def there() -> Process | None:
        found = processes.recorded(portal.data / "valkey" / "process.json")
        return found if found and (other_than is None or found.pid != other_than.pid) else None

    found: Process = wait_for(there, 10, "Valkey runs", portal)
    return found


def valkey_flush(portal: PortalUnderFault) -> None:
    shared = json.loads((portal.data / "run" / "environment.json").read_text())
    with redis.Redis.from_url(shared["BROKER_URL"]) as client:
        client.flushall()


@contextmanager
def same_processes(portal: PortalUnderFault) -> Iterator[None]:
    """Nothing of ours had to be started again."""
    before = {name: portal.child(name).pid for name in OURS}
    yield
    assert {name: portal.child(name).pid for name in OURS} == before


def timed_launch(portal: PortalUnderFault, **knobs: Any) -> tuple[Environment, float]:
    started = time.monotonic()
    environment = portal.launch(**knobs)
    return environment, time.monotonic() - started


def finish(portal: PortalUnderFault, environments: list[Environment]) -> None:
    for environment in environments:
        portal.settled(environment, "running")
        invariants.check(portal, environment)
    for environment in environments:
        invariants.end(portal, environment)


def test_valkey_emptied_and_killed_with_changes_in_line(broken: PortalUnderFault) -> None:
    with same_processes(broken):
        with broken.frozen(broken.child("agent"), broken.child("worker")):
            waiting = [broken.launch(), broken.launch()]
            valkey_flush(broken)
            victim = valkey(broken)
            victim.kill()
            victim.wait_gone()
            third, seconds = timed_launch(broken)
        assert seconds < CLICK_S
        valkey(broken, other_than=victim)
        finish(broken, [*waiting, third])
        wait(lambda: broken.portal.get("readyz")[0] == 200, 60, "the portal is ready", broken)


def test_a_click_while_valkey_hangs_is_answered_and_done(broken: PortalUnderFault) -> None:
    """No wake-up arrives: the agent finds what is new in the rows, without the queue."""
    hanging = valkey(broken)
    with same_processes(broken):
        hanging.kill(signal.SIGSTOP)
        try:
            environment, seconds = timed_launch(broken)
            broken.settled(environment, "running", seconds=60)
            page = time.monotonic()
            broken.page(f"environments/{environment.id}/")
            page = time.monotonic() - page
        finally:
            hanging.kill(signal.SIGCONT)
        assert seconds < CLICK_S
        assert page < CLICK_S
        finish(broken, [environment])


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("planning", marks=pytest.mark.matrix),
        "applying",
        pytest.param("stopping", marks=pytest.mark.matrix),
        pytest.param("destroying", marks=pytest.mark.matrix),
    ],
)
def test_postgresql_killed_in_the_middle_of_a_change(broken: PortalUnderFault, moment: str) -> None:
    environment = at_moment(broken, moment)
    with same_processes(broken):
        kill_postgres(broken)
        answers_clearly(broken)
        broken.settled(environment, *EXPECTED[moment])
        invariants.check(broken, environment)
        invariants.end(broken, environment)
        wait(lambda: broken.portal.get("readyz")[0] == 200, 60, "the portal is ready", broken)


@pytest.mark.matrix
def test_postgresql_away_for_longer_than_any_patience(broken: PortalUnderFault) -> None:
    """Hanging for longer than a lease and than the pools' patience; all comes back within seconds."""
    environment = broken.launch(health_s=4)
    broken.wait_phase(environment, "applying")
    held = [found for found in broken.everything() if found.command and "postgres" in found.command[0]]
    with same_processes(broken):
        with broken.frozen(*held):
            time.sleep(35)
        back = time.monotonic()
        wait(lambda: broken.portal.get("readyz")[0] == 200, 30, "the portal is ready", broken)
        assert time.monotonic() - back < 20
        broken.settled(environment, "running")
        invariants.check(broken, environment)
        invariants.end(broken, environment)


EXPECTED = {
    "planning": ("running",),
    "applying": ("running",),
    "stopping": ("stopped",),
    "destroying": ("destroyed",),
}


def at_moment(portal: PortalUnderFault, moment: str) -> Environment:
    if moment in ("planning", "applying"):
        environment = portal.launch(health_s=4)
        portal.wait_phase(environment, moment)
        return environment
    environment = portal.launched(stop_s=3, destroy_s=3)
    kind = {"stopping": "stop", "destroying": "destroy"}[moment]
    portal.act(environment, kind)
    portal.wait_phase(environment, "applying", kind=kind)
    return environment


def kill_postgres(portal: PortalUnderFault) -> None:
    victim = portal.child("postgres")
    victim.kill()
    victim.wait_gone()


def answers_clearly(portal: PortalUnderFault, seconds: float = 30) -> None:
    """Until three answers in a row are right, each is that or a 503 that names its reason; none takes long."""
    deadline, right = time.monotonic() + seconds, 0
    while right < 3:
        assert time.monotonic() < deadline, "the portal does not come back"
        asked = time.monotonic()
        status, answer = portal.call("GET", "environments/")
        assert time.monotonic() - asked < 8
        assert (status == 200) or (status, answer["code"]) == (503, "core:database-unavailable"), (status, answer)
        right = right + 1 if status == 200 else 0
        time.sleep(0.2)
