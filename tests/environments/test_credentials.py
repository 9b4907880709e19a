"""Modules that build in a cloud are launched only for teams that were given credentials for it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.catalog.models import Module, ModuleVersion
from apps.environments.exceptions import CredentialsMissing
from apps.environments.models import Environment
from apps.environments.services import environment_launch
from apps.provisioning.models import Change
from apps.variable_sets.services import variable_set_create, variable_set_value
from tests.environments.test_launch_pages import filled
from tests.factories import People, notebook_version

URL = "/environments/launch/local-notebook/"
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SAID = "This needs AWS credentials: nobody has given any for"


@pytest.fixture
def version(people: People) -> ModuleVersion:
    """The notebook as a module that builds in AWS."""
    # As it is stored: what every test is made from stays as it is.
    version = ModuleVersion.objects.select_related("module").get(pk=notebook_version().pk)
    version.interface["target"] = "aws"
    for variable in version.interface["variables"]:
        variable["sensitive"] = False
    version.save(update_fields=["interface"])
    Module.objects.filter(pk=version.module_id).update(target="aws")
    version.module.target = "aws"
    return version


def give(people: People, names: Any = AWS, team: Any = None, target: str = "aws", module: Any = None) -> None:
    row = variable_set_create(actor=people.pete, name=f"set {names}", team=team, target=target, module=module)
    for name in names:
        put = {"kind": "environment", "name": name, "value": "canary-of-credentials"}
        variable_set_value(variable_set=row, actor=people.pete, **put)


def launch(people: People, version: ModuleVersion, **wish: Any) -> Environment:
    wish = {"actor": people.dana, "team": people.vision, "name": "nb", **wish}
    return environment_launch(module_version=version, **wish)


def button(page: str) -> bool:
    return "Launch</button>" in page


def test_a_launch_without_credentials_is_refused_before_anything_is_made(
    people: People, version: ModuleVersion
) -> None:
    with pytest.raises(CredentialsMissing, match=f"{SAID} Vision. Ask a platform engineer."):
        launch(people, version)
    assert not Environment.objects.exists()
    assert not Change.objects.exists()
    give(people)
    assert launch(people, version).module_version == version


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        ({"names": AWS[:1]}, False),
        ({"target": "gcp"}, False),
        ({"target": ""}, True),
        ({"names": ("ARM_CLIENT_ID",)}, False),
    ],
)
def test_half_of_a_pair_and_what_is_for_another_target_are_not_enough(
    people: People, version: ModuleVersion, given: Any, enough: bool
) -> None:
    give(people, **given)
    if enough:
        launch(people, version)
        return
    with pytest.raises(CredentialsMissing):
        launch(people, version)


def test_a_teams_credentials_are_its_own_and_may_be_for_one_module(people: People, version: ModuleVersion) -> None:
    give(people, team=people.churn, module=version.module)
    launch(people, version, team=people.churn)
    with pytest.raises(CredentialsMissing):
        launch(people, version, name="another")


def test_a_file_gives_credentials_by_the_variable_that_points_to_it(people: People, version: ModuleVersion) -> None:
    row = variable_set_create(actor=people.pete, name="file", target="aws")
    put = {"kind": "file", "name": "credentials", "environment_variable": "AWS_SHARED_CREDENTIALS_FILE"}
    variable_set_value(variable_set=row, actor=people.pete, value="[default]", **put)
    launch(people, version)


@pytest.mark.parametrize(("needs", "launches"), [([], True), (["REGISTRY_KEY"], False)])
def test_what_module_yaml_says_counts(people: People, version: ModuleVersion, needs: list[str], launches: bool) -> None:
    version.interface["needs_variables"] = needs
    version.save(update_fields=["interface"])
    if not launches:
        with pytest.raises(CredentialsMissing):
            launch(people, version)
        give(people, needs)
    launch(people, version)


def test_a_module_with_a_secret_of_its_own_may_get_them_there(people: People, version: ModuleVersion) -> None:
    version.interface["variables"][1]["sensitive"] = True
    version.save(update_fields=["interface"])
    launch(people, version)


def test_the_api_refuses_with_a_code(people: People, version: ModuleVersion, as_person: Callable[..., Client]) -> None:
    wish = {"name": "nb", "team": "vision", "module": "local-notebook"}
    client = as_person(people.dana)
    answer = client.post("/api/v1/environments/", wish, content_type="application/json")
    body = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert body["code"] == "environments:credentials-missing"
    assert body["detail"] == f"{SAID} Vision. Ask a platform engineer."
    assert not Environment.objects.exists()


def test_the_form_says_it_in_the_place_of_its_button(
    people: People, version: ModuleVersion, as_person: Callable[..., Client]
) -> None:
    dana = as_person(people.dana)
    page = dana.get(URL).content.decode()
    assert f"{SAID} Churn or Vision. Ask a platform engineer." in page
    assert not button(page)
    assert "/variable-sets/new/" not in page
    answer = dana.post(URL, filled(dana))
    assert answer.status_code == 422
    assert not Environment.objects.exists()
    give(people)
    assert button(dana.get(URL).content.decode())
    assert dana.post(URL, filled(dana)).status_code == 302


def test_whoever_may_give_them_is_led_there(
    people: People, version: ModuleVersion, as_person: Callable[..., Client]
) -> None:
    page = as_person(people.mira).get(URL).content.decode()
    assert "Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in a variable set." in page
    url = "/variable-sets/new/?target=aws&amp;team=churn"
    assert url in page
    form = as_person(people.mira).get(url.replace("&amp;", "&")).content.decode()
    assert '<option value="aws" selected>' in form
    assert '<option value="churn" selected>' in form


def test_of_several_teams_the_form_begins_with_one_that_has_them(
    people: People, version: ModuleVersion, as_person: Callable[..., Client]
) -> None:
    give(people, team=people.vision)
    dana = as_person(people.dana)
    page = dana.get(URL).content.decode()
    assert button(page)
    assert f"{SAID} Churn." in page
    assert '<option value="vision" selected>' in page
    refused = dana.post(URL, filled(dana, team="churn"))
    assert refused.status_code == 422
    assert f"{SAID} Churn. Ask" in refused.content.decode()
    assert dana.post(URL, filled(dana)).status_code == 302


def test_cards_say_what_is_needed(people: People, version: ModuleVersion, as_person: Callable[..., Client]) -> None:
    dana = as_person(people.dana)
    assert "Needs AWS credentials" in dana.get("/modules/").content.decode()
    other = Module.objects.create(slug="other", title="Other", kind="notebook", target="local")
    version.pk, version.module, version.digest = None, other, "other"
    version._state.adding = True
    version.save()
    Module.objects.filter(pk=other.pk).update(latest_version=version)
    assert "Needs AWS credentials" in dana.get("/environments/launch/").content.decode()
    give(people)
    for url in ("/modules/", "/environments/launch/"):
        assert "Needs AWS credentials" not in dana.get(url).content.decode()


@pytest.mark.filterwarnings("error")
def test_the_form_names_the_variables_of_each_set_by_name(
    people: People, version: ModuleVersion, as_person: Callable[..., Client]
) -> None:
    give(people, ("B_KEY", *AWS, "A_KEY"))
    page = as_person(people.dana).get(URL).content.decode()
    assert ": AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, A_KEY, B_KEY" in page
