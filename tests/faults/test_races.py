"""The same thing asked for twice at once, on the real PostgreSQL: it is done once, and the loser hears why."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

if TYPE_CHECKING:
    from tests.factories import People

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

ROUNDS = [0, *(pytest.param(turn, marks=pytest.mark.matrix) for turn in range(1, 8))]


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each returned, or the exception it raised; all begin together."""
    barrier, results = threading.Barrier(len(works)), [None] * len(works)

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[index] = work()
        except Exception as error:
            results[index] = error  # type: ignore[call-overload]
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def browser(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def token(person: Any) -> str:
    from apps.accounts.services import token_create

    in_a_week = timezone.now() + timedelta(days=7)
    return token_create(user=person, name="t", scopes=["read", "write"], expires_at=in_a_week)[1]


def post(secret: str, body: Any, path: str = "environments/", key: str = "") -> Any:
    headers = {"Authorization": f"Bearer {secret}", **({"Idempotency-Key": key} if key else {})}
    return Client().post(f"/api/v1/{path}", body, "application/json", headers=headers)


def wish(name: str) -> dict[str, Any]:
    return {"name": name, "team": "vision", "module": "local-notebook", "preset": "small"}


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_form_sent_twice_at_once_launches_once(people: "People", turn: int) -> None:
    from apps.environments.models import Environment
    from apps.provisioning.models import Change
    from tests.environments.test_launch_pages import URL, filled
    from tests.factories import notebook_version

    notebook_version()
    form = filled(browser(people.dana))
    clicks = [browser(people.dana) for _ in range(4)]

    answers = at_once(*(lambda client=client: client.post(URL, form) for client in clicks))

    assert [answer.status_code for answer in answers] == [302] * 4, answers
    assert len({answer["Location"] for answer in answers}) == 1
    assert (Environment.objects.count(), Change.objects.count()) == (1, 1)


@pytest.mark.parametrize("turn", ROUNDS)
def test_one_idempotency_key_at_once_launches_once(people: "People", turn: int) -> None:
    from apps.environments.models import Environment
    from apps.provisioning.models import Change
    from tests.factories import notebook_version

    notebook_version()
    secret = token(people.dana)

    answers = at_once(*[lambda: post(secret, wish("nb"), key="k-1")] * 4)

    assert [answer.status_code for answer in answers] == [201] * 4, [answer.content for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
    assert (Environment.objects.count(), Change.objects.count()) == (1, 1)


@pytest.mark.parametrize("turn", ROUNDS)
def test_one_name_at_once_is_given_once_and_the_other_hears_it(people: "People", turn: int) -> None:
    from apps.environments.models import Environment
    from tests.factories import notebook_version

    notebook_version()
    secret = token(people.dana)

    answers = at_once(*[lambda: post(secret, wish("nb"))] * 3)

    assert sorted(answer.status_code for answer in answers) == [201, 400, 400]
    refused = [answer.json() for answer in answers if answer.status_code == 400]
    assert {problem["code"] for problem in refused} == {"environments:name-taken"}
    assert Environment.objects.count() == 1


@pytest.mark.parametrize("turn", ROUNDS)
def test_stop_and_destroy_at_once_are_one_change(people: "People", turn: int) -> None:
    from apps.provisioning.models import Change
    from tests.factories import environment_running

    environment = environment_running(people)
    secret, path = token(people.dana), f"environments/{environment.pk}/"

    answers = at_once(
        lambda: post(secret, {}, f"{path}stop/"),
        lambda: post(secret, {"confirm": environment.name}, f"{path}destroy/"),
        lambda: post(secret, {}, f"{path}stop/"),
    )

    active = Change.objects.active().get(workspace_id=environment.pk)
    for answer, kind in zip(answers, ("stop", "destroy", "stop"), strict=True):
        if kind == active.kind:
            assert answer.status_code == 200, answer.content
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "environments:busy")
            assert answer.json()["detail"]


@pytest.mark.parametrize("turn", ROUNDS)
def test_workers_and_agents_that_place_one_change_agree(people: "People", turn: int) -> None:
    from apps.provisioning.leases import lease_acquire
    from apps.provisioning.models import Change
    from apps.provisioning.placing import changes_place_waiting
    from apps.provisioning.tasks import change_wake, changes_wake
    from tests.factories import change_of, environment_make

    environment = environment_make(people)
    for name in ("one", "two"):
        lease_acquire(machine_name=name)
    change = change_of(environment)

    results = at_once(
        *[lambda: change_wake(str(change.pk))] * 2, changes_wake, changes_place_waiting, changes_place_waiting
    )

    assert not [result for result in results if isinstance(result, Exception)], results
    stored = Change.objects.select_related("workspace").get(pk=change.pk)
    assert stored.machine_id is not None
    assert stored.machine_id == stored.workspace.machine_id


def test_an_agent_that_slept_through_its_lease_begins_nothing(people: "People", tmp_path: Path) -> None:
    """Paused for longer than its lease, it wakes beside its successor with a change in line before it."""
    from apps.provisioning.agent.change_run import ChangeRun
    from apps.provisioning.exceptions import LeaseLost
    from apps.provisioning.leases import Lease, lease_acquire
    from apps.provisioning.models import Machine
    from apps.provisioning.tasks import change_wake
    from tests.factories import change_of, environment_make

    asleep = lease_acquire(machine_name="box")
    Machine.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    awake = lease_acquire(machine_name="box")
    change = change_of(environment_make(people))
    change_wake(str(change.pk))

    def begin(lease: Lease | None) -> bool:
        from unittest.mock import Mock

        context = Mock(root=tmp_path, lease=lease)
        context.engine.kind, context.engine.version = "terraform", "1"
        return ChangeRun(context, change_of(environment)).tick()

    environment = change.workspace
    with pytest.raises(LeaseLost):
        begin(asleep)
    change.refresh_from_db()
    assert (change.status, change.fence) == ("queued", None)
    begin(awake)
    change.refresh_from_db()
    assert (change.status, change.fence) == ("planning", awake.fence if awake else 0)


def test_two_agents_of_one_name_take_turns(people: "People", tmp_path: Path) -> None:
    """Started twice by mistake, in two folders: the second waits, and Terraform runs once."""
    from tests.faults.one_agent import agent_running, nothing_twice, quick_launch, reach, settled, until

    with agent_running(tmp_path / "a") as first, agent_running(tmp_path / "b", started=False) as second:
        environment = quick_launch(people, health_s=1)
        reach(environment, "applying")
        assert settled(environment) == "running"
        assert second.agent.lease is None
        assert not list((tmp_path / "b" / "workspaces").glob("*"))
        nothing_twice(environment)
        first.stop()
        until(lambda: second.agent.lease is not None, 10)


def test_two_agents_in_one_folder_are_one(people: "People", tmp_path: Path) -> None:
    from apps.provisioning.agent.daemon import AlreadyRunning
    from tests.faults.one_agent import agent_running

    with agent_running(tmp_path / "a") as first:
        with agent_running(tmp_path / "a") as second:
            assert isinstance(second.problem, AlreadyRunning)
        assert first.thread.is_alive()
