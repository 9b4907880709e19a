"""Moving to another version: what goes is named, what is new is asked, what is known is not, and files stay."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.test import Client

from apps.core.exceptions import NotAllowed
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment
from apps.environments.services import environment_start, environment_stop, environment_upgrade
from apps.environments.services.upgrading import upgrade_look
from apps.environments.services.values import inputs_plain
from apps.provisioning.models import Change
from tests.environments.versions import renamed, required, version_with, without
from tests.factories import NOTEBOOK, People, change_drive, change_of, environment_running

OLD = yaml.safe_load((NOTEBOOK / "module.yaml").read_text())["version"]


def at(environment: Environment, rest: str = "") -> str:
    return f"/environments/{environment.pk}/{rest}"


def asked(page: str) -> set[str]:
    return set(re.findall(r'name="input-([a-z_]+)"', page))


def test_the_page_names_what_goes_and_asks_only_for_what_is_new(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    version_with("2.0.0", without("repository"), required("seed"), changelog="* Seeds are fixed now.")
    page = as_person(people.dana).get(at(running, "upgrade/")).content.decode()
    assert "Upgrade to 2.0.0" in page
    assert "Seeds are fixed now" in page
    assert asked(page) == {"seed"}
    answer = as_person(people.dana).post(at(running, "upgrade/"), {"version": "2.0.0"})
    assert answer.status_code == 422
    assert "This field is required" in answer.content.decode()
    running.refresh_from_db()
    assert running.module_version.version == OLD
    as_person(people.dana).post(at(running, "upgrade/"), {"version": "2.0.0", "input-seed": "42"})
    running.refresh_from_db()
    assert (running.module_version.version, inputs_plain(running)["seed"]) == ("2.0.0", "42")
    assert change_of(running).reason == "Upgrade to 2.0.0"


def test_a_value_that_goes_is_named_with_what_it_was(people: People, as_person: Callable[..., Client]) -> None:
    environment = environment_running(people, inputs={"repository": "https://example.com/a.git"})
    version_with("2.0.0", without("repository"))
    page = as_person(people.dana).get(at(environment, "upgrade/")).content.decode()
    assert "https://example.com/a.git" in page
    assert "is dropped" in page
    looked = as_person(people.dana).get(f"/api/v1/environments/{environment.pk}/upgrade/").json()
    assert looked["dropped"] == [
        {"name": "repository", "label": looked["dropped"][0]["label"], "value": "https://example.com/a.git"}
    ]
    environment_upgrade(environment=environment, actor=people.dana)
    assert "repository" not in inputs_plain(environment)


def test_a_renamed_input_is_dropped_and_asked_for(people: People, running: Environment) -> None:
    target = version_with("2.0.0", renamed("memory_gb", "memory_gib", default=False))
    looked = upgrade_look(environment=running, target=target)
    assert [item.name for item in looked.dropped] == ["memory_gb"]
    assert [variable.name for variable in looked.wanted] == ["memory_gib"]
    with pytest.raises(LaunchInvalid) as refused:
        environment_upgrade(environment=running, actor=people.dana, module_version=target)
    assert set(refused.value.errors) == {"inputs.memory_gib"}
    environment_upgrade(environment=running, actor=people.dana, module_version=target, inputs={"memory_gib": 4})
    assert inputs_plain(running)["memory_gib"] == 4


def test_a_value_that_is_not_taken_any_more_is_asked_for_with_the_reason(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    def text(variables: list[dict[str, Any]]) -> None:
        one = next(item for item in variables if item["name"] == "cpu")
        one["presentation"]["options"] = [{"value": 64, "label": "64 cores"}]

    version_with("2.0.0", text)
    page = as_person(people.dana).get(at(running, "upgrade/")).content.decode()
    assert asked(page) == {"cpu"}
    assert "is not taken any more" in page
    as_person(people.dana).post(at(running, "upgrade/"), {"version": "2.0.0", "input-cpu": "64"})
    running.refresh_from_db()
    assert inputs_plain(running)["cpu"] == 64


def test_the_api_upgrades_with_values_and_names_the_field_that_lacks_one(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    version_with("2.0.0", required("seed"))
    url = f"/api/v1/environments/{running.pk}/upgrade/"
    post = as_person(people.dana).post
    refused = post(url, {"version": "2.0.0"}, content_type="application/json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["inputs.seed"])
    unknown = post(url, {"version": "2.0.0", "inputs": {"seed": "1", "sed": "2"}}, content_type="application/json")
    assert "inputs.sed" in unknown.json()["errors"]
    done = post(url, {"version": "2.0.0", "inputs": {"seed": "1"}}, content_type="application/json")
    assert (done.status_code, done.json()["version"]) == (200, "2.0.0")


def test_the_way_back_is_the_same_way(people: People, running: Environment, as_person: Callable[..., Client]) -> None:
    version_with("2.0.0", required("seed"))
    environment_upgrade(environment=running, actor=people.dana, inputs={"seed": "1"})
    change_drive(change_of(running))
    page = as_person(people.dana).get(at(running, f"upgrade/?version={OLD}")).content.decode()
    assert f"Go back to {OLD}" in page
    assert "is dropped" in page
    as_person(people.dana).post(at(running, "upgrade/"), {"version": OLD})
    running.refresh_from_db()
    assert (running.module_version.version, "seed" in inputs_plain(running)) == (OLD, False)
    assert change_of(running).reason == f"Back to {OLD}"


def test_a_stopped_one_is_upgraded_without_being_started(people: People, running: Environment) -> None:
    environment_stop(environment=running, actor=people.dana)
    change_drive(change_of(running))
    version_with("2.0.0")
    environment_upgrade(environment=running, actor=people.dana)
    change = change_of(running)
    assert change.kind == Change.Kind.UPDATE
    change_drive(change)
    running.refresh_from_db()
    assert (running.status, running.desired_running) == ("stopped", False)


@pytest.mark.parametrize("status", ["draft", "deprecated", "revoked"])
def test_only_a_published_version_can_be_moved_to(
    people: People, running: Environment, as_person: Callable[..., Client], status: str
) -> None:
    target = version_with("2.0.0", status=status)
    with pytest.raises(LaunchInvalid) as refused:
        environment_upgrade(environment=running, actor=people.dana, module_version=target)
    assert "version" in refused.value.errors
    answer = as_person(people.dana).get(at(running, "upgrade/?version=2.0.0"))
    assert answer.status_code == 404


@pytest.mark.parametrize("status", ["deprecated", "revoked"])
def test_an_old_version_stays_manageable_though_a_newer_one_dropped_an_input(
    people: People, running: Environment, status: str
) -> None:
    """Stop, start, update and destroy of what runs an old version go on; a revoked one is only not started."""
    from apps.catalog.models import ModuleVersion
    from apps.environments.services import environment_destroy, environment_update

    version_with("2.0.0", without("repository"))
    ModuleVersion.objects.filter(pk=running.module_version_id).update(status=status)
    environment_update(environment=running, actor=people.dana, inputs={"repository": "https://example.com/a.git"})
    change_drive(change_of(running))
    environment_stop(environment=running, actor=people.dana)
    change_drive(change_of(running))
    if status == "deprecated":
        environment_start(environment=running, actor=people.dana)
        change_drive(change_of(running))
    environment_destroy(environment=running, actor=people.dana, confirm=running.name)
    change_drive(change_of(running))
    running.refresh_from_db()
    assert (running.status, running.module_version.version) == ("destroyed", OLD)


def test_who_may_upgrade(people: People, running: Environment, as_person: Callable[..., Client]) -> None:
    version_with("2.0.0")
    wanted = {"dana": 200, "pete": 200, "mira": 403, "ada": 403, "mallory": 404}
    found = {name: as_person(getattr(people, name)).get(at(running, "upgrade/")).status_code for name in wanted}
    assert found == wanted
    with pytest.raises(NotAllowed):
        environment_upgrade(environment=running, actor=people.mira)


def test_a_platform_engineers_upgrade_of_another_is_in_the_audit_log(people: People, running: Environment) -> None:
    from apps.audit.models import AuditEvent

    version_with("2.0.0")
    environment_upgrade(environment=running, actor=people.pete)
    event = AuditEvent.objects.filter(action="environments:environment:update").latest("id")
    assert (event.actor, event.after["break_glass"], event.after["module_version"]) == (people.pete, True, "2.0.0")


def test_what_it_has_already_is_no_upgrade(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    for query in ("", f"?version={OLD}"):
        assert as_person(people.dana).get(at(running, f"upgrade/{query}")).status_code == 200
    assert as_person(people.dana).get(at(running, "upgrade/?version=9.9.9")).status_code == 404
    before = Change.objects.count()
    environment_upgrade(environment=running, actor=people.dana)
    assert Change.objects.count() == before


def test_a_secret_that_stays_is_neither_asked_nor_shown(people: People, as_person: Callable[..., Client]) -> None:
    def secret(variables: list[dict[str, Any]]) -> None:
        required("key")(variables)
        variables[-1]["sensitive"] = True

    version_with("2.0.0", secret)
    environment = environment_running(
        people, module_version=version_with("2.0.0", secret), inputs={"key": "s3cret-value"}
    )
    version_with("2.1.0", secret, required("seed"))
    page = as_person(people.dana).get(at(environment, "upgrade/")).content.decode()
    assert asked(page) == {"seed"}
    assert "s3cret-value" not in page
    as_person(people.dana).post(at(environment, "upgrade/"), {"version": "2.1.0", "input-seed": "1"})
    environment.refresh_from_db()
    assert inputs_plain(environment)["key"] == "s3cret-value"
