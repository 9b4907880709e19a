"""A disk that is full and a clock that is moved, in the middle of a change: nothing is lost, nothing is stuck."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.provisioning.terraform_state import state_read, state_rescue

if TYPE_CHECKING:
    from apps.catalog.models import ModuleVersion
    from tests.factories import People

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(240)]

DISK_MB = 48
# A state that outgrows its block on the disk after the disk is full.
LARGE = """
resource "terraform_data" "pause" {
  depends_on = [slipway_volume.home]
  provisioner "local-exec" { command = "sleep 3" }
}
resource "terraform_data" "large" {
  depends_on = [terraform_data.pause]
  input      = join("", [for i in range(1000) : "0123456789012345678901234567890123456789"])
}
"""


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


# The disk ------------------------------------------------------------------------------------------------------------


class SmallDisk:
    """A file system of its own in memory, which can be filled to the last block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def fill(self) -> None:
        with self.filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        assert shutil.disk_usage(self.path).free == 0

    def free(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user cannot mount a small disk")
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def large_version(tmp_path: Path) -> "ModuleVersion":
    from apps.catalog.services import module_register
    from tests.faults.one_agent import QUICK

    source = tmp_path / "large"
    shutil.copytree(QUICK, source)
    text = (source / "main.tf").read_text() + LARGE
    text = text.replace("depends_on = [terraform_data.build]", "depends_on = [terraform_data.large]")
    (source / "main.tf").write_text(text)
    with (source / "module.yaml").open("a") as file:
        file.write("  terraform_data.pause: Pausing\n  terraform_data.large: Much state\n")
    return module_register(path=source, actor=None)


def test_a_disk_that_fills_up_during_a_state_write_loses_nothing(
    people: "People", disk: SmallDisk, tmp_path: Path, settings: Any
) -> None:
    from apps.environments.services import environment_retry
    from tests.faults import one_agent

    environment = one_agent.quick_launch(people, version=large_version(tmp_path))
    with one_agent.agent_running(disk.path / "agent") as agent:
        one_agent.reach(environment, "applying", step="Pausing")
        disk.fill()
        one_agent.settled(environment, "failed")
        change = one_agent.change_of(environment)
        assert change.failure_code == "provisioning:disk-full", one_agent.story(environment)
        assert "disk is full" in environment.status_reason
        assert "kept" in environment.status_reason
        # What was finished before is in the portal's own copy, whatever became of the file.
        assert "slipway_volume.home" in one_agent.state_names(environment)
        # While it is full nothing is begun; and where that is allowed, Terraform does not get far, and says the same.
        one_agent.until(lambda: _refused(environment), 15)
        settings.DISK_LEAST_FREE_PERCENT = 0
        environment_retry(environment=environment, actor=people.dana)
        one_agent.settled(environment, "failed")
        assert one_agent.change_of(environment).failure_code == "provisioning:disk-full", one_agent.story(environment)

        disk.free()
        environment_retry(environment=environment, actor=people.dana)
        one_agent.settled(environment, "running")
        one_agent.nothing_twice(environment)
        assert {"slipway_volume.home", "terraform_data.large"} <= one_agent.state_names(environment)
        one_agent.destroy(environment, people.dana, agent.root)


def _refused(environment: Any) -> bool:
    """Whether another try is refused for want of room; the agent tells of its disk every few seconds."""
    from apps.environments.exceptions import DiskShort
    from apps.environments.services.space import machine_require_space

    try:
        machine_require_space(environment.workspace)
    except DiskShort:
        return True
    return False


@pytest.mark.matrix
def test_a_disk_that_is_full_can_still_be_cleared(people: "People", disk: SmallDisk, tmp_path: Path) -> None:
    """Destroyed while it is full or, where Terraform cannot even plan there, at once when there is room again."""
    from apps.environments.services import environment_destroy
    from tests.faults import one_agent

    environment = one_agent.quick_launch(people, version=large_version(tmp_path))
    with one_agent.agent_running(disk.path / "agent") as agent:
        one_agent.reach(environment, "applying", step="Pausing")
        disk.fill()
        one_agent.settled(environment, "failed")
        environment_destroy(environment=environment, actor=people.dana, confirm=environment.name)
        if one_agent.settled(environment, "failed", "destroyed") == "failed":
            assert one_agent.change_of(environment).failure_code == "provisioning:disk-full"
        disk.free()
        one_agent.destroy(environment, people.dana, agent.root)


STATE = {"version": 4, "lineage": "l", "serial": 3, "resources": []}


def written(work: Path, name: str, state: dict[str, Any] | str) -> Path:
    path = work / name
    path.write_text(state if isinstance(state, str) else json.dumps(state))
    return path


def test_what_terraform_saved_elsewhere_is_found(db: None, tmp_path: Path) -> None:
    log = written(tmp_path, "log.jsonl", '{"@message": "Creating..."}\n')
    written(tmp_path, "terraform.tfstate", json.dumps(STATE)[:20])
    assert state_rescue(tmp_path, [log]) is None
    dump = {"@message": "Emergency state dump", "state": {**STATE, "serial": 4}}
    written(tmp_path, "log.jsonl", f'{{"@message": "Creating..."}}\n{json.dumps(dump)}\n{{"half')
    found = state_rescue(tmp_path, [log])
    assert found is not None
    assert (found.serial, found.lineage) == (4, "l")
    written(tmp_path, "errored.tfstate", {**STATE, "serial": 5})
    found = state_rescue(tmp_path, [log])
    assert found is not None
    assert found.serial == 5
    # Something newer was written since: what was saved is old.
    written(tmp_path, "terraform.tfstate", {**STATE, "serial": 6})
    assert state_rescue(tmp_path, [log]) is None
    # A message of a program that only quotes the words is no state.
    quoted = {"@message": "Emergency state dump", "state": "none"}
    assert state_rescue(tmp_path, [written(tmp_path, "other.jsonl", json.dumps(quoted))]) is None


def test_a_rescued_state_takes_its_place_before_the_next_change(people: "People", tmp_path: Path) -> None:
    from apps.provisioning.agent.shipping import state_restore, state_store
    from apps.provisioning.leases import lease_acquire
    from tests.factories import change_of, environment_make

    change = change_of(environment_make(people))
    lease = lease_acquire(machine_name="box")
    assert lease
    path = written(tmp_path, "terraform.tfstate", {**STATE, "serial": 2})
    written(tmp_path, "errored.tfstate", STATE)
    rescued = state_rescue(tmp_path)
    assert rescued
    assert state_store(lease=lease, workspace=change.workspace, change=change, state=rescued)
    for torn in (path.read_text(), json.dumps(STATE)[:30], ""):
        path.write_text(torn)
        state_restore(workspace=change.workspace, path=path)
        state = state_read(tmp_path)
        assert state
        assert (state.serial, path.stat().st_mode & 0o077) == (3, 0)
        assert not (tmp_path / "errored.tfstate").exists()


def test_nothing_is_launched_on_a_disk_that_is_nearly_full(people: "People", settings: Any) -> None:
    from apps.provisioning.leases import lease_acquire
    from apps.provisioning.models import Machine
    from tests.environments.test_launch_pages import URL, filled
    from tests.factories import notebook_version
    from tests.faults.test_races import post, token

    notebook_version()
    lease_acquire(machine_name="box")
    Machine.objects.update(disk_bytes=100 * 2**30, free_disk_bytes=4 * 2**30)
    browser = Client()
    browser.force_login(people.dana)
    body = {"name": "nb", "team": "vision", "module": "local-notebook", "preset": "small"}

    page = browser.post(URL, filled(browser))
    answer = post(token(people.dana), body)

    assert page.status_code in (409, 422)
    assert "4.0 GB of disk left, less than 5 %" in page.content.decode()
    assert (answer.status_code, answer.json()["code"]) == (409, "environments:disk-short")
    assert "what runs is kept" in answer.json()["detail"]
    settings.DISK_LEAST_FREE_PERCENT = 3
    assert post(token(people.mira), body).status_code == 201


# The clock -----------------------------------------------------------------------------------------------------------


@contextmanager
def clock_moved(by: timedelta) -> Iterator[None]:
    """The clock of this process; the database's, and the monotonic one, go on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: datetime.now(UTC) + by)
        true_time = time.time
        patch.setattr(time, "time", lambda: true_time() + by.total_seconds())
        yield


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("by", [HOUR, pytest.param(-HOUR, marks=pytest.mark.matrix)], ids=["forward", "back"])
def test_a_clock_that_is_moved_during_a_change(people: "People", tmp_path: Path, by: timedelta) -> None:
    from apps.environments.services import environment_stop
    from apps.environments.services.lifetime import environments_due
    from apps.environments.tasks import environments_stop_expired
    from apps.environments.views.progress import progress_of
    from apps.provisioning.models import Machine
    from tests.faults import one_agent

    with one_agent.agent_running(tmp_path / "agent") as agent:
        environment = one_agent.quick_launch(people, health_s=2, ttl_seconds=1800)
        change = one_agent.reach(environment, "applying")
        held = agent.agent.lease
        with clock_moved(by):
            one_agent.settled(environment, "running")
            assert agent.agent.lease == held
            assert agent.thread.is_alive()
            assert Machine.objects.get().fence == (held.fence if held else 0)
            # Half an hour is half an hour, whatever the clock beside the database says.
            assert environment.expires_at is not None
            assert abs(environment.expires_at - datetime.now(UTC) - timedelta(seconds=1800)) < timedelta(minutes=2)
            environments_stop_expired()
            assert one_agent.settled(environment) == "running"
            change.refresh_from_db()
            assert progress_of(environment, change)["elapsed_s"] >= 0
            type(environment).objects.filter(pk=environment.pk).update(expires_at=datetime.now(UTC))
            environments_stop_expired()
            assert one_agent.settled(environment) == "stopped"
        assert not environments_due(datetime.now(UTC) + HOUR).exists()
        environment_stop(environment=environment, actor=people.dana)
        for command in change.commands.all():
            assert command.started_at <= command.finished_at
        one_agent.destroy(environment, people.dana, agent.root)


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_usual_durations_are_never_negative(people: "People", by: timedelta) -> None:
    """The click is timed by a web process whose clock is off, the end by the database."""
    from apps.provisioning.selectors import usual_duration
    from tests.factories import change_drive, change_of, environment_make

    for number in range(5):
        with clock_moved(by):
            environment = environment_make(people, name=f"nb {number}")
        change = change_drive(change_of(environment))
    usual = usual_duration(module_version_id=change.module_version_id, kind="create")
    assert usual is not None
    assert 0 <= usual.median <= usual.p90


def test_beat_goes_on_when_the_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import beat

    from portal.celery import app
    from portal.steady_beat import SteadyScheduler

    sent: list[str] = []
    scheduler = SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"), lazy=False)
    assert app.conf.beat_scheduler == "portal.steady_beat:SteadyScheduler"
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, producer=None: sent.append(entry.name))
    monkeypatch.setattr(SteadyScheduler, "producer", None)
    true_now = app.now
    ahead = HOUR
    monkeypatch.setattr(app, "now", lambda: true_now() + ahead)
    monkeypatch.setattr(beat.ScheduleEntry, "default_now", lambda self: app.now())
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now()
    scheduler.tick()

    # An hour back, and ten seconds on.
    ahead = timedelta(0)
    scheduler.tick()
    ahead = timedelta(seconds=11)
    for _ in range(10):
        scheduler.tick()

    assert {"wake-lost-changes", "heartbeat"} <= set(sent)
    scheduler.close()
