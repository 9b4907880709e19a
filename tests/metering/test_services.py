"""Intervals, from the events that make them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.accounts.models import Team, User
from apps.metering import observers
from apps.metering.models import MeteredResource, ResourceInterval, WorkspaceMeter
from apps.metering.reconciling import meters_reconcile
from apps.metering.services import ownership_meter, states_meter
from apps.provisioning.leases import Lease
from apps.provisioning.models import Change, LogLine, Workspace
from tests.metering.world import BEGIN, SERVICE, VOLUME, Clock, World, at, service, volume


@pytest.fixture
def world(workspace: Workspace, lease: Lease, tmp_path: Path) -> Iterator[World]:
    with Clock() as clock:
        yield World(workspace, lease, tmp_path / "work", clock)


def spans(address: str = SERVICE) -> list[tuple[float, float | None, str]]:
    """[(start, end, state)] in seconds since the beginning."""
    rows = ResourceInterval.objects.filter(resource__address=address).order_by("started_at", "id")
    return [
        (
            (row.started_at - BEGIN).total_seconds(),
            (row.ended_at - BEGIN).total_seconds() if row.ended_at else None,
            row.state,
        )
        for row in rows
    ]


def launch(world: World, *, cpu: float = 1) -> None:
    """The process begins at second 10, the state is written at second 20."""
    world.clock.move(10)
    world.machine.known, world.machine.started_at = True, world.clock.now
    world.clock.move(2)
    world.look()
    world.clock.move(8)
    world.ship(volume(), service(cpu))


def test_a_service_counts_from_the_start_of_its_process_and_a_volume_from_its_creation(world: World) -> None:
    launch(world)
    assert spans() == [(10, None, "running")]
    assert spans(VOLUME) == [(20, None, "present")]
    row = ResourceInterval.objects.get(resource__address=SERVICE)
    assert (row.cpu_cores, row.memory_bytes, row.gpu_count) == (1, 1024 * 2**20, 0)
    assert (row.team_id, row.user_id) == (world.workspace.team_id, world.workspace.owner_id)
    assert ResourceInterval.objects.get(resource__address=VOLUME).disk_bytes == 100 * 2**20


def test_a_process_that_is_seen_after_the_state_counts_from_its_start_all_the_same(world: World) -> None:
    world.clock.move(10)
    world.machine.known, world.machine.started_at = True, world.clock.now
    world.clock.move(10)
    world.ship(volume(), service())
    world.look()
    assert spans() == [(10, None, "running")]


def test_a_stop_a_start_and_the_end(world: World) -> None:
    launch(world)
    world.clock.move(80)
    world.look()
    world.machine.started_at = None
    world.clock.move(1)
    world.look()
    world.clock.move(99)
    world.machine.started_at = world.clock.now
    world.clock.move(1)
    world.look()
    world.clock.move(45)
    world.look()
    world.clock.move(4)
    world.ship()
    assert spans() == [(10, 100, "running"), (100, 200, "stopped"), (200, 250, "running")]
    assert spans(VOLUME) == [(20, 250, "present")]


def test_a_new_size_goes_on_in_the_same_second(world: World) -> None:
    launch(world)
    world.clock.move(80)
    world.ship(volume(200), service(cpu=2))
    assert spans() == [(10, 100, "running"), (100, None, "running")]
    assert spans(VOLUME) == [(20, 100, "present"), (100, None, "present")]
    sizes = ResourceInterval.objects.filter(resource__address=SERVICE).order_by("started_at")
    assert [row.cpu_cores for row in sizes] == [1, 2]
    world.clock.move(10)
    world.ship(volume(200), service(cpu=2))
    assert len(spans()) == 2


def test_a_dead_agent_leaves_no_gap_while_the_service_goes_on(world: World) -> None:
    launch(world)
    world.clock.move(1000)
    world.agent_restart()
    world.look()
    meters_reconcile()
    assert spans() == [(10, None, "running")]


def test_a_dead_machine_ends_the_run_when_it_was_last_seen(world: World) -> None:
    """Same status and no restart counted before and after: only the process tells that it is another."""
    launch(world)
    world.clock.move(30)
    world.look()
    world.clock.move(1000)
    world.agent_restart()
    world.machine.started_at = at(1040)
    world.look()
    assert spans() == [(10, 50, "running"), (50, 1040, "stopped"), (1040, None, "running")]


def test_a_crash_between_two_looks_that_store_nothing_ends_at_the_last_look(world: World) -> None:
    launch(world)
    for _ in range(3):
        world.clock.move(1)
        world.watch.look()
    world.clock.move(1)
    world.machine.started_at, world.machine.restarts = world.clock.now, 1
    world.watch.look()
    assert spans() == [(10, 23, "running"), (23, 24, "stopped"), (24, None, "running")]


@pytest.mark.parametrize("back", [5, 60, 7200])
def test_a_clock_put_back_makes_nothing_negative(world: World, back: int) -> None:
    launch(world)
    world.clock.move(30)
    world.look()
    meters_reconcile()
    world.clock.move(-back)
    world.ship(volume(), service(cpu=2))
    world.machine.started_at = world.clock.now
    world.look()
    world.machine.started_at = None
    world.look()
    world.ship()
    times = spans()
    assert all(end is not None and end >= start for start, end, _ in times)
    assert all(first[1] == second[0] for first, second in pairwise(times))
    assert times[0][0] == 10
    assert times[-1][1] is not None
    assert times[-1][1] >= 50


def test_what_was_lost_is_found_again_with_its_own_times(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "states_meter", lambda **_: None)
    launch(world)
    world.clock.move(80)
    world.ship(volume(), service(cpu=2))
    world.clock.move(95)
    world.look()
    world.clock.move(5)
    world.ship()
    assert spans() == []
    world.clock.move(500)
    assert meters_reconcile() == 1
    assert spans() == [(10, 100, "running"), (100, 200, "running")]
    assert spans(VOLUME) == [(20, 200, "present")]
    assert meters_reconcile() == 0
    assert len(spans()) == 2


def test_terraform_says_when_nobody_watched(world: World, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent was dead during the apply: the state is shipped late, the log tells when each resource was made."""
    Change.objects.filter(pk=change.pk).update(applying_at=at(0))
    for number, (second, text) in enumerate(
        [(5, f"{VOLUME}: Creation complete after 0s [id=x/home]"), (9, f"{SERVICE}: Creation complete after 4s")], 1
    ):
        LogLine.objects.create(
            workspace=world.workspace, change=change, stream="build", number=number, at=at(second), text=text
        )
    world.clock.move(300)
    world.change = change
    world.ship(volume(), service())
    assert spans(VOLUME) == [(5, None, "present")]
    assert spans() == [(9, None, "stopped")]


