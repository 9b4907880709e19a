"""Cancel at every stage of a change, with every engine: what was being created is in the state; the way leads on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.conftest import ENGINES

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from apps.provisioning.engine import Engine
    from apps.provisioning.models import Change
    from tests.factories import People
    from tests.faults.one_agent import OneAgent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(240)]

FIRST = ENGINES[0]


def matrix(*stages: str, quick: tuple[str, ...] = ()) -> list[object]:
    """Every stage with every engine; `quick` ones with the first engine run in every suite."""
    return [
        pytest.param(engine, stage, id=f"{engine.source}-{engine.kind}-{stage}",
                     marks=[] if engine is FIRST and stage in quick else [pytest.mark.matrix])
        for engine in ENGINES
        for stage in stages
    ]  # fmt: skip


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def start(tmp_path: Path) -> "Iterator[Callable[[Engine], OneAgent]]":
    from tests.faults.one_agent import OneAgent

    agents: list[OneAgent] = []

    def begin(engine: "Engine") -> "OneAgent":
        agents.append(OneAgent(tmp_path / "agent", engine=engine))
        return agents[-1]

    yield begin
    for agent in agents:
        agent.stop()


def cancel(change: "Change", people: "People") -> None:
    from apps.provisioning.services import change_cancel

    change_cancel(change=change, actor=people.dana)


def begun(environment: "Environment") -> set[str]:
    """The addresses that Terraform has said to be creating."""
    from apps.provisioning.models import LogLine

    texts = LogLine.objects.filter(workspace_id=environment.pk).values_list("text", flat=True)
    return {text.partition(":")[0] for text in texts if text.endswith(": Creating...")}


def made(environment: "Environment", agent: "OneAgent") -> set[str]:
    """The addresses of what is on the machine."""
    folders = (("volume", agent.root / "volumes"), ("service", agent.root / "services"))
    return {
        f"slipway_{kind}.{path.name}"
        for kind, folder in folders
        for path in (folder / str(environment.pk)).glob("*")
        if path.is_dir()
    }


def finish(environment: "Environment", people: "People", agent: "OneAgent", *, led: bool) -> None:
    """With `led` it is started again first; in any case it can be destroyed and leaves nothing."""
    from tests.faults.one_agent import destroy, lead_on, nothing_twice

    if led:
        lead_on(environment, people.dana)
        nothing_twice(environment)
    destroy(environment, people.dana, agent.root)


@pytest.mark.parametrize(
    ("engine", "stage"),
    matrix("queued", "planning", "creating", "waiting for health", quick=("waiting for health",)),
)
def test_cancelling_a_launch(
    start: "Callable[[Engine], OneAgent]", people: "People", engine: "Engine", stage: str
) -> None:
    from tests.faults.one_agent import quick_launch, reach, settled, state_names, until

    if stage == "queued":
        environment = quick_launch(people)
        cancel(reach(environment, "queued"), people)
        settled(environment, "failed")
        agent = start(engine)
    else:
        agent = start(engine)
        knobs = {"creating": {"build_s": 3}, "waiting for health": {"health_s": 3}, "settling": {"settle_s": 3}}
        environment = quick_launch(people, **knobs.get(stage, {}))
        steps = {"creating": "Building", "waiting for health": "The server", "settling": "Settling"}
        change = reach(environment, "applying" if stage in steps else "planning", step=steps.get(stage, ""))
        if stage == "creating":
            # The two are begun at once, so that one step says nothing of the other.
            until(lambda: begun(environment) >= {"slipway_volume.home", "terraform_data.build"})
        cancel(change, people)
        # A second click changes nothing.
        cancel(change, people)
        status = settled(environment)
        change.refresh_from_db()
        # Where only the last resource was under way, it may be finished before Terraform hears of it.
        done = stage == "settling" and (change.status, status) == ("applied", "running")
        assert done or (change.status, status, environment.failure) == ("cancelled", "failed", "cancel")
        in_creation = {
            "creating": {"slipway_volume.home", "terraform_data.build"},
            "waiting for health": {"slipway_volume.home", "slipway_service.app"},
            "settling": {"slipway_service.app"},
        }
        assert in_creation.get(stage, set()) <= state_names(environment), state_names(environment)
        assert made(environment, agent) <= state_names(environment), "something exists that the state does not know"
    finish(environment, people, agent, led=engine is FIRST)


@pytest.mark.parametrize(
    ("engine", "stage"), matrix("stop planning", "stopping", "starting", "destroying", quick=("destroying",))
)
def test_cancelling_what_is_done_to_a_running_one(
    start: "Callable[[Engine], OneAgent]", people: "People", engine: "Engine", stage: str
) -> None:
    from apps.environments.services import environment_destroy, environment_start, environment_stop
    from tests.faults.one_agent import quick_launch, reach, settled

    agent = start(engine)
    environment = quick_launch(people, health_s=2, stop_s=2, destroy_s=2)
    settled(environment, "running")
    if stage in ("stopping", "stop planning", "starting"):
        environment_stop(environment=environment, actor=people.dana)
    if stage == "starting":
        settled(environment, "stopped")
        environment_start(environment=environment, actor=people.dana)
    elif stage == "destroying":
        environment_destroy(environment=environment, actor=people.dana, confirm=environment.name)

    change = reach(environment, "planning" if stage == "stop planning" else "applying")
    cancel(change, people)
    status = settled(environment)

    change.refresh_from_db()
    assert change.status in ("cancelled", "applied"), change.failure_detail
    if stage == "stop planning":
        assert (change.status, status) == ("cancelled", "running")
    finish(environment, people, agent, led=status != "destroyed" and stage != "destroying")


@pytest.mark.parametrize(("engine", "stage"), matrix("kill", quick=("kill",)))
def test_a_kill_after_a_cancel_that_was_not_heeded(
    start: "Callable[[Engine], OneAgent]", people: "People", engine: "Engine", stage: str
) -> None:
    """Confirmed by a platform engineer; what was finished is in the state, and the rest is made anew."""
    from apps.provisioning.exceptions import KillNotAllowed
    from apps.provisioning.services import change_kill_confirm
    from tests.faults.one_agent import quick_launch, reach, settled, state_names, until

    agent = start(engine)
    environment = quick_launch(people, build_s=30)
    change = reach(environment, "applying", step="Building")
    # Terraform has written down what it made before the step that takes long.
    until(lambda: any("slipway_volume" in state.read_text() for state in agent.root.rglob("terraform.tfstate")))
    with pytest.raises(KillNotAllowed):
        change_kill_confirm(change=change, actor=people.pete)
    cancel(change, people)
    with pytest.raises(KillNotAllowed):
        change_kill_confirm(change=change, actor=people.dana)
    change_kill_confirm(change=change, actor=people.pete)
    settled(environment, "failed")
    change.refresh_from_db()
    assert change.status == "cancelled"
    assert "slipway_volume.home" in state_names(environment)
    assert not _processes_of(str(environment.pk))
    finish(environment, people, agent, led=False)


def _processes_of(workspace: str) -> list[str]:
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if workspace in command:
            found.append(command)
    return found
