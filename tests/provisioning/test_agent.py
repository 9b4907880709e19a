"""A change through the real agent: real Terraform, provider and machine; a small web server as the application."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.catalog.services.registering import _archive
from apps.provisioning.agent.build import agent_build
from apps.provisioning.agent.daemon import Agent
from apps.provisioning.models import Change, LogLine, ServiceStatus, StateVersion, Workspace
from apps.provisioning.selectors import workspace_outputs
from apps.provisioning.services import change_approve, change_cancel, change_request
from apps.provisioning.tasks import change_wake

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

MODULE = """
terraform {
  required_providers {
    slipway = { source = "slipway.local/slipway/slipway" }
  }
}
variable "running" { type = bool }
variable "slipway_secrets" {
  type      = object({ mlflow_tracking_token = string })
  sensitive = true
}
variable "command" { type = list(string) }
resource "slipway_volume" "home" { name = "home" }
resource "slipway_runtime" "python" { requirements = "" }
resource "slipway_service" "app" {
  name               = "app"
  running            = var.running
  volume             = slipway_volume.home.id
  runtime            = slipway_runtime.python.id
  command            = var.command
  secret_environment = { TOKEN = var.slipway_secrets.mlflow_tracking_token }
  health_path        = "/"
  health_timeout_s   = 20
}
output "address" { value = slipway_service.app.address }
output "secret" {
  value     = slipway_service.app.secret
  sensitive = true
}
"""
SERVER = ["{runtime}/bin/python", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", "{volume}"]
CANARY = "canary-5c1d0e"


class Running:
    """An agent in threads of this process, on a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.agent: Agent = agent_build(root=root)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        wait_for(lambda: self.agent.lease is not None)

    def _run(self) -> None:
        try:
            self.agent.run(end_everything=True)
        finally:
            connections.close_all()

    def stop(self) -> None:
        self.agent.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def running(tmp_path: Path, workspace: Workspace) -> Iterator[Running]:
    started = Running(tmp_path / "agent")
    yield started
    started.stop()


@pytest.fixture
def published(workspace: Workspace, tmp_path: Path) -> ModuleVersion:
    source = tmp_path / "module"
    source.mkdir()
    (source / "main.tf").write_text(MODULE)
    version = workspace.module_version
    ModuleVersion.objects.filter(pk=version.pk).update(
        archive=_archive(source), digest="1" * 64, interface={"resource_labels": {"slipway_service.app": "The app"}}
    )
    workspace.refresh_from_db()
    return version


def values(**over: Any) -> dict[str, Any]:
    return {"running": True, "command": SERVER, "slipway_secrets": {"mlflow_tracking_token": CANARY}, **over}


def wait_for(reached: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds} s: " + "\n".join(
            [*Change.objects.values_list("status", flat=True), *LogLine.objects.values_list("text", flat=True)]
        )
        time.sleep(0.1)


def request(workspace: Workspace, kind: str, person: User, **over: Any) -> Change:
    change = change_request(workspace=workspace, kind=kind, values=values(**over), requested_by=person)
    change_wake(str(change.pk))
    return change


def ended(change: Change) -> Callable[[], bool]:
    def look() -> bool:
        change.refresh_from_db()
        return not change.is_active

    return look


