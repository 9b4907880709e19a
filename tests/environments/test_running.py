import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.crypto import decrypt_json
from apps.core.exceptions import InvalidInput, NotAllowed
from apps.environments.exceptions import ConfirmationMissing, EnvironmentBusy, LaunchInvalid, WrongStatus
from apps.environments.models import Environment
from apps.environments.services import (
    environment_destroy,
    environment_extend,
    environment_refresh,
    environment_retry,
    environment_start,
    environment_stop,
    environment_update,
    environment_upgrade,
)
from apps.environments.tasks import environments_stop_expired
from apps.notifications.models import Notification
from apps.provisioning.models import Change
from tests.factories import NOTEBOOK_VERSION, People, change_drive, change_of, notebook_version


def stopped(people: People, environment: Environment) -> Environment:
    environment_stop(environment=environment, actor=people.dana)
    change_drive(change_of(environment))
    environment.refresh_from_db()
    return environment


def test_stop_and_start_go_through_changes_with_the_same_inputs(people: People, running: Environment) -> None:
    asked = environment_stop(environment=running, actor=people.dana)
    assert asked.status == "stopping"
    stop = change_of(running)
    values = decrypt_json(bytes(stop.values))
    assert values["slipway"]["running"] is False
    change_drive(stop)
    running.refresh_from_db()
    assert (running.status, running.desired_running, running.expires_at) == ("stopped", False, None)
    assert running.status_reason == "Stopped by Dana"

    environment_start(environment=running, actor=people.dana)
    start = change_of(running)
    again = decrypt_json(bytes(start.values))
    assert again.pop("slipway") == {**values.pop("slipway"), "running": True}
    assert again == values
    change_drive(start)
    running.refresh_from_db()
    assert running.status == "running"
    assert running.expires_at > timezone.now() + timedelta(hours=7)


def test_what_is_asked_twice_is_done_once(people: People, running: Environment) -> None:
    for _ in range(2):
        environment_stop(environment=running, actor=people.dana)
    change_drive(change_of(running))
    environment_stop(environment=running, actor=people.dana)
    assert Change.objects.filter(kind="stop").count() == 1
    for _ in range(2):
        environment_start(environment=running, actor=people.dana)
    assert Change.objects.filter(kind="start").count() == 1
    change_drive(change_of(running))
    for _ in range(2):
        environment_destroy(environment=running, actor=people.dana, confirm="nb")
    change_drive(change_of(running))
    environment_destroy(environment=running, actor=people.dana)
    assert Change.objects.filter(kind="destroy").count() == 1


def test_what_is_busy_says_with_what(people: People, queued: Environment) -> None:
    with pytest.raises(EnvironmentBusy, match="still being built"):
        environment_stop(environment=queued, actor=people.dana)
    with pytest.raises(EnvironmentBusy):
        environment_destroy(environment=queued, actor=people.dana)
    with pytest.raises(EnvironmentBusy):
        environment_refresh(environment=queued, actor=people.dana)


