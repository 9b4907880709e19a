import re
from collections.abc import Callable

import pytest
from django.test import Client

from apps.core.crypto import decrypt_json
from apps.environments.models import Environment
from tests.factories import People, UserFactory, environment_make, notebook_version

URL = "/environments/launch/local-notebook/"


def filled(client: Client, url: str = URL, **changes: str) -> dict[str, str]:
    """The form as a browser without JavaScript would send it, with some fields typed over."""
    page = client.get(url).content.decode()
    values: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page.split('<form class="form-stack"')[1].split("</form>")[0]):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        kind = re.search(r'type="([^"]*)"', tag)
        if name and (kind is None or kind[1] not in ("radio", "checkbox") or " checked" in tag):
            values[name[1]] = value[1] if value else ""
    for name, body in re.findall(r'<select name="([^"]*)".*?>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body) or re.search(r'value="([^"]*)"', body)
        values.setdefault(name, chosen[1] if chosen else "")
    for name, body in re.findall(r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', page, re.DOTALL):
        values.setdefault(name, body.strip())
    return {**values, **changes}


@pytest.fixture
def dana(people: People, as_person: Callable[..., Client]) -> Client:
    notebook_version()
    return as_person(people.dana)


def test_three_clicks_and_no_typing(people: People, dana: Client) -> None:
    assert dana.get("/environments/launch/")["Location"] == URL
    answer = dana.post(URL, filled(dana))
    environment = Environment.objects.get()
    assert answer["Location"] == f"/environments/{environment.pk}/?open"
    assert (environment.name, environment.team, environment.preset) == ("notebook", people.churn, "small")
    assert environment.ttl_seconds == 8 * 3600


def test_the_form_is_for_those_who_sign_in(as_person: Callable[..., Client], dana: Client) -> None:
    for url in ("/environments/launch/", URL):
        assert as_person().get(url).status_code == 302
    assert as_person().post(URL, {}).status_code == 302
    assert dana.get("/environments/launch/nothing/").status_code == 404


def test_who_is_in_no_team_reads_what_to_do(as_person: Callable[..., Client], dana: Client) -> None:
    page = as_person(UserFactory()).get(URL).content.decode()
    assert "You are in no team" in page


def test_a_chosen_size_fills_fields_that_were_left_alone(dana: Client) -> None:
    dana.post(URL, filled(dana, preset="large"))
    environment = Environment.objects.get()
    assert (environment.inputs["memory_gb"], environment.inputs["cpu"], environment.preset) == (8, 2, "large")


def test_what_was_typed_wins_over_the_size(dana: Client) -> None:
    dana.post(URL, filled(dana, preset="large", **{"input-memory_gb": "5"}))
    environment = Environment.objects.get()
    assert (environment.inputs["memory_gb"], environment.inputs["cpu"], environment.preset) == (5, 2, "")


def test_a_double_click_launches_once(dana: Client) -> None:
    form = filled(dana)
    answers = {dana.post(URL, form)["Location"] for _ in range(2)}
    assert Environment.objects.count() == len(answers) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Give it a name."),
        ({"name": "!!"}, "at least one letter or digit"),
        ({"team": "pricing"}, "Choose a team you belong to."),
        ({"ttl": "999999999"}, "Choose one of these times."),
        ({"input-memory_gb": "much"}, "Enter a number."),
        ({"input-memory_gb": "0"}, "Choose between 1 and 256 GB."),
        ({"input-cpu": "1.3"}, "Choose whole or half cores"),
        ({"input-repository": "ftp://x"}, "Give an address that starts with"),
        ({"input-environment_variables": "A-B=1"}, "Names of variables consist of letters"),
    ],
)
def test_mistakes_are_said_beside_their_field_and_nothing_typed_is_lost(
    dana: Client, changes: dict[str, str], said: str
) -> None:
    answer = dana.post(URL, filled(dana, **{"input-disk_gb": "37", **changes}))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert 'value="37"' in page
    assert not Environment.objects.exists()


def test_all_mistakes_are_shown_at_once(dana: Client) -> None:
    page = dana.post(URL, filled(dana, name="", **{"input-memory_gb": "0"})).content.decode()
    assert "Give it a name." in page
    assert "Choose between 1 and 256 GB." in page


def test_a_taken_name_is_said_beside_the_name(people: People, dana: Client) -> None:
    environment_make(people, name="study")
    answer = dana.post(URL, filled(dana, name="study"))
    assert answer.status_code == 422
    assert "You already have an environment “study”" in answer.content.decode()


def test_a_link_fills_the_form_but_never_a_secret(dana: Client) -> None:
    url = f"{URL}?preset=large&repo=https://example.com/r.git&memory_gb=12&secret_variables=A%3Ds3cr3t&name=Study&ttl=3600"
    asked = dana.get(url).content.decode().split('<form class="form-stack"')[1].split("</form>")[0]
    assert "A=s3cr3t" not in asked
    form = filled(dana, url)
    assert form["input-repository"] == "https://example.com/r.git"
    assert (form["input-memory_gb"], form["preset"], form["name"], form["ttl"]) == ("12", "large", "Study", "3600")


def test_a_secret_is_stored_encrypted_and_never_shown_again(people: People, dana: Client) -> None:
    dana.post(URL, filled(dana, **{"input-secret_variables": "TOKEN=s3cr3t-value"}))
    environment = Environment.objects.get()
    assert decrypt_json(bytes(environment.inputs_cipher))["secret_variables"] == {"TOKEN": "s3cr3t-value"}
    for page in ("", "settings/", "resources/", "logs/"):
        assert "s3cr3t-value" not in dana.get(f"/environments/{environment.pk}/{page}").content.decode()


def test_a_mistake_elsewhere_does_not_show_the_secret_again(dana: Client) -> None:
    page = dana.post(URL, filled(dana, name="", **{"input-secret_variables": "TOKEN=s3cr3t-value"})).content.decode()
    assert "s3cr3t-value" not in page


def test_the_team_last_used_is_chosen(people: People, dana: Client) -> None:
    environment_make(people, team=people.churn, name="before")
    assert filled(dana)["team"] == "churn"


def test_settings_change_an_environment(people: People, dana: Client) -> None:
    from tests.factories import change_of, environment_running

    environment = environment_running(people)
    url = f"/environments/{environment.pk}/"
    form = filled(dana, f"{url}settings/", preset="large")
    assert dana.post(f"{url}update/", form)["Location"] == url
    change = change_of(environment)
    assert (change.kind, decrypt_json(bytes(change.values))["memory_gb"]) == ("update", 8)
    Environment.objects.filter(pk=environment.pk).update(status="running")
    change.delete()
    refused = dana.post(f"{url}update/", {**form, "preset": "", "input-memory_gb": "0"})
    assert refused.status_code == 422
    assert "Choose between 1 and 256 GB." in refused.content.decode()
