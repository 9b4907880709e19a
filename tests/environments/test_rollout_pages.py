"""Pages of rollouts, by role: who is meant, what happens, and the buttons."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.services.rollouts import rollout_advance, rollout_start
from apps.environments.services.values import inputs_plain
from tests.environments.versions import required, version_with, without
from tests.factories import People, change_drive, change_of, environment_running

AsPerson = Callable[..., Client]
NEW = "/environments/rollouts/new/local-notebook/"


def started(people: People, **wish: int) -> Rollout:
    rollout = rollout_start(actor=people.pete, version=version_with("2.0.0"), **wish)
    rollout_advance(rollout_id=rollout.pk)
    return rollout


def test_the_page_under_the_module_counts_versions_and_names_environments(people: People, as_person: AsPerson) -> None:
    environment_running(people, name="nb0")
    version_with("2.0.0")
    page = as_person(people.pete).get("/environments/versions/local-notebook/").content.decode()
    for words in ("nb0", "Roll out 2.0.0", "1 environment", "Upgrade the chosen ones"):
        assert words in page
    shown = as_person(people.pete).get("/environments/versions/local-notebook/?version=2.0.0").content.decode()
    assert "nb0" not in shown
    assert "Roll out" not in as_person(people.ada).get("/environments/versions/local-notebook/").content.decode()


@pytest.mark.parametrize(
    ("url", "who"),
    [
        ("versions/local-notebook/", {"pete": 200, "ada": 200, "dana": 403, "mira": 403, "mallory": 403}),
        ("versions/none/", {"pete": 404, "dana": 404}),
        ("rollouts/", {"pete": 200, "ada": 200, "dana": 403}),
        ("rollouts/new/local-notebook/", {"pete": 200, "ada": 403, "dana": 403}),
        ("rollouts/{pk}/", {"pete": 200, "ada": 200, "dana": 404, "mira": 404, "mallory": 404}),
        ("rollouts/{pk}/part/", {"pete": 200, "ada": 200, "dana": 404}),
        ("rollouts/{pk}/values/", {"pete": 200, "ada": 403, "dana": 404}),
    ],
)
def test_who_sees_what(people: People, as_person: AsPerson, url: str, who: dict[str, int]) -> None:
    environment_running(people, name="nb0")
    address = "/environments/" + url.format(pk=started(people).pk)
    assert {name: as_person(getattr(people, name)).get(address).status_code for name in who} == who
    assert as_person().get(address).status_code == 302


@pytest.mark.parametrize("verb", ["continue/", "stop/", "skip/{env}/", "values/"])
def test_buttons_are_a_platform_engineers(people: People, as_person: AsPerson, verb: str) -> None:
    environment = environment_running(people, name="nb0")
    rollout = started(people)
    url = f"/environments/rollouts/{rollout.pk}/" + verb.format(env=environment.pk)
    assert as_person(people.ada).post(url).status_code == 403
    assert as_person(people.dana).post(url).status_code == 404
    rollout.refresh_from_db()
    assert rollout.state == "running"


def test_a_rollout_from_the_preview_to_its_end(people: People, as_person: AsPerson) -> None:
    for number in range(2):
        environment_running(people, name=f"nb{number}", inputs={"repository": "https://example.com/a.git"})
    version_with("2.0.0", without("repository"), required("seed"))
    pete = as_person(people.pete)
    preview = pete.get(NEW, {"version": "2.0.0", "wave_size": "1"}).content.decode()
    for words in ("nb0", "nb1", "Needs values", "is dropped", "Upgrade 2 environments to 2.0.0", 'name="input-seed"'):
        assert words in preview
    sent = {"version": "2.0.0", "wave_size": "1", "team": "", "input-seed": "7"}
    answer = pete.post(NEW, sent)
    rollout = Rollout.objects.get()
    assert answer.url == f"/environments/rollouts/{rollout.pk}/"
    rollout_advance(rollout_id=rollout.pk)
    page = pete.get(answer.url).content.decode()
    assert "0 of 2 settled" in page
    assert "wave 1 of 2" in page
    change = change_of(Environment.objects.get(name="nb0"))
    assert f"changes/{change.pk}/" in page
    change_drive(change)
    pete.post(f"{answer.url}skip/{Environment.objects.get(name='nb1').pk}/")
    rollout_advance(rollout_id=rollout.pk)
    rollout.refresh_from_db()
    assert rollout.state == "finished"
    assert inputs_plain(Environment.objects.get(name="nb0"))["seed"] == "7"


def test_values_can_be_given_on_a_page_later(people: People, as_person: AsPerson) -> None:
    environment_running(people, name="nb0")
    version_with("2.0.0", required("seed"))
    pete = as_person(people.pete)
    url = pete.post(NEW, {"version": "2.0.0", "wave_size": "1", "input-seed": ""}).url
    rollout = Rollout.objects.get()
    rollout_advance(rollout_id=rollout.pk)
    assert "Give values" in pete.get(url).content.decode()
    assert 'name="input-seed"' in pete.get(f"{url}values/").content.decode()
    pete.post(f"{url}values/", {"input-seed": "8"})
    rollout_advance(rollout_id=rollout.pk)
    assert inputs_plain(Environment.objects.get(name="nb0"))["seed"] == "8"


@pytest.mark.parametrize(
    "wish",
    [
        {"version": "9.9.9"},
        {"wave_size": "0"},
        {"wave_size": "x"},
        {"team": "nobody"},
        {"environment": "not-an-id"},
        {"version": "x" * 5000},
        {"environment": ["00000000-0000-0000-0000-000000000000"]},
    ],
)
def test_what_cannot_be_is_said_beside_its_field(people: People, as_person: AsPerson, wish: dict[str, str]) -> None:
    environment_running(people, name="nb0")
    version_with("2.0.0")
    sent = {"version": "2.0.0", "wave_size": "2", **wish}
    for ask in (as_person(people.pete).get, as_person(people.pete).post):
        assert ask(NEW, sent).status_code in (200, 422)
    assert not Rollout.objects.exists()


def test_chosen_ones_only(people: People, as_person: AsPerson) -> None:
    environments = [environment_running(people, name=f"nb{number}") for number in range(3)]
    version_with("2.0.0")
    named = [str(environment.pk) for environment in environments[:2]]
    preview = as_person(people.pete).get(NEW, {"environment": named}).content.decode()
    assert "Upgrade 2 environments" in preview
    as_person(people.pete).post(NEW, {"version": "2.0.0", "wave_size": "5", "environment": named})
    assert set(Rollout.objects.get().items.values_list("environment__name", flat=True)) == {"nb0", "nb1"}


def test_a_paused_one_offers_three_ways_on(people: People, as_person: AsPerson) -> None:
    environment = environment_running(people, name="nb0")
    rollout = started(people)
    change_drive(change_of(environment), "planning")
    change_drive(change_of(environment), "failed", code="terraform-failed")
    rollout_advance(rollout_id=rollout.pk)
    url = f"/environments/rollouts/{rollout.pk}/"
    page = as_person(people.pete).get(url).content.decode()
    for button in ("Continue", "Skip this one", "Stop rollout"):
        assert button in page
    assert "Continue</button>" not in as_person(people.ada).get(url).content.decode()
    as_person(people.pete).post(f"{url}continue/")
    rollout.refresh_from_db()
    assert rollout.state == "running"
    as_person(people.pete).post(f"{url}stop/")
    rollout.refresh_from_db()
    assert rollout.state == "stopped"


def test_pages_ask_the_database_as_often_for_many_as_for_few(people: People, as_person: AsPerson) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert as_person(people.pete).get(url).status_code == 200
        return len(asked)

    environment_running(people, name="one")
    rollout = started(people, wave_size=9)
    environment_running(people, name="nb0")
    version_with("2.1.0")
    urls = (
        f"/environments/rollouts/{rollout.pk}/",
        "/environments/versions/local-notebook/",
        f"{NEW}?version=2.1.0",
        f"/api/v1/rollouts/{rollout.pk}/items/",
    )
    few = [queries(url) for url in urls]
    first = rollout.items.get()
    for number in range(1, 5):
        RolloutItem.objects.create(
            rollout=rollout,
            environment=environment_running(people, name=f"nb{number}"),
            wave=1,
            position=number,
            from_version=first.from_version,
            state="done",
        )
    assert few == [queries(url) for url in urls]


def test_only_the_body_follows_the_rollout(people: People, as_person: AsPerson) -> None:
    """A header that followed it as well would be replaced by the body at the first event."""
    environment_running(people, name="nb0")
    rollout = started(people)
    page = as_person(people.pete).get(f"/environments/rollouts/{rollout.pk}/").content.decode()
    assert page.count(f'data-live-topic="{rollout.topic}"') == 1