def test_a_launch_stop_start_and_destroy(
    running: Running, workspace: Workspace, published: ModuleVersion, dana: User, tmp_path: Path
) -> None:
    created = request(workspace, "create", dana)
    wait_for(ended(created))
    assert (created.status, created.failure_detail) == ("applied", "")
    assert created.steps_done == created.steps_total == 3
    assert CANARY not in str(created.plan)
    workspace.refresh_from_db()
    assert workspace_outputs(workspace)["address"]["value"].startswith("127.0.0.1:")
    assert StateVersion.objects.filter(workspace=workspace).exists()
    assert CANARY not in "".join(LogLine.objects.values_list("text", flat=True))
    numbers = list(LogLine.objects.filter(stream="build").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    wait_for(lambda: ServiceStatus.objects.filter(status="running").exists())

    stopped = request(workspace, "stop", dana, running=False)
    wait_for(ended(stopped))
    assert (stopped.status, stopped.failure_detail) == ("applied", "")
    wait_for(lambda: ServiceStatus.objects.filter(status="stopped").exists())
    home = tmp_path / "agent" / "volumes" / str(workspace.pk) / "home"
    (home / "kept.txt").write_text("kept")

    started = request(workspace, "start", dana)
    wait_for(ended(started))
    assert started.status == "applied"
    assert (home / "kept.txt").read_text() == "kept"

    destroyed = request(workspace, "destroy", dana)
    wait_for(ended(destroyed))
    assert (destroyed.status, destroyed.failure_detail) == ("applied", "")
    wait_for(lambda: not home.exists())


def test_a_failed_start_says_why_and_the_next_try_goes_on(
    running: Running, workspace: Workspace, published: ModuleVersion, dana: User
) -> None:
    broken = ["{runtime}/bin/python", "-c", "raise SystemExit('no such notebook')"]
    failed = request(workspace, "create", dana, command=broken)
    wait_for(ended(failed))
    assert failed.status == "failed"
    assert failed.failure_code == "provisioning:early-exit"
    assert "no such notebook" in failed.failure_detail
    again = request(workspace, "create", dana)
    wait_for(ended(again))
    assert (again.status, again.failure_detail) == ("applied", "")


def test_what_destroys_something_waits_for_a_click(
    running: Running, workspace: Workspace, published: ModuleVersion, dana: User, tmp_path: Path
) -> None:
    created = request(workspace, "create", dana)
    wait_for(ended(created))
    source = tmp_path / "module"
    text = MODULE.replace(
        'resource "slipway_volume" "home" { name = "home" }', 'resource "slipway_volume" "home" { name = "files" }'
    )
    (source / "main.tf").write_text(text)
    ModuleVersion.objects.filter(pk=published.pk).update(archive=_archive(source), digest="2" * 64)
    workspace.refresh_from_db()
    update = request(Workspace.objects.get(pk=workspace.pk), "update", dana)

    def waits() -> bool:
        update.refresh_from_db()
        return update.status != "queued" and update.status != "planning"

    wait_for(waits)
    assert update.status == "awaiting_approval", update.failure_detail
    assert any(item["action"] == "replace" for item in update.plan["resources"])
    change_approve(change=update, actor=dana, plan_hash=update.plan_hash, confirm=update.workspace.name)
    wait_for(ended(update))
    assert (update.status, update.failure_detail) == ("applied", "")


def test_a_cancel_in_the_middle_of_an_apply_keeps_what_is_in_creation(
    running: Running, workspace: Workspace, published: ModuleVersion, dana: User
) -> None:
    slow = ["{runtime}/bin/python", "-c", "import time; time.sleep(60)"]
    change = request(workspace, "create", dana, command=slow)
    wait_for(lambda: Change.objects.filter(pk=change.pk, status="applying", step="The app").exists())
    change.refresh_from_db()
    change_cancel(change=change, actor=dana)
    wait_for(ended(change))
    assert change.status == "cancelled"
    addresses = [item["address"] for item in Workspace.objects.get(pk=workspace.pk).resources]
    assert "slipway_volume.home" in addresses


def test_a_new_agent_goes_on_where_a_dead_one_was(
    workspace: Workspace, published: ModuleVersion, dana: User, tmp_path: Path
) -> None:
    """The first agent is stopped without ending anything, as a kill would, in the middle of the plan."""
    root = tmp_path / "agent"
    first = agent_build(root=root)
    thread = threading.Thread(target=lambda: (first.run(end_everything=False), connections.close_all()))
    thread.start()
    wait_for(lambda: first.lease is not None)
    change = request(workspace, "create", dana)
    wait_for(lambda: Change.objects.filter(pk=change.pk, status="planning").exists())
    first.stop()
    thread.join(30)
    second = Running(root)
    try:
        wait_for(ended(change))
        assert (change.status, change.failure_detail) == ("applied", "")
        plans = list(change.commands.filter(name="plan"))
        assert len(plans) == 1
    finally:
        second.stop()