@pytest.mark.django_db(transaction=True)
def test_of_two_stops_at_once_one_change_comes(people: People, running: Environment) -> None:
    failures: list[Exception] = []
    together = threading.Barrier(2)

    def stop() -> None:
        try:
            together.wait(5)
            environment_stop(environment=running, actor=people.dana)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=stop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert Change.objects.filter(kind="stop").count() == 1
    assert AuditEvent.objects.filter(action="environments:environment:stop").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_stop_and_a_destroy_at_once_do_not_both_begin(people: People, running: Environment) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def run(action: str) -> None:
        try:
            together.wait(5)
            if action == "stop":
                environment_stop(environment=running, actor=people.dana)
            else:
                environment_destroy(environment=running, actor=people.dana, confirm="nb")
            outcomes.append("done")
        except EnvironmentBusy:
            outcomes.append("busy")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(action,)) for action in ("stop", "destroy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["busy", "done"]
    assert Change.objects.active().count() == 1


def test_destroying_what_has_files_wants_the_name(people: People, running: Environment) -> None:
    for confirm in ("", "NB", "other"):
        with pytest.raises(ConfirmationMissing) as caught:
            environment_destroy(environment=running, actor=people.dana, confirm=confirm)
        assert "confirm" in caught.value.errors
    environment_destroy(environment=running, actor=people.dana, confirm="nb")
    change_drive(change_of(running))
    running.refresh_from_db()
    assert running.status == "destroyed"
    assert running.destroyed_at
    assert running.secrets_cipher is None


def test_a_destroy_ends_the_environments_own_token(people: People, running: Environment) -> None:
    from apps.accounts.models import ApiToken

    tokens = ApiToken.objects.filter(environment_id=running.pk)
    assert [token.is_usable for token in tokens] == [True]
    environment_destroy(environment=running, actor=people.dana, confirm="nb")
    change_drive(change_of(running))
    assert [token.is_usable for token in tokens.all()] == [False]


def test_nothing_needs_a_name_where_nothing_was_built(people: People, queued: Environment) -> None:
    change_drive(change_of(queued), "failed", code="provisioning:terraform")
    assert environment_destroy(environment=queued, actor=people.dana).status == "destroying"


def test_a_destroyed_environment_stays_destroyed(people: People, running: Environment) -> None:
    environment_destroy(environment=running, actor=people.dana, confirm="nb")
    change_drive(change_of(running))
    for act in (environment_start, environment_stop, environment_refresh, environment_retry):
        with pytest.raises(WrongStatus):
            act(environment=running, actor=people.dana)


ROLES = [
    ("stop", {"dana", "mira", "pete"}),
    ("start", {"dana"}),
    ("extend", {"dana"}),
    ("destroy", {"dana", "pete"}),
    ("update", {"dana"}),
    ("refresh", {"dana", "pete"}),
]


@pytest.mark.parametrize(("verb", "allowed"), ROLES)
@pytest.mark.parametrize("name", ["dana", "mira", "pete", "ada", "mallory"])
def test_who_may_do_what(people: People, running: Environment, verb: str, allowed: set[str], name: str) -> None:
    user = getattr(people, name)
    acts = {
        "stop": lambda: environment_stop(environment=running, actor=user),
        "start": lambda: environment_start(environment=running, actor=user),
        "extend": lambda: environment_extend(environment=running, actor=user, seconds=3600),
        "destroy": lambda: environment_destroy(environment=running, actor=user, confirm="nb"),
        "update": lambda: environment_update(environment=running, actor=user, inputs={"memory_gb": 3}),
        "refresh": lambda: environment_refresh(environment=running, actor=user),
    }
    if name in allowed:
        acts[verb]()
        return
    with pytest.raises(NotAllowed):
        acts[verb]()
    assert not Change.objects.active().exists()


def test_what_is_done_for_somebody_else_is_marked(people: People, running: Environment) -> None:
    environment_stop(environment=running, actor=people.pete)
    event = AuditEvent.objects.get(action="environments:environment:stop")
    assert (event.actor, event.after["owner"], event.after["break_glass"]) == (people.pete, "dana", True)


# The stop time -------------------------------------------------------------------------------------------------------


def test_extending_moves_the_stop_time_within_the_modules_maximum(people: People, running: Environment) -> None:
    before = running.expires_at
    environment_extend(environment=running, actor=people.dana, seconds=7200)
    running.refresh_from_db()
    assert running.expires_at == before + timedelta(hours=2)
    until = timezone.now() + timedelta(days=3)
    environment_extend(environment=running, actor=people.dana, until=until)
    running.refresh_from_db()
    assert running.expires_at == until
    with pytest.raises(InvalidInput) as caught:
        environment_extend(environment=running, actor=people.dana, seconds=7 * 86_400)
    assert "seconds" in caught.value.errors
    with pytest.raises(InvalidInput):
        environment_extend(environment=running, actor=people.dana, until=timezone.now() - timedelta(hours=1))
    event = AuditEvent.objects.filter(action="environments:environment:extend").latest("id")
    assert event.after["expires_at"] == until.isoformat()


def due_in(environment: Environment, minutes: float) -> None:
    Environment.objects.filter(pk=environment.pk).update(expires_at=timezone.now() + timedelta(minutes=minutes))


def test_the_owner_is_warned_once_for_each_stop_time(people: People, running: Environment) -> None:
    due_in(running, 14)
    for _ in range(3):
        environments_stop_expired()
    warning = Notification.objects.get(user=people.dana)
    assert "stops in 14 min" in warning.text
    assert running.status == "running"
    environment_extend(environment=running, actor=people.dana, seconds=7200)
    environments_stop_expired()
    assert Notification.objects.count() == 1
    due_in(running, 5)
    environments_stop_expired()
    assert Notification.objects.count() == 2


def test_what_is_due_is_stopped_and_says_why(people: People, running: Environment) -> None:
    due_in(running, -1)
    for _ in range(2):
        environments_stop_expired()
    stop = Change.objects.get(kind="stop")
    assert stop.requested_by is None
    change_drive(stop)
    running.refresh_from_db()
    assert running.status_reason.startswith("Its stop time, ")
    assert "nb stopped: its stop time" in Notification.objects.get(key=f"change:{stop.pk}").text


def test_what_is_busy_is_stopped_later(people: People, running: Environment) -> None:
    environment_refresh(environment=running, actor=people.dana)
    due_in(running, -1)
    environments_stop_expired()
    assert not Change.objects.filter(kind="stop").exists()
    change_drive(change_of(running))
    environments_stop_expired()
    assert Change.objects.filter(kind="stop").exists()


def test_a_stop_time_that_was_moved_meanwhile_stops_nothing(people: People, running: Environment) -> None:
    from apps.environments.services.lifetime import environment_expire

    due_in(running, -1)
    running.refresh_from_db()
    due_in(running, 60)
    assert environment_expire(environment=running) is False


# Inputs and versions -------------------------------------------------------------------------------------------------


def test_new_inputs_are_checked_and_become_an_update(people: People, running: Environment) -> None:
    with pytest.raises(LaunchInvalid):
        environment_update(environment=running, actor=people.dana, inputs={"memory_gb": -1})
    environment_update(environment=running, actor=people.dana, inputs={"memory_gb": 8, "cpu": 2})
    change = change_of(running)
    assert (change.kind, decrypt_json(bytes(change.values))["memory_gb"]) == ("update", 8)
    change_drive(change)
    running.refresh_from_db()
    assert (running.status, running.preset, running.inputs["memory_gb"]) == ("running", "large", 8)
    assert running.settled_cipher is None


def test_an_update_of_a_stopped_environment_leaves_it_stopped(people: People, running: Environment) -> None:
    stopped(people, running)
    environment_update(environment=running, actor=people.dana, inputs={"memory_gb": 3})
    change = change_of(running)
    assert decrypt_json(bytes(change.values))["slipway"]["running"] is False
    change_drive(change)
    running.refresh_from_db()
    assert running.status == "stopped"


def test_the_same_inputs_change_nothing(people: People, running: Environment) -> None:
    environment_update(environment=running, actor=people.dana, inputs=dict(running.inputs))
    assert change_of(running).kind == "create"


@pytest.mark.parametrize("end", ["discarded", "cancelled"])
def test_an_update_that_comes_to_nothing_leaves_the_inputs_as_they_were(
    people: People, running: Environment, end: str
) -> None:
    before = running.inputs
    environment_update(environment=running, actor=people.dana, inputs={"memory_gb": 8})
    change = change_of(running)
    change_drive(change, "planning")
    change_drive(change, "awaiting_approval", plan_hash="a" * 64)
    running.refresh_from_db()
    assert running.status == "awaiting_approval"
    assert Notification.objects.filter(user=people.dana, level="action").count() == 1
    change_drive(change, end)
    running.refresh_from_db()
    assert (running.status, running.inputs) == ("running", before)
    environment_stop(environment=running, actor=people.dana)
    assert decrypt_json(bytes(change_of(running).values))["memory_gb"] == 2


def test_secrets_that_come_back_empty_or_masked_stay(people: People) -> None:
    from tests.factories import environment_running

    environment = environment_running(people, inputs={"secret_variables": {"TOKEN": "s3cr3t-value"}})
    masked = environment.inputs["secret_variables"]
    environment_update(environment=environment, actor=people.dana, inputs={"secret_variables": masked, "memory_gb": 3})
    values = decrypt_json(bytes(change_of(environment).values))
    assert values["secret_variables"] == {"TOKEN": "s3cr3t-value"}


def test_an_upgrade_drops_inputs_that_the_new_version_does_not_know(people: People, running: Environment) -> None:
    environment_update(environment=running, actor=people.dana, inputs={"disk_gb": 20})
    change_drive(change_of(running))
    old = running.module_version
    kept = [variable for variable in old.interface["variables"] if variable["name"] != "disk_gb"]
    new = notebook_version(version="2.0.0", interface={**old.interface, "version": "2.0.0", "variables": kept})
    environment_upgrade(environment=running, actor=people.dana)
    change = change_of(running)
    assert change.module_version == new
    assert "disk_gb" not in decrypt_json(bytes(change.values))
    change_drive(change)
    running.refresh_from_db()
    assert running.module_version == new


def test_an_old_version_goes_on_when_the_new_one_drops_an_input(people: People, running: Environment) -> None:
    notebook_version(version="2.0.0")
    stopped(people, running)
    environment_start(environment=running, actor=people.dana)
    assert change_of(running).module_version.version == NOTEBOOK_VERSION
