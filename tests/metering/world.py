"""A machine with one service and one volume, played for the real watch, shipping and metering of the portal.

Time is that of a wall clock which the test moves, also backwards. `Expected` keeps what must come out, from the events
alone.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from apps.provisioning.agent.shipping import state_ship
from apps.provisioning.agent.watch import ServiceWatch
from apps.provisioning.leases import Lease
from apps.provisioning.machine import ServiceObservation
from apps.provisioning.models import Change, Workspace

BEGIN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SERVICE, VOLUME = "slipway_service.app", "slipway_volume.home"


class Clock:
    """What `timezone.now()` says while the test runs."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._patch = mock.patch("django.utils.timezone.now", side_effect=lambda: self.now)

    def __enter__(self) -> "Clock":
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeMachine:
    """Stands where the agent asks its machine what runs; the real one is asked in `test_real_agent.py`."""

    workspace_id: str
    isolation: str = "none"
    known: bool = False
    started_at: datetime | None = None
    restarts: int = 0

    def observe(self) -> list[ServiceObservation]:
        if not self.known:
            return []
        return [
            ServiceObservation(
                workspace_id=self.workspace_id,
                service="app",
                status="running" if self.started_at else "stopped",
                reason="",
                restarts=self.restarts,
                started_at=self.started_at.timestamp() if self.started_at else None,
            )
        ]

    def log_tail(self, *_: object) -> tuple[str, str]:
        return "", ""


@dataclass
class World:
    workspace: Workspace
    lease: Lease
    folder: Path
    clock: Clock
    serial: int = 0
    change: Change | None = None
    elapsed: float = 0

    def __post_init__(self) -> None:
        self.machine = FakeMachine(str(self.workspace.pk))
        self.agent_restart()

    def agent_restart(self) -> None:
        """What the agent had in memory is gone."""
        machine: Any = self.machine
        self.watch = ServiceWatch(machine=machine, lease=self.lease, clock=lambda: self.elapsed)

    def look(self) -> None:
        """A look at which figures are stored, which is every few seconds."""
        self.elapsed += 60
        self.watch.look()

    def ship(self, *resources: dict[str, Any]) -> None:
        """Terraform has written its state, and the agent has seen it."""
        self.serial += 1
        state = {"version": 4, "serial": self.serial, "lineage": "l", "outputs": {}, "resources": list(resources)}
        self.folder.mkdir(exist_ok=True)
        (self.folder / "terraform.tfstate").write_text(json.dumps(state))
        state_ship(
            lease=self.lease, workspace=self.workspace, change=self.change, path=self.folder / "terraform.tfstate"
        )


def resource(address: str, **attributes: Any) -> dict[str, Any]:
    type_, name = address.split(".")
    return {"mode": "managed", "type": type_, "name": name, "instances": [{"attributes": attributes}]}


def service(cpu: float = 1, memory_mb: int = 1024) -> dict[str, Any]:
    return resource(SERVICE, name="app", cpu=cpu, memory_mb=memory_mb)


def volume(size_limit_mb: int | None = 100) -> dict[str, Any]:
    return resource(VOLUME, name="home", size_limit_mb=size_limit_mb)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)
