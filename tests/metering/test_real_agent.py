"""Metering of the real thing: Terraform, provider, machine and a small web server, with an agent that is replaced."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connections
from django.utils import timezone

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.catalog.services.registering import _archive
from apps.metering.models import ResourceInterval
from apps.metering.reconciling import meters_reconcile
from apps.metering.selectors import usage_of_environment
from apps.provisioning.agent.build import agent_build
from apps.provisioning.models import ServiceStatus, Workspace
from tests.provisioning.test_agent import MODULE, Running, ended, published, request, wait_for

if TYPE_CHECKING:
    from apps.provisioning.agent.daemon import Agent

__all__ = ["published"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SIZED = MODULE.replace(
    'health_path        = "/"', 'health_path        = "/"\n  cpu                = 2\n  memory_mb          = 256'
)
SERVICE, VOLUME = "slipway_service.app", "slipway_volume.home"


class Mortal:
    """An agent that ends without telling anybody: services and Terraform go on."""

    def __init__(self, root: Path) -> None:
        self.agent: Agent = agent_build(root=root)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        wait_for(lambda: self.agent.lease is not None)

    def _run(self) -> None:
        try:
            self.agent.run(end_everything=False)
        finally:
            connections.close_all()

    def die(self) -> None:
        self.agent.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Callable[[], Mortal]]:
    """Agents on one folder; what they and their services left ends with the test."""
    made: list[Mortal] = []

    def begin() -> Mortal:
        made.append(Mortal(tmp_path / "agent"))
        return made[-1]

    yield begin
    for mortal in made:
        mortal.die()
    if made:
        machine_end(made[-1])


def machine_end(mortal: Mortal) -> None:
    """As if the machine had lost its power."""
    mortal.agent.machine.supervisor.kill()
    mortal.agent.machine.services.leftovers_end()


def intervals(address: str) -> list[ResourceInterval]:
    return list(ResourceInterval.objects.filter(resource__address=address).order_by("started_at", "id"))


def states(address: str) -> list[str]:
    return [row.state for row in intervals(address)]


def running_again(than: object) -> Callable[[], bool]:
    return lambda: ServiceStatus.objects.filter(status="running").exclude(started_at=than).exists()


def test_a_life_with_a_dead_agent_a_dead_machine_a_stop_and_an_end(
    workspace: Workspace, published: ModuleVersion, dana: User, tmp_path: Path, mortals: Callable[[], Mortal]
) -> None:
    source = tmp_path / "module"
    (source / "main.tf").write_text(SIZED)
    ModuleVersion.objects.filter(pk=published.pk).update(archive=_archive(source), digest="3" * 64)
    workspace.refresh_from_db()
    first = mortals()
    asked_at = timezone.now()
    created = request(workspace, "create", dana)
    wait_for(ended(created))
    assert (created.status, created.failure_detail) == ("applied", "")
    wait_for(lambda: states(SERVICE) == ["running"])
    row = intervals(SERVICE)[0]
    process = ServiceStatus.objects.get()
    assert (row.cpu_cores, row.memory_bytes) == (2, 256 * 2**20)
    assert row.started_at == process.started_at == row.run_started_at
    assert asked_at < intervals(VOLUME)[0].started_at < row.started_at + timedelta(seconds=1)

    first.die()
    time.sleep(2)
    second = mortals()
    observed_at = ServiceStatus.objects.get().observed_at
    wait_for(lambda: ServiceStatus.objects.get().observed_at > observed_at)
    assert states(SERVICE) == ["running"], "the service went on, so does its interval"

    second.die()
    last = ServiceStatus.objects.get()
    machine_end(second)
    time.sleep(2)
    third = Running(tmp_path / "agent")
    try:
        wait_for(running_again(last.started_at))
        wait_for(lambda: states(SERVICE) == ["running", "stopped", "running"])
        before, dead, after = intervals(SERVICE)
        assert before.ended_at == dead.started_at
        assert before.ended_at is not None
        assert abs(before.ended_at - last.observed_at) < timedelta(seconds=1)
        assert dead.ended_at == after.started_at == ServiceStatus.objects.get().started_at

        wait_for(ended(request(workspace, "stop", dana, running=False)))
        wait_for(lambda: states(SERVICE)[-1] == "stopped")
        destroyed = request(workspace, "destroy", dana)
        wait_for(ended(destroyed))
        assert destroyed.status == "applied"
    finally:
        third.stop()
    meters_reconcile()
    assert not ResourceInterval.objects.open().exists()
    total = usage_of_environment(environment_id=workspace.pk, start=asked_at, end=timezone.now())
    runs = [row for row in intervals(SERVICE) if row.state == "running"]
    ran = sum((row.ended_at - row.started_at).total_seconds() for row in runs if row.ended_at)
    assert float(total.core_seconds) == pytest.approx(2 * ran, abs=0.001)
    assert len(intervals(VOLUME)) == 1
