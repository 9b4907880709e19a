"""Versions on the real agent with the real Terraform: files outlive an upgrade, nothing is lost or taken unasked."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from tests.factories import People
    from tests.faults.one_agent import OneAgent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture
def agent(tmp_path: Path, people: "People") -> Iterator["OneAgent"]:
    from tests.faults.one_agent import agent_running

    with agent_running(tmp_path / "agent") as running:
        yield running


def volume(agent: "OneAgent", environment: "Environment", name: str = "home") -> Path:
    return agent.agent.root / "volumes" / str(environment.pk) / name


def test_an_upgrade_keeps_the_files_and_a_version_that_would_not_is_caught(
    agent: "OneAgent", people: "People", tmp_path: Path
) -> None:
    from apps.environments.services import environment_stop, environment_upgrade
    from apps.environments.services.rollouts import rollout_advance, rollout_start
    from apps.provisioning.exceptions import ConfirmationMissing
    from apps.provisioning.services import change_approve
    from tests.factories import change_of
    from tests.faults.one_agent import destroy, quick_launch, reach, settled
    from tests.faults.versions import drops_message, moves_everything, quick_version

    environment = quick_launch(people, message="old words")
    settled(environment, "running")
    kept = volume(agent, environment) / "work.txt"
    kept.write_text("a day's work")
    second = quick_version(tmp_path, "2.0.0", drops_message)
    environment_upgrade(
        environment=environment, actor=people.dana, module_version=second, inputs={"greeting": "new words"}
    )
    settled(environment, "running")
    assert environment.module_version == second
    assert kept.read_text() == "a day's work"

    # Stopped, and moved by a rollout to a version that makes the volume anew.
    environment_stop(environment=environment, actor=people.dana)
    settled(environment, "stopped")
    third = quick_version(tmp_path, "3.0.0", moves_everything)
    rollout = rollout_start(actor=people.pete, version=third)
    rollout_advance(rollout_id=rollout.pk)
    change = reach(environment, "awaiting_approval")
    rollout_advance(rollout_id=rollout.pk)
    assert rollout.items.get().state == "waiting_for_confirmation"
    (lost,) = change.plan["lost"]
    assert (lost["address"], lost["label"]) == ("slipway_volume.home", "Your files")
    assert lost["size_bytes"] >= len("a day's work")
    with pytest.raises(ConfirmationMissing):
        change_approve(change=change, actor=people.dana, plan_hash=change.plan_hash)
    assert kept.exists()
    change_approve(change=change, actor=people.dana, plan_hash=change.plan_hash, confirm=environment.name)
    settled(environment, "stopped")
    assert not kept.exists()
    assert (volume(agent, environment, "files") / "server.py").exists()
    rollout_advance(rollout_id=rollout.pk)
    rollout.refresh_from_db()
    assert (rollout.state, rollout.items.get().state) == ("finished", "done")
    assert change_of(environment).kind == "update"
    destroy(environment, people.dana, agent.agent.root)


def remembers(path: Path) -> None:
    """A resource that can be imported by any id, beside the server."""
    from tests.faults.versions import append

    append(path / "main.tf", '\nresource "terraform_data" "bucket" {}\n')
    append(path / "module.yaml", "\ntakeover:\n  terraform_data.bucket: Its id, as the old script printed it.\n")


def test_what_exists_is_taken_over_after_a_look_and_a_wrong_id_loses_nothing(
    agent: "OneAgent", people: "People", tmp_path: Path
) -> None:
    import os
    import sys

    from apps.environments.services import environment_launch, environment_refresh, environment_take_over
    from apps.provisioning.imports import IMPORTS_FILE, Import
    from apps.provisioning.models import Workspace
    from apps.provisioning.services import change_approve
    from tests.factories import change_of
    from tests.faults.one_agent import destroy, reach, settled, until
    from tests.faults.versions import quick_version

    environment = environment_launch(
        actor=people.dana,
        team=people.vision,
        module_version=quick_version(tmp_path, "2.0.0", remembers),
        name="taken",
        inputs={"python": os.path.realpath(sys._base_executable)},  # type: ignore[attr-defined]
        imports=[Import("terraform_data.bucket", "kept-by-hand")],
    )
    change = reach(environment, "awaiting_approval")
    taken = next(item for item in change.plan["resources"] if item["address"] == "terraform_data.bucket")
    assert (taken["action"], taken["importing"]) == ("import", "kept-by-hand")
    change_approve(change=change, actor=people.dana, plan_hash=change.plan_hash)
    settled(environment, "running")
    work = agent.agent.root / "workspaces" / str(environment.pk) / "work"
    until(lambda: not (work / IMPORTS_FILE).exists(), 10)
    found = {item["address"]: item for item in Workspace.objects.get(pk=environment.pk).resources}
    assert "terraform_data.bucket" in found
    assert "kept-by-hand" in (work / "terraform.tfstate").read_text()

    environment_refresh(environment=environment, actor=people.dana)
    until(lambda: change_of(environment).status == "applied" and change_of(environment).kind == "refresh")
    assert change_of(environment).plan["drift"] == []

    # An address that the module does not have: what runs goes on.
    state_before = (work / "terraform.tfstate").read_text()
    environment_take_over(
        environment=environment,
        actor=people.pete,
        imports=[Import("slipway_volume.home[0]", "00000000-0000-0000-0000-000000000000/home")],
    )
    until(lambda: not change_of(environment).is_active, 60)
    change = change_of(environment)
    assert (change.status, change.failure_code) == ("failed", "provisioning:import"), change.failure_detail
    environment.refresh_from_db()
    assert environment.status == "running"
    assert "could not be found or read" in environment.status_reason
    assert (work / "terraform.tfstate").read_text() == state_before
    assert not (work / IMPORTS_FILE).exists()
    destroy(environment, people.dana, agent.agent.root)


@pytest.mark.matrix
def test_a_launch_with_a_wrong_id_builds_nothing_and_takes_the_right_one_next(
    agent: "OneAgent", people: "People", tmp_path: Path
) -> None:
    import os
    import sys

    from apps.environments.services import environment_launch, environment_retry, environment_take_over
    from apps.provisioning.imports import Import
    from apps.provisioning.services import change_reject
    from tests.factories import MembershipFactory, change_of
    from tests.faults.one_agent import destroy, reach, settled, state_names
    from tests.faults.versions import quick_version

    MembershipFactory(user=people.pete, team=people.vision)
    environment = environment_launch(
        actor=people.pete,
        team=people.vision,
        module_version=quick_version(tmp_path, "2.0.0", remembers),
        name="taken",
        inputs={"python": os.path.realpath(sys._base_executable)},  # type: ignore[attr-defined]
        imports=[Import("slipway_volume.home", "none")],
    )
    settled(environment, "failed")
    assert change_of(environment).failure_code == "provisioning:import"
    assert state_names(environment) == set()
    environment_retry(environment=environment, actor=people.pete)
    settled(environment, "failed")
    assert change_of(environment).imports == [{"to": "slipway_volume.home", "id": "none"}]
    environment_take_over(
        environment=environment, actor=people.pete, imports=[Import("terraform_data.bucket", "right")]
    )
    assert reach(environment, "awaiting_approval").kind == "create"
    change_reject(change=change_of(environment), actor=people.pete)
    destroy(environment, people.pete, agent.agent.root)
