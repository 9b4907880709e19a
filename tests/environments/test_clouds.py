"""Environments in a cloud: opened at their own address, stopped with a word, looked at now and then."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from apps.audit.models import AuditEvent
from apps.core.crypto import encrypt_json
from apps.environments.models import Environment
from apps.environments.selectors import application_upstream
from apps.environments.services import environment_refresh, environment_stop
from apps.environments.services.looking import environments_look, environments_to_look_at
from apps.notifications.models import Notification
from apps.provisioning.models import Change, Machine, Workspace
from tests.factories import People, change_drive, change_of

CONSOLE = "https://us-east-1.console.aws.amazon.com"
ADDRESS = f"{CONSOLE}/sagemaker/home?region=us-east-1#/notebook-instances/openNotebook/nb?view=lab"
LOST = "The cluster is terminated: what is on its disks is lost."


@pytest.fixture
def cloud(running: Environment) -> Environment:
    """The running environment as one whose module builds in AWS."""
    version = running.module_version
    version.interface["applications"] = [
        {"name": "lab", "title": "JupyterLab", "address_output": "address", "external": True}
    ]
    version.interface["outputs"] = [
        {"name": name, "description": "", "sensitive": False} for name in ("address", "running")
    ]
    version.save(update_fields=["interface"])
    running.module.target = "aws"
    running.module.save(update_fields=["target"])
    Workspace.objects.filter(pk=running.pk).update(target="aws")
    outputs(running, address=ADDRESS, running=True)
    return Environment.objects.get(pk=running.pk)


def outputs(environment: Environment, **values: Any) -> None:
    told = encrypt_json({name: {"value": value, "sensitive": False} for name, value in values.items()})
    Workspace.objects.filter(pk=environment.pk).update(outputs=told)


def loses(environment: Environment, text: str) -> None:
    version = environment.module_version
    version.interface["lost_on_stop"] = text
    version.save(update_fields=["interface"])


def test_it_opens_at_its_own_address_and_that_counts_as_use(people: People, cloud: Environment, as_person: Any) -> None:
    answer = as_person(people.dana).get(f"/environments/{cloud.pk}/open/")
    assert (answer.status_code, answer.headers["Location"]) == (302, ADDRESS)
    cloud.refresh_from_db()
    assert cloud.last_used_at is not None
    assert cloud.last_activity_at is not None
    event = AuditEvent.objects.get(action="environments:environment:open")
    assert (event.actor, event.target_id, event.after) == (people.dana, str(cloud.pk), {"application": "JupyterLab"})
    # For the owner alone, as every application; and the portal's proxy has nothing to pass on to.
    assert as_person(people.mira).get(f"/environments/{cloud.pk}/open/").status_code == 404
    assert application_upstream(cloud).address == ""
    shown = as_person(people.dana).get(f"/api/v1/environments/{cloud.pk}/").json()
    assert shown["app_urls"] == {"lab": ADDRESS}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "http://plain.example/",
        "https://user:password@example.com/",
        "https://a.example/\nX: y",
    ],
)
def test_nothing_but_a_plain_address_leaves_the_portal(
    people: People, cloud: Environment, as_person: Any, address: str
) -> None:
    outputs(cloud, address=address, running=True)
    answer = as_person(people.dana).get(f"/environments/{cloud.pk}/open/")
    assert answer.headers["Location"] == f"/environments/{cloud.pk}/"
    assert not AuditEvent.objects.filter(action="environments:environment:open").exists()


def test_a_stop_that_loses_something_says_what_and_asks_once(
    people: People, cloud: Environment, as_person: Any
) -> None:
    loses(cloud, LOST)
    dana, url = as_person(people.dana), f"/environments/{cloud.pk}/stop/"
    assert f'href="{url}"' in dana.get(f"/environments/{cloud.pk}/").content.decode()
    for answer in (dana.get(url), dana.post(url)):
        assert LOST in answer.content.decode()
    assert not Change.objects.filter(workspace_id=cloud.pk, kind="stop").exists()
    assert as_person(people.mallory).get(url).status_code == 404
    dana.post(url, {"confirmed": "1"})
    change_drive(change_of(cloud))
    page = dana.get(f"/environments/{cloud.pk}/").content.decode()
    assert "Stopped, files kept" not in page
    assert "Stopped" in page


def test_the_api_wants_the_name_for_a_stop_that_loses_something(
    people: People, cloud: Environment, as_person: Any
) -> None:
    loses(cloud, LOST)
    dana, url = as_person(people.dana), f"/api/v1/environments/{cloud.pk}/stop/"
    for body in ({}, {"reason": "done"}, {"confirm": "another"}):
        answer = dana.post(url, body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "environments:confirm-name")
        assert LOST in answer.json()["errors"]["confirm"][0]
    assert not Change.objects.filter(workspace_id=cloud.pk, kind="stop").exists()
    assert as_person(people.mallory).post(url, {}, content_type="application/json").status_code == 404
    answer = dana.post(url, {"confirm": cloud.name, "reason": "done"}, content_type="application/json")
    assert answer.status_code == 200
    assert change_of(cloud).kind == "stop"
    # What stops already asks no more.
    assert dana.post(url, {}, content_type="application/json").status_code == 200


def test_the_portal_stops_without_being_asked_for_a_name(people: People, cloud: Environment, as_person: Any) -> None:
    loses(cloud, LOST)
    environment_stop(environment=cloud, actor=None, reason="Its time is over")
    assert change_of(cloud).kind == "stop"


def test_a_stop_that_keeps_files_asks_nothing(people: People, cloud: Environment, as_person: Any) -> None:
    as_person(people.dana).post(f"/environments/{cloud.pk}/stop/")
    assert change_of(cloud).kind == "stop"


def test_a_check_that_finds_it_stopped_says_so_and_a_start_brings_it_back(
    people: People, cloud: Environment, as_person: Any
) -> None:
    environment_refresh(environment=cloud, actor=None)
    drift = {"address": "slipway_sagemaker_power.this", "type": "slipway_sagemaker_power", "name": "this"}
    drift |= {"action": "update", "attributes": [{"name": "running", "before": True, "after": False}]}
    Change.objects.filter(pk=change_of(cloud).pk).update(plan={"resources": [], "drift": [drift]})
    outputs(cloud, address=ADDRESS, running=False)
    change_drive(change_of(cloud))
    cloud.refresh_from_db()
    assert (cloud.status, cloud.desired_running, cloud.expires_at) == ("stopped", False, None)
    assert "because it was idle" in cloud.status_reason
    assert "because it was idle" in Notification.objects.get(user=people.dana).text
    page = as_person(people.dana).get(f"/environments/{cloud.pk}/").content.decode()
    assert "See what changed" in page
    assert "Undo these changes" not in page
    # And the other way round, with a stop time, so that it does not run for ever.
    environment_refresh(environment=cloud, actor=None)
    outputs(cloud, address=ADDRESS, running=True)
    change_drive(change_of(cloud))
    cloud.refresh_from_db()
    assert (cloud.status, cloud.desired_running) == ("running", True)
    assert cloud.expires_at is not None


def test_the_launch_form_says_what_the_stop_time_ends(people: People, cloud: Environment, as_person: Any) -> None:
    loses(cloud, LOST)
    page = as_person(people.dana).get(f"/environments/launch/{cloud.module.slug}/").content.decode()
    assert LOST in page
    assert "Files are kept." not in page


def test_what_runs_in_a_cloud_is_looked_at_when_nobody_has_for_a_while(cloud: Environment) -> None:
    assert environments_to_look_at() == []
    Change.objects.filter(workspace_id=cloud.pk).update(created_at=Now() - timedelta(minutes=31))
    assert environments_look() == 1
    assert change_of(cloud).kind == "refresh"
    assert environments_look() == 0


def test_what_this_machine_watches_is_not_looked_at(running: Environment) -> None:
    Change.objects.filter(workspace_id=running.pk).update(created_at=Now() - timedelta(minutes=31))
    assert environments_to_look_at() == []


def test_a_full_disk_here_keeps_nothing_in_a_cloud_from_starting(people: People, cloud: Environment) -> None:
    from apps.environments.services.space import machine_require_space

    Machine.objects.update(disk_bytes=1000, free_disk_bytes=1)
    machine_require_space(Workspace.objects.get(pk=cloud.pk))
