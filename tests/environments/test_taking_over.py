"""Taking over: who may name what, nothing but addresses and ids gets through, and it never applies by itself."""

import copy
from collections.abc import Callable

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.catalog.models import ModuleVersion
from apps.core.exceptions import NotAllowed
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment
from apps.environments.services import (
    environment_launch,
    environment_retry,
    environment_start,
    environment_take_over,
    environment_update,
)
from apps.notifications.models import Notification
from apps.provisioning.imports import Import
from tests.factories import (
    MembershipFactory,
    People,
    change_drive,
    change_of,
    environment_running,
    notebook_version,
)

AsPerson = Callable[..., Client]
HOME = "slipway_volume.home"
ROW = {"to": HOME, "id": "vol-1"}


def opened() -> ModuleVersion:
    """A version that lets owners take the volume over."""
    interface = copy.deepcopy(notebook_version().interface)
    return notebook_version(version="2.0.0", interface=interface | {"takeover": {HOME: "The name of the old folder."}})


def launched(people: People, version: ModuleVersion | None = None, **wish: object) -> Environment:
    wish.setdefault("imports", [Import(**ROW)])
    wish.setdefault("name", "nb")
    return environment_launch(actor=people.dana, team=people.vision, module_version=version or opened(), **wish)


def test_owners_take_over_what_the_module_names_and_no_more(people: People) -> None:
    assert change_of(launched(people)).imports == [ROW]
    event = AuditEvent.objects.get(action="environments:environment:create")
    assert event.after["imports"] == [f"{HOME} = vol-1"]
    with pytest.raises(LaunchInvalid) as refused:
        launched(people, name="nb 2", imports=[Import(**ROW), Import("slipway_service.jupyterlab", "x")])
    assert list(refused.value.errors) == ["imports.1.to"]
    assert HOME in refused.value.errors["imports.1.to"][0]


def test_where_the_module_names_nothing_only_platform_engineers_take_over(people: People) -> None:
    with pytest.raises(LaunchInvalid):
        launched(people, notebook_version())
    MembershipFactory(user=people.pete, team=people.vision)
    environment = environment_launch(
        actor=people.pete,
        team=people.vision,
        module_version=notebook_version(),
        name="nb",
        imports=[Import("slipway_service.jupyterlab", "x")],
    )
    assert change_of(environment).imports == [{"to": "slipway_service.jupyterlab", "id": "x"}]


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([{"to": "x", "id": "y"}], "imports.0.to"),
        ([{"to": HOME, "id": " "}], "imports.0.id"),
        ([{"to": HOME, "id": "a\nb"}], "imports.0.id"),
        ([{"to": HOME, "id": "${file(1)}"}], "imports.0.id"),
        ([{"to": f'{HOME}"\n}}', "id": "y"}], "imports.0.to"),
        ([ROW, ROW], "imports.1.to"),
        ([ROW] * 60, "imports"),
    ],
)
def test_nothing_but_an_address_and_an_id_gets_through(
    people: People, as_person: AsPerson, rows: list[dict[str, str]], field: str
) -> None:
    version = opened()
    with pytest.raises(LaunchInvalid) as refused:
        launched(people, version, imports=[Import(**row) for row in rows])
    assert field in refused.value.errors
    asked = {"name": "nb", "team": "vision", "module": version.module.slug, "imports": rows}
    answer = as_person(people.dana).post("/api/v1/environments/", asked, content_type="application/json")
    assert answer.status_code == 400
    assert any(name.startswith("imports") for name in answer.json()["errors"]), answer.json()
    assert not Environment.objects.exists()


def test_trying_a_failed_launch_again_still_takes_over(people: People) -> None:
    environment = launched(people)
    change_drive(change_of(environment), "planning")
    change_drive(change_of(environment), "failed", code="provisioning:import")
    environment.refresh_from_db()
    assert "could not be found" in environment.status_reason
    environment_retry(environment=environment, actor=people.dana)
    assert change_of(environment).imports == [ROW]
    change_drive(change_of(environment))
    environment_update(environment=environment, actor=people.dana, inputs={"memory_gb": 4})
    assert change_of(environment).imports == []


def test_what_its_launch_was_to_take_over_can_be_named_anew_or_given_up(people: People) -> None:
    environment = launched(people)
    for imports in ([Import(HOME, "right")], []):
        change_drive(change_of(environment), "planning")
        change_drive(change_of(environment), "failed", code="provisioning:import")
        environment_take_over(environment=environment, actor=people.dana, imports=imports)
        change = change_of(environment)
        assert (change.kind, [row["id"] for row in change.imports]) == ("create", [row.id for row in imports])


def test_a_wrong_id_beside_a_running_environment_is_over_when_its_plan_failed(people: People) -> None:
    environment = environment_running(people, module_version=opened())
    environment_take_over(environment=environment, actor=people.dana, imports=[Import(**ROW)])
    change = change_of(environment)
    assert (change.kind, change.imports) == ("update", [ROW])
    change_drive(change, "planning")
    change_drive(change, "failed", code="provisioning:import")
    environment.refresh_from_db()
    assert environment.status == "running"
    environment_update(environment=environment, actor=people.dana, inputs={"memory_gb": 4})
    assert change_of(environment).imports == []


