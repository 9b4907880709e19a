"""A notebook chooses its Python environment, keeps it, and changes it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.crypto import decrypt_json
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment
from apps.environments.observers.context import request_told, run_context
from apps.environments.runtime_choice import runtime_choices
from apps.environments.services import environment_start, environment_stop, environment_update, environment_upgrade
from apps.environments.services.rollouts.starting import rollout_look
from apps.provisioning.models import Change
from apps.provisioning.services import change_cancel
from apps.runtimes.models import RuntimeVersion
from apps.runtimes.services import runtime_seed, runtime_version_deprecate
from tests.factories import (
    NOTEBOOK,
    NOTEBOOK_VERSION,
    People,
    change_drive,
    change_of,
    environment_make,
    environment_running,
    notebook_version,
)
from tests.runtimes.making import LOCK, MakeReady


def values(change: Change) -> dict[str, Any]:
    return decrypt_json(bytes(change.values))


def test_the_modules_own_is_the_default_and_null_for_terraform(people: People, ready: MakeReady) -> None:
    ready()
    environment = environment_make(people)
    assert environment.runtime_version is None
    assert values(change_of(environment))["slipway_runtime"] is None


def test_a_chosen_one_reaches_terraform_whole_and_tags_every_run(people: People, ready: MakeReady) -> None:
    version = ready()
    environment = environment_make(people, runtime="ml")
    assert environment.runtime_version == version
    change = change_of(environment)
    assert values(change)["slipway_runtime"] == {
        "name": "ml",
        "version": 1,
        "digest": version.digest,
        "python": "3.11",
        "requirements": version.lock,
    }
    assert run_context(change.workspace, change)["slipway.runtime"] == "ml@1"
    assert request_told(change.workspace, change)["runtime"] == "ml@1"


def test_the_seeded_one_is_the_notebooks_own_lock(people: People) -> None:
    """Nothing is built twice: the text that Terraform passes on is the same."""
    notebook_version()
    folder = NOTEBOOK / "runtime"
    version = runtime_seed(
        slug="sk", title="sk", requirements=folder / "requirements.in", lock=folder / "requirements.lock"
    )
    environment = environment_make(people, runtime="sk")
    assert environment.runtime_version == version
    assert (
        values(change_of(environment))["slipway_runtime"]["requirements"] == (folder / "requirements.lock").read_text()
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nothing", "There is no Python environment “nothing”"),
        ("ml@9", "There is no Python environment “ml@9”"),
        ("ML", "Name a Python environment"),
        ("ml@0", "Name a Python environment"),
        ("x" * 300, "Name a Python environment"),
        ("ml@1; drop", "Name a Python environment"),
        ("broken@1", "could not be made"),
        ("small", "lacks jupyterlab, ipykernel, mlflow-skinny"),
    ],
)
def test_what_cannot_be_chosen_says_why(
    people: People, ready: MakeReady, failed: RuntimeVersion, asked: str, said: str
) -> None:
    ready()
    ready("small", LOCK)
    with pytest.raises(LaunchInvalid) as caught:
        environment_make(people, runtime=asked)
    assert said in caught.value.errors["runtime"][0]


def test_a_deprecated_one_is_refused_to_new_and_kept_by_old(people: People, ready: MakeReady) -> None:
    old = ready()
    environment = environment_running(people, runtime="ml@1")
    ready()
    runtime_version_deprecate(version=old, actor=people.pete, reason="Old pandas")
    with pytest.raises(LaunchInvalid) as caught:
        environment_make(people, name="other", runtime="ml@1")
    assert caught.value.errors["runtime"] == ["ml@1 is deprecated: Old pandas. Choose ml@2."]
    environment_stop(environment=environment, actor=people.dana)
    change_drive(change_of(environment))
    environment_start(environment=environment, actor=people.dana)
    assert values(change_of(environment))["slipway_runtime"]["version"] == 1
    change_drive(change_of(environment))
    environment_update(environment=environment, actor=people.dana, inputs={"cpu": 2}, runtime="ml@1")
    assert values(change_of(environment))["slipway_runtime"]["version"] == 1


def test_another_one_is_an_update_with_a_plan(people: People, ready: MakeReady) -> None:
    ready()
    environment = environment_running(people)
    environment_update(environment=environment, actor=people.dana, inputs={}, runtime="ml")
    change = change_of(environment)
    assert (change.kind, values(change)["slipway_runtime"]["name"]) == ("update", "ml")
    change_drive(change)
    before = Change.objects.count()
    environment_update(environment=environment, actor=people.dana, inputs={}, runtime="ml@1")
    environment_update(environment=environment, actor=people.dana, inputs={})
    assert Change.objects.count() == before, "nothing differs"
    environment_update(environment=environment, actor=people.dana, inputs={}, runtime="")
    assert values(change_of(environment))["slipway_runtime"] is None


def test_a_change_that_comes_to_nothing_leaves_the_one_before(people: People, ready: MakeReady) -> None:
    version = ready()
    environment = environment_running(people, runtime="ml")
    ready("other")
    environment_update(environment=environment, actor=people.dana, inputs={}, runtime="other")
    change_cancel(change=change_of(environment), actor=people.dana)
    environment.refresh_from_db()
    assert environment.runtime_version == version


def test_it_stays_in_an_upgrade_of_the_module(people: People, ready: MakeReady) -> None:
    version = ready()
    environment = environment_running(people, runtime="ml")
    newer = notebook_version(version="9.0.0", interface={**environment.module_version.interface, "version": "9.0.0"})
    environment_upgrade(environment=environment, actor=people.dana, module_version=newer)
    environment.refresh_from_db()
    assert environment.runtime_version == version


def test_a_module_that_does_not_take_it_any_more_says_so(people: People, ready: MakeReady) -> None:
    ready()
    environment = environment_running(people, runtime="ml")
    interface = {**environment.module_version.interface, "version": "9.0.0", "runtimes": ["other"]}
    newer = notebook_version(version="9.0.0", interface=interface)
    with pytest.raises(LaunchInvalid, match="does not take “ml”"):
        environment_upgrade(environment=environment, actor=people.dana, module_version=newer)
    environment.refresh_from_db()
    assert environment.module_version.version == NOTEBOOK_VERSION


def test_page_and_api_say_that_a_version_does_not_take_it(people: People, ready: MakeReady, as_person: Any) -> None:
    ready()
    environment = environment_running(people, runtime="ml")
    interface = {**environment.module_version.interface, "version": "9.0.0", "runtimes": ["other"]}
    newer = notebook_version(version="9.0.0", interface=interface)
    said = "This module does not take “ml”. It takes: other. Choose another Python environment in the settings first."
    dana, url = as_person(people.dana), f"/environments/{environment.pk}/upgrade/"
    page = dana.get(url).content.decode()
    assert said in page
    assert "Upgrade to 9.0.0</button>" not in page
    assert f'href="/environments/{environment.pk}/settings/"' in page
    refused = dana.post(url, {"version": "9.0.0"})
    assert (refused.status_code, said in refused.content.decode()) == (422, True)
    api = f"/api/v1/environments/{environment.pk}/upgrade/"
    assert dana.get(api).json()["refused"] == said
    answer = dana.post(api, {}, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"]["version"]) == (400, [said])
    (candidate,) = rollout_look(version=newer)
    assert (candidate.verdict, candidate.reason) == ("needs_input", said)
    # With the module's own it may go.
    environment_update(environment=environment, actor=people.dana, inputs={}, runtime="")
    change_drive(change_of(environment))
    assert dana.get(api).json()["refused"] == ""
    assert dana.post(api, {}, content_type="application/json").status_code == 200


def test_an_old_version_of_the_module_knows_of_no_choice(people: People, ready: MakeReady) -> None:
    """Environments of notebooks before 1.1.0 stay manageable."""
    ready()
    current = notebook_version()
    kept = [variable for variable in current.interface["variables"] if variable["name"] != "slipway_runtime"]
    old = notebook_version(version="1.0.0", interface={**current.interface, "version": "1.0.0", "variables": kept})
    environment = environment_running(people, module_version=old)
    assert runtime_choices(old.parsed()) == []
    environment_stop(environment=environment, actor=people.dana)
    assert "slipway_runtime" not in values(change_of(environment))
    with pytest.raises(LaunchInvalid) as caught:
        environment_make(people, name="two", module_version=old, runtime="ml")
    assert "brings its own" in caught.value.errors["runtime"][0]
    notebook_version(version=NOTEBOOK_VERSION)


def test_the_first_that_the_module_names_is_its_default(people: People, ready: MakeReady) -> None:
    ready("aa")
    ready("bb")
    ready("cc")
    current = notebook_version()
    interface = {**current.interface, "version": "9.0.0", "runtimes": ["missing", "bb", "aa"]}
    module = notebook_version(version="9.0.0", interface=interface)
    assert [value for value, _ in runtime_choices(module.parsed())] == ["", "bb@1", "aa@1"]
    assert str(environment_make(people, module_version=module).runtime_version) == "bb@1"
    assert environment_make(people, module_version=module, name="own", runtime="").runtime_version is None


def test_the_launch_form_offers_them_and_remembers_a_link(people: People, ready: MakeReady, as_person: Any) -> None:
    notebook_version()
    url = reverse("environments:launch_module", args=["local-notebook"])
    page = as_person(people.dana)
    assert b"Python environment" not in page.get(url).content
    ready()
    assert b'<option value="" selected>As the module brings it</option>' in page.get(url).content
    assert b'<option value="ml@1" selected>ML, version 1</option>' in page.get(f"{url}?runtime=ml").content
    wish = {"name": "chosen", "team": "vision", "ttl": "28800", "preset": "small", "runtime": "ml@1"}
    wish |= {"input-cpu": "1", "input-memory_gb": "2", "input-health_timeout_s": "60"}
    answer = page.post(url, wish)
    assert answer.status_code == 302, answer.content.decode()
    environment = Environment.objects.get()
    settings_page = reverse("environments:settings", args=[environment.pk])
    assert 'href="/runtimes/ml/1/"' in page.get(settings_page).content.decode()
    change_drive(change_of(environment))
    assert 'href="/runtimes/ml/1/"' in page.get(answer.url.partition("?")[0]).content.decode()
    refused = page.post(url, {**wish, "name": "other", "runtime": "nothing@1"})
    assert refused.status_code == 422
    assert "Choose one of these Python environments." in refused.content.decode()


def test_the_settings_page_changes_it(people: People, ready: MakeReady, as_person: Any) -> None:
    ready()
    environment = environment_running(people)
    page = as_person(people.dana)
    shown = page.get(reverse("environments:settings", args=[environment.pk])).content.decode()
    assert "Another one restarts what runs" in shown
    wish = {"preset": "small", "runtime": "ml@1"}
    wish |= {"input-cpu": "1", "input-memory_gb": "2", "input-health_timeout_s": "60"}
    answer = page.post(reverse("environments:update", args=[environment.pk]), wish)
    assert answer.status_code == 302, answer.content.decode()
    environment.refresh_from_db()
    assert str(environment.runtime_version) == "ml@1"


def test_the_api_takes_and_shows_it(people: People, ready: MakeReady) -> None:
    from tests.runtimes.asking import token_client

    notebook_version()
    ready()
    client: Client = token_client(people.dana)
    wish = {"name": "nb", "team": "vision", "module": "local-notebook", "runtime": "ml"}
    made = client.post("/api/v1/environments/", wish, content_type="application/json")
    assert made.status_code == 201, made.content
    assert made.json()["runtime"] == "ml@1"
    listed = client.get("/api/v1/environments/").json()["results"]
    assert [row["runtime"] for row in listed] == ["ml@1"]
    refused = client.post(
        "/api/v1/environments/", {**wish, "name": "x", "runtime": "nothing"}, content_type="application/json"
    )
    assert refused.status_code == 400
    assert refused.json()["errors"]["runtime"]
