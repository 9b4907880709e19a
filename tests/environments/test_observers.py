from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core.models import LiveEvent
from apps.environments.failure_words import BY_CODE
from apps.environments.models import Environment
from apps.environments.observers import log_observed, run_context, service_observed
from apps.environments.services import environment_destroy, environment_retry, environment_stop
from apps.notifications.models import Notification
from apps.provisioning.failures import RULES
from apps.provisioning.models import Change, ServiceStatus
from apps.provisioning.services import change_cancel
from tests.factories import People, ServiceStatusFactory, change_drive, change_of


def again(environment: Environment) -> Environment:
    environment.refresh_from_db()
    return environment


def seen(environment: Environment, status: str, previous: str = "running", **fields: object) -> None:
    """What the agent does when a service's state changes."""
    ServiceStatus.objects.filter(workspace_id=environment.pk).delete()
    row = ServiceStatusFactory(
        workspace=environment.workspace, status=status, observed_at=timezone.now(), started_at=timezone.now(), **fields
    )
    service_observed(environment.workspace, row, previous)


def test_a_launch_is_followed_from_the_line_to_running(people: People, queued: Environment) -> None:
    change = change_of(queued)
    followed = [queued.status]
    for status in ("planning", "planned", "applying", "applied"):
        change_drive(change, status)
        followed.append(again(queued).status)
    assert followed == ["queued", "provisioning", "provisioning", "provisioning", "running"]
    left = queued.expires_at - timezone.now()
    assert timedelta(hours=7, minutes=59) < left <= timedelta(hours=8)


def test_every_transition_is_told_to_the_team(people: People, queued: Environment) -> None:
    before = LiveEvent.objects.count()
    change_drive(change_of(queued), "planning")
    event = LiveEvent.objects.order_by("-id").first()
    assert LiveEvent.objects.count() == before + 1
    assert (event.audience, event.topic) == (f"team:{people.vision.pk}", f"environment:{queued.pk}")
    assert event.data["status"] == "provisioning"


def test_a_failed_launch_says_why_and_continues_on_try_again(people: People, queued: Environment) -> None:
    change = change_of(queued)
    change_drive(change, "applying")
    change_drive(change, "failed", code="provisioning:repository", detail="Error: git clone exited with 128")
    again(queued)
    assert (queued.status, queued.failure) == ("failed", "start")
    assert "Git repository could not be cloned" in queued.status_reason
    assert "128" not in queued.status_reason
    note = Notification.objects.get(user=people.dana)
    assert note.text.startswith("nb couldn't start: the Git repository could not be cloned.")
    assert note.level == "failure"
    environment_retry(environment=queued, actor=people.dana)
    environment_retry(environment=queued, actor=people.dana)
    assert Change.objects.filter(kind="create").count() == 2
    change_drive(change_of(queued))
    assert (again(queued).status, queued.failure, queued.status_reason) == ("running", "", "")


def test_every_failure_that_provisioning_tells_apart_has_words() -> None:
    assert {rule.code for rule in RULES} <= BY_CODE.keys()
    for words in BY_CODE.values():
        assert words.what.endswith(".")
        assert words.do


@pytest.mark.parametrize(("kind", "failure", "retried"), [("stop", "stop", "stop"), ("destroy", "destroy", "destroy")])
def test_what_failed_is_what_is_tried_again(
    people: People, running: Environment, kind: str, failure: str, retried: str
) -> None:
    if kind == "stop":
        environment_stop(environment=running, actor=people.dana)
    else:
        environment_destroy(environment=running, actor=people.dana, confirm="nb")
    change = change_of(running)
    change_drive(change, "applying")
    change_drive(change, "failed", code="provisioning:terraform")
    assert (again(running).status, running.failure) == ("failed", failure)
    environment_retry(environment=running, actor=people.dana)
    assert change_of(running).kind == retried


def test_a_cancelled_launch_can_be_continued(people: People, queued: Environment) -> None:
    change_cancel(change=change_of(queued), actor=people.dana)
    assert (again(queued).status, queued.failure) == ("failed", "cancel")
    environment_retry(environment=queued, actor=people.dana)
    assert change_of(queued).kind == "create"


def test_a_stop_that_is_cancelled_in_line_leaves_it_running(people: People, running: Environment) -> None:
    before = running.expires_at
    environment_stop(environment=running, actor=people.dana)
    change_cancel(change=change_of(running), actor=people.dana)
    assert (again(running).status, running.desired_running, running.expires_at) == ("running", True, before)


def test_a_failed_check_for_drift_does_not_touch_the_status(people: People, running: Environment) -> None:
    from apps.environments.services import environment_refresh

    environment_refresh(environment=running, actor=people.dana)
    assert again(running).status == "running"
    change_drive(change_of(running), "failed", code="provisioning:terraform")
    assert (again(running).status, running.failure) == ("running", "")