def test_a_fault_in_metering_stops_no_state_from_being_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    monkeypatch.setattr(observers, "states_meter", broken)
    launch(world)
    assert world.workspace.state_versions.count() == 1
    assert spans() == []
    meters_reconcile()
    assert spans() == [(10, None, "running")]


def test_another_owner_counts_from_when_it_is_theirs(world: World, pete: User) -> None:
    launch(world)
    world.clock.move(80)
    team = Team.objects.create(slug="churn", name="Churn")
    Workspace.objects.filter(pk=world.workspace.pk).update(team=team, owner=pete)
    ownership_meter(workspace_id=world.workspace.pk)
    meters_reconcile()
    rows = ResourceInterval.objects.filter(resource__address=SERVICE).order_by("started_at")
    assert [(row.user_id, row.team_id) for row in rows] == [
        (world.workspace.owner_id, world.workspace.team_id),
        (pete.pk, team.pk),
    ]
    assert spans() == [(10, 100, "running"), (100, None, "running")]


def test_an_owner_changed_behind_its_back_is_noticed(world: World, pete: User) -> None:
    launch(world)
    Workspace.objects.filter(pk=world.workspace.pk).update(owner=pete)
    world.clock.move(60)
    meters_reconcile()
    assert spans(VOLUME) == [(20, 80, "present"), (80, None, "present")]


def test_a_destroyed_workspace_whose_state_says_nothing_has_its_end(world: World) -> None:
    launch(world)
    world.clock.move(30)
    world.look()
    world.clock.move(1000)
    Workspace.objects.filter(pk=world.workspace.pk).update(destroyed_at=at(900))
    meters_reconcile()
    assert spans() == [(10, 50, "running"), (50, 900, "stopped")]
    assert spans(VOLUME) == [(20, 900, "present")]
    assert WorkspaceMeter.objects.get().done


def test_a_service_made_again_is_not_taken_for_the_process_of_the_former(world: World) -> None:
    launch(world)
    world.clock.move(30)
    world.ship()
    world.machine.known = False
    world.clock.move(30)
    world.ship(volume(), service())
    assert spans() == [(10, 50, "running"), (80, None, "stopped")]
    assert MeteredResource.objects.filter(address=SERVICE).count() == 1


def test_two_of_one_address_while_it_is_replaced(world: World) -> None:
    both = service()
    both["instances"].append({"attributes": {"name": "app", "cpu": 1}, "deposed": "abc"})
    world.ship(both)
    assert MeteredResource.objects.count() == 2
    world.ship(service())
    assert ResourceInterval.objects.open().count() == 1


def test_the_database_refuses_what_overlaps_or_is_negative(world: World) -> None:
    launch(world)
    row = ResourceInterval.objects.get(resource__address=VOLUME)
    ResourceInterval.objects.filter(pk=row.pk).update(ended_at=at(100))
    for begin, end in ((50, 120), (10, 21), (10, None), (30, 40)):
        row.pk, row.started_at, row.ended_at = None, at(begin), at(end) if end else None
        with pytest.raises(IntegrityError, match="intervals_do_not_overlap"), transaction.atomic():
            row.save(force_insert=True)
    row.pk, row.started_at, row.ended_at = None, at(300), at(300) - timedelta(seconds=1)
    with pytest.raises(DatabaseError), transaction.atomic():
        row.save(force_insert=True)
    row.pk, row.started_at, row.ended_at = None, at(100), None
    row.save(force_insert=True)
    row.pk, row.started_at = None, at(400)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_a_state_that_cannot_be_read_keeps_the_others_from_nothing(world: World) -> None:
    launch(world)
    world.workspace.state_versions.update(cipher=b"not ours")
    ResourceInterval.objects.all().delete()
    WorkspaceMeter.objects.update(state_version=0)
    world.clock.move(10)
    world.ship(volume(), service())
    assert spans(VOLUME) == [(30, None, "present")]
    assert states_meter(workspace_id=world.workspace.pk) == 0
