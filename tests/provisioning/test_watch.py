"""The watch over services: nothing new costs nothing however many there are; news is told once, lines kept once."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from apps.provisioning.agent.watch import FIGURES_EVERY, ServiceWatch
from apps.provisioning.leases import Lease
from apps.provisioning.machine import ServiceObservation
from apps.provisioning.models import LogLine, ServiceStatus, Workspace

STARTED = 1_700_000_000.25


@dataclass
class Told:
    """What a machine says of its services, and what they have written; the offset is the number of lines."""

    seen: list[ServiceObservation]
    written: dict[str, list[str]] = field(default_factory=dict)
    isolation: str = "bubblewrap+uid"
    services: Any = field(default_factory=lambda: SimpleNamespace(records=list))

    def observe(self) -> list[ServiceObservation]:
        return self.seen

    def log_tail(self, workspace_id: str, service: str, offset: str) -> tuple[str, str]:
        lines = self.written.get(workspace_id, [])
        return "".join(f"{line}\n" for line in lines[int(offset or 0) :]), str(len(lines)) if lines else offset


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told(workspace: Workspace) -> Told:
    """Thirty running services, each in an environment of its own."""
    others = [replace_pk(workspace) for _ in range(29)]
    return Told([observation(str(row.pk)) for row in (workspace, *others)])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(told: Told, lease: Lease, clock: Clock) -> ServiceWatch:
    return ServiceWatch(machine=told, lease=lease, clock=clock)  # type: ignore[arg-type]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(previous status, status) of each call of an observer."""
    calls: list[tuple[str, str]] = []
    follower = lambda workspace, row, previous: calls.append((previous, row.status))  # noqa: E731
    monkeypatch.setattr("apps.provisioning.agent.watch.service_callbacks", [follower])
    return calls


def replace_pk(workspace: Workspace) -> Workspace:
    return Workspace.objects.create(
        id=uuid.uuid4(), name="nb", team=workspace.team, owner=workspace.owner, target="local",
        module_version=workspace.module_version,
    )  # fmt: skip


def observation(workspace_id: str, **fields: Any) -> ServiceObservation:
    return ServiceObservation(workspace_id, "jupyterlab", "running", "", started_at=STARTED, **fields)


def queries(act: Callable[[], None]) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def test_a_look_at_thirty_services_that_go_on_asks_the_database_nothing(watch: ServiceWatch) -> None:
    watch.look()
    assert ServiceStatus.objects.filter(status="running").count() == 30
    assert queries(watch.look) == 0
    assert queries(lambda: watch.look(only_logs=True)) == 0


def test_the_figures_of_thirty_services_are_one_statement(watch: ServiceWatch, told: Told, clock: Clock) -> None:
    watch.look()
    told.seen = [replace(item, memory_bytes=7) for item in told.seen]
    clock.now += FIGURES_EVERY
    # A savepoint, the lease, the update, the end of the savepoint.
    assert queries(watch.look) <= 5
    assert ServiceStatus.objects.filter(memory_bytes=7).count() == 30


def test_news_is_told_once(watch: ServiceWatch, told: Told, heard: list[tuple[str, str]]) -> None:
    watch.look()
    heard.clear()
    told.seen[0] = replace(told.seen[0], status="crashed", reason="It ended.", started_at=None)
    watch.look()
    watch.look()
    assert heard == [("running", "crashed")]
    assert ServiceStatus.objects.get(workspace_id=told.seen[0].workspace_id).reason == "It ended."


def test_a_new_agent_goes_on_from_what_is_stored(
    watch: ServiceWatch, told: Told, lease: Lease, clock: Clock, heard: list[tuple[str, str]], workspace: Workspace
) -> None:
    told.written[str(workspace.pk)] = ["one", "two"]
    watch.look()
    heard.clear()
    told.written[str(workspace.pk)].append("three")
    ServiceWatch(machine=told, lease=lease, clock=clock).look()  # type: ignore[arg-type]
    assert heard == []
    assert [line.text for line in LogLine.objects.filter(workspace=workspace)] == ["one", "two", "three"]


def test_lines_come_between_two_looks(watch: ServiceWatch, told: Told, workspace: Workspace) -> None:
    watch.look()
    told.written[str(workspace.pk)] = ["ERROR: no such kernel"]
    watch.look(only_logs=True)
    watch.look(only_logs=True)
    (line,) = LogLine.objects.filter(workspace=workspace)
    assert (line.text, line.level) == ("ERROR: no such kernel", "error")


def test_what_could_not_be_stored_is_stored_with_the_next_look(
    watch: ServiceWatch, told: Told, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    watch.look()
    told.written[str(workspace.pk)] = ["one"]
    with monkeypatch.context() as patched:
        patched.setattr("apps.provisioning.agent.watch.lines_ship", fails)
        with pytest.raises(DatabaseError):
            watch.look()
    watch.look()
    assert [line.text for line in LogLine.objects.filter(workspace=workspace)] == ["one"]


def fails(**_: Any) -> None:
    raise DatabaseError("gone")


def test_a_service_of_an_unknown_environment_is_left_alone(watch: ServiceWatch, told: Told) -> None:
    stranger = str(uuid.uuid4())
    told.seen.append(observation(stranger))
    told.written[stranger] = ["hello"]
    watch.look()
    assert not ServiceStatus.objects.filter(workspace_id=stranger).exists()