def test_one_that_broke_midway_goes_on_taking_over(people: People) -> None:
    environment = environment_running(people, module_version=opened())
    environment_take_over(environment=environment, actor=people.dana, imports=[Import(**ROW)])
    change_drive(change_of(environment), "applying")
    change_drive(change_of(environment), "failed", code="terraform-failed")
    environment_start(environment=environment, actor=people.dana)
    assert change_of(environment).imports == [ROW]


def test_who_may(people: People, as_person: AsPerson) -> None:
    environment = environment_running(people, module_version=opened())
    url = f"/environments/{environment.pk}/take-over/"
    wanted = {"dana": 200, "pete": 200, "mira": 403, "ada": 403, "mallory": 404}
    assert {name: as_person(getattr(people, name)).get(url).status_code for name in wanted} == wanted
    for name in ("mira", "ada"):
        with pytest.raises(NotAllowed):
            environment_take_over(environment=environment, actor=getattr(people, name), imports=[Import(**ROW)])
    closed = environment_running(people, name="closed", module_version=notebook_version())
    assert as_person(people.dana).get(f"/environments/{closed.pk}/take-over/").status_code == 403


def test_the_page_shows_what_is_taken_over_and_waits(people: People, as_person: AsPerson) -> None:
    environment = environment_running(people, module_version=opened())
    dana = as_person(people.dana)
    url = f"/environments/{environment.pk}/take-over/"
    assert "The name of the old folder." in dana.get(url).content.decode()
    assert dana.post(url, {"takeover-id0": ""}).status_code == 422
    assert dana.post(url, {"takeover-id0": "${x}"}).status_code == 422
    assert dana.post(url, {"takeover-id0": "vol-1"}).status_code == 302
    change = change_of(environment)
    taken = {"address": HOME, "type": "slipway_volume", "name": "home", "action": "import", "importing": "vol-1"}
    change_drive(change, "planning")
    plan = {"resources": [taken], "lost": []}
    change_drive(change, "awaiting_approval", plan_hash="a" * 64, plan=plan)
    page = dana.get(f"/environments/{environment.pk}/changes/{change.pk}/").content.decode()
    for words in ("Take over", "id vol-1", "Apply change"):
        assert words in page
    assert Notification.objects.filter(user=people.dana, text__contains="would take over").exists()
    shown = dana.get(f"/api/v1/changes/{change.pk}/plan/").json()
    assert (shown["takes_over"], shown["lost"], shown["confirm"]) == (True, [], None)
    assert dana.get(f"/api/v1/changes/{change.pk}/").json()["imports"] == [ROW]


def test_the_launch_page_asks_for_it_only_when_told(people: People, as_person: AsPerson) -> None:
    version = opened()
    url = f"/environments/launch/{version.module.slug}/"
    dana = as_person(people.dana)
    plain = dana.get(url).content.decode()
    assert "?takeover=1" in plain
    assert "takeover-id0" not in plain
    assert "takeover-id0" in dana.get(f"{url}?takeover=1").content.decode()
    assert "takeover-others" not in dana.get(f"{url}?takeover=1").content.decode()
    form = {
        "name": "taken", "team": "vision", "preset": "small", "shown_preset": "small", "ttl": "3600", "input-cpu": "1",
        "input-memory_gb": "2", "takeover": "1",
    }  # fmt: skip
    wrong = dana.post(url, form | {"takeover-id0": "a${b}"})
    assert (wrong.status_code, "plain text" in wrong.content.decode()) == (422, True)
    assert dana.post(url, form | {"takeover-id0": "vol-1"}).status_code == 302
    assert change_of(Environment.objects.get(name="taken")).imports == [ROW]


def test_free_lines_name_the_line_that_is_wrong(people: People, as_person: AsPerson) -> None:
    environment = environment_running(people, module_version=opened())
    pete = as_person(people.pete)
    url = f"/environments/{environment.pk}/take-over/"
    answer = pete.post(url, {"takeover-others": f"{HOME} = vol=1\nnonsense\n"})
    assert answer.status_code == 422
    assert "Line 2:" in answer.content.decode()
    assert pete.post(url, {"takeover-others": f"{HOME} = vol=1\n"}).status_code == 302
    assert change_of(environment).imports == [{"to": HOME, "id": "vol=1"}]


def test_through_the_api(people: People, as_person: AsPerson) -> None:
    environment = environment_running(people, module_version=opened())
    url = f"/api/v1/environments/{environment.pk}/take-over/"
    dana = as_person(people.dana)
    assert dana.post(url, {}, content_type="application/json").status_code == 400
    assert dana.post(url, {"imports": []}, content_type="application/json").status_code == 400
    answer = dana.post(url, {"imports": [ROW]}, content_type="application/json")
    assert answer.status_code == 200
    assert as_person(people.mira).post(url, {"imports": [ROW]}, content_type="application/json").status_code == 403