def test_drift_is_told_shown_and_can_be_undone(people: People, running: Environment, as_person: Any) -> None:
    from apps.environments.services import environment_refresh

    drift = {"address": "slipway_service.jupyterlab", "type": "slipway_service", "name": "jupyterlab"}
    drift |= {"action": "update", "attributes": [{"name": "memory_mb", "before": 2048, "after": 99}]}
    environment_refresh(environment=running, actor=people.dana)
    check = change_of(running)
    Change.objects.filter(pk=check.pk).update(plan={"resources": [], "drift": [drift]})
    change_drive(check)
    assert "was changed outside Slipway" in Notification.objects.get(user=people.dana).text
    dana, url = as_person(people.dana), f"/environments/{running.pk}/"
    assert "Undo these changes" in dana.get(url).content.decode()
    assert "Undo these changes" not in as_person(people.mira).get(url).content.decode()
    assert "memory_mb" in dana.get(f"{url}changes/{check.pk}/").content.decode()
    dana.post(f"{url}reconcile/")
    undo = change_of(running)
    assert (undo.kind, again(running).status) == ("update", "updating")
    change_drive(undo)
    assert "Changed outside Slipway" not in dana.get(url).content.decode()


# Services ------------------------------------------------------------------------------------------------------------


def test_a_crash_is_said_and_a_come_back_mends_it(people: People, running: Environment) -> None:
    seen(running, "crashed", reason="exit code 3")
    assert (again(running).status, running.failure) == ("failed", "crash")
    assert "exit code 3" in running.status_reason
    assert "Files are safe" in running.status_reason
    seen(running, "running", previous="crashed")
    assert (again(running).status, running.failure) == ("running", "")
    assert running.status_reason.startswith("Came back at ")


def test_out_of_memory_is_said_in_words(people: People, running: Environment) -> None:
    seen(running, "out_of_memory", memory_limit_bytes=4 * 2**30)
    assert (again(running).status, running.failure) == ("failed", "memory")
    assert running.status_reason.startswith("4 GB reached at ")
    assert "the notebook was ended, files are safe. Choose a larger size." in running.status_reason
    note = Notification.objects.get(user=people.dana)
    assert "ran out of memory" in note.text


def test_a_full_disk_is_said_in_words(people: People, running: Environment) -> None:
    reason = "Your files take 41 MB, more than the 40 MB of this environment, so it was stopped. Nothing was deleted."
    seen(running, "out_of_disk", reason=reason)
    assert again(running).status == "failed"
    assert running.status_reason == reason
    assert "ran out of disk" in Notification.objects.get(user=people.dana).text


def test_a_killed_kernel_is_told_once_and_the_notebook_runs_on(people: People, running: Environment) -> None:
    ServiceStatusFactory(
        workspace=running.workspace, observed_at=timezone.now(), started_at=timezone.now(), oom_kills=1
    )
    row = ServiceStatus.objects.get()
    for _ in range(3):
        service_observed(running.workspace, row, "running")
    assert again(running).status == "running"
    assert "a kernel was ended" in running.status_reason
    assert Notification.objects.count() == 1


def test_a_shut_down_portal_is_the_reason_and_it_resumes(people: People, running: Environment) -> None:
    seen(running, "stopped", reason="The portal was shut down")
    assert (again(running).status, running.status_reason) == ("stopped", "The portal was shut down")
    seen(running, "running", previous="stopped")
    assert again(running).status == "running"


def test_a_stopped_service_of_a_stopped_environment_does_not_resume(people: People, running: Environment) -> None:
    environment_stop(environment=running, actor=people.dana)
    change_drive(change_of(running))
    seen(running, "stopped")
    assert again(running).status == "stopped"


def test_a_change_that_is_going_on_speaks_for_itself(people: People, running: Environment) -> None:
    environment_stop(environment=running, actor=people.dana)
    seen(running, "stopped")
    seen(running, "crashed")
    assert again(running).status == "stopping"


def test_a_crash_between_health_check_and_end_is_not_lost(people: People, queued: Environment) -> None:
    change = change_of(queued)
    change_drive(change, "applying")
    seen(queued, "crashed", previous="running")
    change_drive(change)
    assert (again(queued).status, queued.failure) == ("failed", "crash")


# What is passed on ---------------------------------------------------------------------------------------------------


def test_the_run_context_names_people_and_environment(people: People, running: Environment) -> None:
    context = run_context(running.workspace, change_of(running))
    assert context == {
        "slipway.team": "vision",
        "slipway.user": "dana",
        "slipway.environment": "nb",
        "slipway.environment_id": str(running.pk),
    }


def test_log_lines_reach_open_pages(people: People, running: Environment) -> None:
    log_observed(running.workspace, "build", [{"n": 1, "at": "2030-01-01T00:00:00Z", "level": "warning", "text": "hm"}])
    event = LiveEvent.objects.latest("id")
    assert (event.kind, event.data["stream"]) == ("log", "build")
    assert event.data["lines"][0] == {"n": 1, "at": "2030-01-01T00:00:00Z", "level": "warn", "text": "hm"}
