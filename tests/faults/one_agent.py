"""A real agent in threads of this process, on a folder of its own, with real environments: for faults below the page.

Imported inside tests and fixtures only, because Django is set up after this package is found.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.catalog.services import module_register
from apps.environments.models import Environment
from apps.environments.services import environment_destroy, environment_launch, environment_retry, environment_start
from apps.provisioning.agent.build import agent_build
from apps.provisioning.agent.daemon import Agent
from apps.provisioning.engine import Engine
from apps.provisioning.models import Change, CommandRecord, StateVersion, Workspace
from apps.provisioning.services import change_approve
from tests.factories import People, change_of

QUICK = Path(__file__).parent / "modules" / "quick"


class OneAgent:
    """Stops at the end of its block: changes are cancelled, services ended."""

    def __init__(self, root: Path, *, engine: Engine | None = None, name: str = "box", started: bool = True) -> None:
        self.root = root
        self.agent: Agent = agent_build(root=root)
        self.agent.name = name
        self.agent.engine = engine or self.agent.engine
        self.problem: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        if started:
            until(lambda: self.agent.lease is not None or self.problem is not None)

    def _run(self) -> None:
        try:
            self.agent.run(end_everything=True)
        except BaseException as error:
            self.problem = error
        finally:
            connections.close_all()

    def stop(self) -> None:
        self.agent.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


@contextmanager
def agent_running(root: Path, **options: Any) -> Iterator[OneAgent]:
    agent = OneAgent(root, **options)
    try:
        yield agent
    finally:
        agent.stop()


def quick_launch(
    people: People,
    *,
    name: str = "quick",
    version: ModuleVersion | None = None,
    ttl_seconds: int | None = None,
    **knobs: Any,
) -> Environment:
    """Asks for the launch of a small server; knobs are the module's variables."""
    return environment_launch(
        actor=people.dana,
        team=people.vision,
        module_version=version or module_register(path=QUICK, actor=None),
        name=name,
        inputs={"python": os.path.realpath(sys._base_executable), **knobs},  # type: ignore[attr-defined]
        ttl_seconds=ttl_seconds,
    )


def until(reached: Callable[[], Any], seconds: float = 60, what: Callable[[], Any] = lambda: "") -> Any:
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.02)
    return found


def story(environment: Environment) -> list[Any]:
    environment.refresh_from_db()
    changes = Change.objects.filter(workspace_id=environment.pk).order_by("created_at")
    fields = ("kind", "status", "step", "failure_code", "failure_summary", "failure_detail")
    return [(environment.status, environment.failure, environment.status_reason), *changes.values_list(*fields)]


def reach(environment: Environment, status: str, *, step: str = "") -> Change:
    """The newest change once it has that status, and that step of the apply where one is named."""

    def there() -> Change | None:
        change = change_of(environment)
        assert change.is_active or change.status == status, story(environment)
        return change if change.status == status and (not step or change.step == step) else None

    change: Change = until(there, what=lambda: story(environment))
    return change


def settled(environment: Environment, *wanted: str) -> str:
    """The environment's status once no change is going on, or one waits for a click."""
    waits = Change.Status.AWAITING_APPROVAL
    until(
        lambda: not (now := change_of(environment)).is_active or now.status == waits,
        90,
        what=lambda: story(environment),
    )
    environment.refresh_from_db()
    assert not wanted or environment.status in wanted, story(environment)
    return environment.status


def state_names(environment: Environment) -> set[str]:
    """The addresses in the state, as the page shows them."""
    return {item["address"] for item in Workspace.objects.get(pk=environment.pk).resources}


def lead_on(environment: Environment, owner: User) -> None:
    """What the page offers, pressed until it runs."""
    for _ in range(4):
        status = settled(environment)
        if status == "running":
            return
        if status == "awaiting_approval":
            change = change_of(environment)
            change_approve(change=change, actor=owner, plan_hash=change.plan_hash)
            until(lambda pk=change.pk: not Change.objects.get(pk=pk).is_active, 90)
            continue
        press = environment_retry if status == "failed" else environment_start
        press(environment=environment, actor=owner)
    settled(environment, "running")


def destroy(environment: Environment, owner: User, root: Path) -> None:
    """Destroyed, again where it was cut off, and nothing is left on the machine."""
    for _ in range(3):
        if settled(environment) == "destroyed":
            break
        environment_destroy(environment=environment, actor=owner, confirm=environment.name)
    settled(environment, "destroyed")
    until(lambda: not list(root.glob(f"*/{environment.pk}")), 10, what=lambda: list(root.glob(f"*/{environment.pk}")))
    assert state_names(environment) == set()
    nothing_twice(environment)


def nothing_twice(environment: Environment) -> None:
    """Each change was applied once at most, and no two states share a serial."""
    for change in Change.objects.filter(workspace_id=environment.pk):
        applied = CommandRecord.objects.filter(change=change, name="apply", exit_code=0).count()
        assert applied <= 1, (change.kind, applied)
        assert change.finished_at is None or change.created_at <= change.finished_at
    versions = StateVersion.objects.filter(workspace_id=environment.pk).order_by("id")
    serials = list(versions.values_list("lineage", "serial"))
    assert len(serials) == len(set(serials)), serials
