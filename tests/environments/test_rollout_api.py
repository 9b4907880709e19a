"""Rollouts through the API."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.environments.models import Environment, Rollout
from apps.environments.services.rollouts import rollout_advance
from tests.environments.versions import required, version_with
from tests.factories import People, change_drive, change_of, environment_running

URL = "/api/v1/rollouts/"
AsPerson = Callable[..., Client]


def test_a_rollout_from_look_to_end(people: People, as_person: AsPerson) -> None:
    for number in range(2):
        environment_running(people, name=f"nb{number}")
    version_with("2.0.0", required("seed"))
    pete = as_person(people.pete)

    def post(url: str, data: object = None) -> object:
        return pete.post(url, data or {}, content_type="application/json")

    wish = {"module": "local-notebook", "wave_size": 1}
    looked = post(f"{URL}look/", wish).json()
    assert [(row["environment_name"], row["verdict"]) for row in looked] == [
        ("nb0", "needs_input"),
        ("nb1", "needs_input"),
    ]
    made = post(URL, wish | {"inputs": {"seed": "1"}})
    assert made.status_code == 201
    rollout = made.json()
    assert (rollout["version"], rollout["waves"], rollout["counts"]) == ("2.0.0", 2, {"waiting": 2})
    url = f"{URL}{rollout['id']}/"
    rollout_advance(rollout_id=rollout["id"])
    items = pete.get(f"{url}items/").json()["results"]
    assert [item["state"] for item in items] == ["planning", "waiting"]
    assert items[0]["change"] == str(change_of(Environment.objects.get(name="nb0")).pk)
    assert post(f"{url}skip/", {"environment": items[0]["environment"]}).status_code == 409
    assert post(f"{url}skip/", {"environment": items[1]["environment"]}).json()["counts"]["skipped"] == 1
    change_drive(change_of(Environment.objects.get(name="nb0")))
    rollout_advance(rollout_id=rollout["id"])
    assert pete.get(url).json()["state"] == "finished"
    assert post(f"{url}continue/").status_code == 409
    assert pete.get(f"{URL}?module=local-notebook&state=finished").json()["count"] == 1
    found = pete.get("/api/v1/environments/?module=local-notebook&version=2.0.0").json()["results"]
    assert [row["name"] for row in found] == ["nb0"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "module"),
        ({"module": "none"}, "module"),
        ({"module": "local-notebook", "version": "9.9.9"}, "version"),
        ({"module": "local-notebook", "team": "none"}, "team"),
        ({"module": "local-notebook", "wave_size": 0}, "wave_size"),
        ({"module": "local-notebook", "environments": ["x"]}, "environments"),
        ({"module": "local-notebook", "inputs": {"sed": 1}}, "inputs.sed"),
        ({"module": "local-notebook", "environments": []}, "scope"),
    ],
)
def test_each_mistake_names_its_field(people: People, as_person: AsPerson, wish: dict[str, object], field: str) -> None:
    environment_running(people, name="nb0")
    version_with("2.0.0")
    answer = as_person(people.pete).post(URL, wish, content_type="application/json")
    assert answer.status_code == 400
    assert any(name.startswith(field) for name in answer.json()["errors"]), answer.json()
    assert not Rollout.objects.exists()


def test_others_see_none_and_auditors_change_none(people: People, as_person: AsPerson) -> None:
    environment_running(people, name="nb0")
    version_with("2.0.0")
    pete = as_person(people.pete)
    made = pete.post(URL, {"module": "local-notebook"}, content_type="application/json").json()
    for name, seen in {"dana": 404, "mallory": 404, "ada": 200}.items():
        person = as_person(getattr(people, name))
        assert person.get(f"{URL}{made['id']}/").status_code == seen
        assert person.post(URL, {"module": "local-notebook"}, content_type="application/json").status_code == 403
        assert person.post(f"{URL}{made['id']}/stop/").status_code == (403 if seen == 200 else 404)
    assert as_person(people.dana).get(URL).json()["count"] == 0
