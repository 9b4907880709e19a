"""Every page and button: anonymous, stranger, teammate, auditor, owner; without JavaScript."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.environments.models import Environment
from apps.provisioning.models import Change, LogLine
from tests.factories import People, ServiceStatusFactory, change_drive, change_of, environment_make, environment_running

PAGES = [
    "",
    "logs/",
    "resources/",
    "settings/",
    "row/",
    "part/header/",
    "part/overview/",
    "part/activity/",
    "part/resources/",
]
POSTS = ["stop/", "start/", "extend/", "destroy/", "retry/", "refresh/", "reconcile/", "upgrade/", "update/"]


def at(environment: Environment, rest: str = "") -> str:
    return f"/environments/{environment.pk}/{rest}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_open_to_those_who_may_see_it(
    people: People, running: Environment, as_person: Callable[..., Client], page: str
) -> None:
    for name, status in {"dana": 200, "mira": 200, "pete": 200, "ada": 200, "mallory": 404}.items():
        assert as_person(getattr(people, name)).get(at(running, page)).status_code == status, name
    answer = as_person().get(at(running, page))
    assert answer.status_code == 302
    assert "sign" in answer.headers["Location"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", ["queued", "applying", "failed", "stopping", "destroyed", "awaiting"])
def test_a_page_stands_in_every_state(people: People, as_person: Callable[..., Client], page: str, state: str) -> None:
    environment = in_state(people, state)
    assert as_person(people.dana).get(at(environment, page)).status_code == 200


def in_state(people: People, state: str) -> Environment:
    from apps.environments.services import environment_destroy, environment_stop, environment_update

    if state in ("queued", "applying", "failed"):
        environment = environment_make(people)
        change = change_of(environment)
        if state != "queued":
            change_drive(change, "applying")
        if state == "failed":
            change_drive(change, "failed", code="provisioning:health-timeout", detail="Error: it did not answer")
        return environment
    environment = environment_running(people)
    if state == "stopping":
        environment_stop(environment=environment, actor=people.dana)
    elif state == "awaiting":
        environment_update(environment=environment, actor=people.dana, inputs={"memory_gb": 8})
        change_drive(change_of(environment), "planning")
        change_drive(change_of(environment), "awaiting_approval", plan_hash="a" * 64, plan=PLAN)
    else:
        environment_destroy(environment=environment, actor=people.dana, confirm="nb")
        change_drive(change_of(environment))
    return environment


PLAN = {
    "destructive": True,
    "resources": [
        {
            "address": "slipway_volume.home",
            "type": "slipway_volume",
            "name": "home",
            "action": "replace",
            "attributes": [{"name": "name", "before": "a", "after": "b"}],
        },
        {"address": "slipway_runtime.python", "type": "slipway_runtime", "name": "python", "action": "no-op"},
    ],
}


@pytest.mark.parametrize("verb", POSTS)
def test_a_button_is_refused_to_those_who_only_look(
    people: People, running: Environment, as_person: Callable[..., Client], verb: str
) -> None:
    for name, status in {"ada": 403, "mallory": 404}.items():
        answer = as_person(getattr(people, name)).post(at(running, verb), {"seconds": 3600, "confirm": "nb"})
        assert answer.status_code == status, name
    assert as_person().post(at(running, verb)).status_code == 302
    shown = 200 if verb in ("destroy/", "upgrade/", "stop/") else 405
    assert as_person(people.dana).get(at(running, verb)).status_code == shown
    assert not Change.objects.active().exists()


def test_stop_start_extend_and_destroy_work_as_plain_forms(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    dana = as_person(people.dana)
    before = running.expires_at
    assert dana.post(at(running, "extend/"), {"seconds": 3600}).status_code == 302
    running.refresh_from_db()
    assert (running.expires_at - before).total_seconds() == 3600
    assert dana.post(at(running, "stop/"))["Location"] == at(running)
    change_drive(change_of(running))
    assert dana.post(at(running, "start/"), {"open": "1"})["Location"] == at(running, "?open=")
    change_drive(change_of(running))
    refused = dana.post(at(running, "destroy/"), {"confirm": "wrong"})
    assert refused.status_code == 422
    assert "This is not the name of the environment." in refused.content.decode()
    assert dana.post(at(running, "destroy/"), {"confirm": "nb"}).status_code == 302
    assert change_of(running).kind == "destroy"


def test_every_form_of_a_page_carries_the_token_that_a_post_needs(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    def posting(url: str) -> list[str]:
        page = as_person(people.dana).get(url).content.decode()
        forms = [part.split("</form>")[0] for part in page.split("<form")[1:]]
        return [form for form in forms if 'method="post"' in form]

    assert len(posting(at(running))) >= 3
    stopped = environment_running(people, name="stopped")
    as_person(people.dana).post(at(stopped, "stop/"))
    change_drive(change_of(stopped))
    lists = ["/environments/", at(stopped, "row/"), at(stopped, "open/"), at(stopped, "part/header/")]
    for url in [
        *lists,
        at(running),
        at(running, "settings/"),
        at(running, "destroy/"),
        "/environments/launch/local-notebook/",
    ]:
        assert posting(url), url
        assert [form for form in posting(url) if "csrfmiddlewaretoken" not in form] == [], url


def test_what_a_person_may_not_do_has_no_button(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    def page(user: Any) -> str:
        return as_person(user).get(at(running)).content.decode()

    assert "Open JupyterLab" in page(people.dana)
    for name, shown in {"mira": {"stop"}, "pete": {"stop", "refresh", "destroy"}, "ada": set()}.items():
        text = page(getattr(people, name))
        assert "Open JupyterLab" not in text
        buttons = {verb for verb in ("stop", "extend", "destroy", "refresh") if f"/{verb}/" in text}
        assert buttons == shown, name


def test_a_failed_launch_tells_why_with_the_diagnostic_below(people: People, as_person: Callable[..., Client]) -> None:
    page = as_person(people.dana).get(at(in_state(people, "failed"))).content.decode()
    assert "The application started but did not answer in time." in page
    assert "Error: it did not answer" in page
    assert "Try again" in page
    assert "Couldn&#x27;t start" in page


def test_progress_shows_the_step_and_how_long_it_usually_takes(
    people: People, queued: Environment, as_person: Callable[..., Client]
) -> None:
    dana = as_person(people.dana)
    page = dana.get(at(queued, "part/overview/")).content.decode()
    assert "In line" in page
    assert "no estimate yet" in page
    change = change_drive(change_of(queued), "applying")
    Change.objects.filter(pk=change.pk).update(step="Python packages", steps_done=1, steps_total=3)
    page = dana.get(at(queued, "part/overview/")).content.decode()
    assert "2 of 3: Python packages" in page
    assert "Cancel" in page


# The list ------------------------------------------------------------------------------------------------------------


def test_the_list_shows_mine_my_teams_and_all(people: People, as_person: Callable[..., Client]) -> None:
    environment_make(people, name="of dana")
    environment_make(people, owner=people.mira, name="of mira")
    environment_make(people, owner=people.mallory, team=people.pricing, name="of mallory")

    def names(user: Any, query: str = "") -> set[str]:
        text = as_person(user).get(f"/environments/{query}").content.decode()
        return {name for name in ("of dana", "of mira", "of mallory") if f">{name}<" in text}

    assert names(people.dana) == {"of dana"}
    assert names(people.dana, "?scope=team") == {"of dana", "of mira"}
    assert names(people.dana, "?scope=all") == {"of dana", "of mira"}
    assert names(people.ada) == {"of dana", "of mira", "of mallory"}
    assert names(people.pete, "?scope=mine") == set()
    assert names(people.dana, "?scope=team&q=mira") == {"of mira"}
    assert names(people.dana, "?status=running") == set()
    assert names(people.dana, "?status=queued&team=vision&module=local-notebook") == {"of dana"}


@pytest.mark.parametrize(
    "ordering", ["name", "-name", "status", "team", "module", "owner", "created", "expires", "-expires"]
)
def test_the_list_is_paged_in_every_order(
    people: People, as_person: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, ordering: str
) -> None:
    monkeypatch.setattr("apps.environments.views.listing.PAGE_SIZE", 2)
    made = {environment_make(people, name=f"nb{number}").name for number in range(5)}
    client, url, found = as_person(people.dana), f"/environments/?ordering={ordering}", []
    for _ in range(3):
        answer = client.get(url)
        found += [row["environment"].name for row in answer.context["rows"]]
        assert answer.context["count"] == 5
        url = "/environments/" + (answer.context["next_url"] or "")
    assert sorted(found) == sorted(made)


def test_the_list_takes_the_same_queries_for_many_rows(people: People, as_person: Callable[..., Client]) -> None:
    def queries() -> int:
        client = as_person(people.dana)
        client.get("/environments/")
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get("/environments/?scope=team")
        return len(seen)

    environment_make(people, name="first")
    few = queries()
    for number in range(6):
        environment_running(people, name=f"nb{number}", owner=people.mira)
    assert queries() == few


@pytest.mark.parametrize("page", ["", "part/activity/", "settings/"])
def test_a_page_takes_the_same_queries_for_a_long_history(
    people: People, running: Environment, as_person: Callable[..., Client], page: str
) -> None:
    from apps.environments.services import environment_start, environment_stop

    def queries() -> int:
        client = as_person(people.dana)
        client.get(at(running, page))
        with CaptureQueriesContext(connection) as seen:
            client.get(at(running, page))
        return len(seen)

    few = queries()
    for act in (environment_stop, environment_start) * 2:
        act(environment=running, actor=people.dana)
        change_drive(change_of(running))
    assert queries() == few


def test_an_empty_list_says_what_to_do_next(people: People, as_person: Callable[..., Client]) -> None:
    page = as_person(people.mira).get("/environments/").content.decode()
    assert "None yet" in page
    assert "/environments/launch/" in page


# A change ------------------------------------------------------------------------------------------------------------


def test_a_plan_that_replaces_something_waits_for_the_owners_click(
    people: People, as_person: Callable[..., Client]
) -> None:
    environment = in_state(people, "awaiting")
    change = change_of(environment)
    url = at(environment, f"changes/{change.pk}/")
    page = as_person(people.dana).get(url).content.decode()
    assert "Your files" in page
    assert "Replace" in page
    assert "Will be lost" in page
    assert "apply change" in page
    assert "slipway_runtime.python" not in page
    assert "apply change" not in as_person(people.mira).get(url).content.decode()
    assert as_person(people.mira).post(f"{url}apply/", {"plan_hash": "a" * 64}).status_code == 403
    assert as_person(people.mallory).post(f"{url}apply/").status_code == 404
    as_person(people.dana).post(f"{url}apply/", {"plan_hash": "b" * 64})
    change.refresh_from_db()
    assert change.status == "awaiting_approval"
    refused = as_person(people.dana).post(f"{url}apply/", {"plan_hash": "a" * 64, "confirm": "another"})
    assert refused.status_code == 422
    assert "This is not the name of the environment" in refused.content.decode()
    change.refresh_from_db()
    assert change.status == "awaiting_approval"
    as_person(people.dana).post(f"{url}apply/", {"plan_hash": "a" * 64, "confirm": environment.name})
    change.refresh_from_db()
    assert (change.status, change.approved_by) == ("planned", people.dana)


def test_only_the_body_of_a_change_follows_it(people: People, as_person: Callable[..., Client]) -> None:
    environment = in_state(people, "awaiting")
    page = as_person(people.dana).get(at(environment, f"changes/{change_of(environment).pk}/")).content.decode()
    assert page.count(f"changes/{change_of(environment).pk}/part/") == 1


def test_a_plan_can_be_discarded(people: People, as_person: Callable[..., Client]) -> None:
    environment = in_state(people, "awaiting")
    url = at(environment, f"changes/{change_of(environment).pk}/")
    as_person(people.dana).post(f"{url}discard/")
    environment.refresh_from_db()
    assert environment.status == "running"


def test_a_change_can_be_cancelled_by_its_owner_only(
    people: People, queued: Environment, as_person: Callable[..., Client]
) -> None:
    url = at(queued, f"changes/{change_of(queued).pk}/")
    for part in ("", "part/"):
        for name, status in {"dana": 200, "mira": 200, "ada": 200, "mallory": 404}.items():
            assert as_person(getattr(people, name)).get(url + part).status_code == status
    assert as_person(people.mira).post(f"{url}cancel/").status_code == 403
    assert as_person(people.dana).post(f"{url}end/").status_code == 403
    as_person(people.dana).post(f"{url}cancel/")
    assert change_of(queued).status == "cancelled"


def test_a_change_is_found_under_its_own_environment_only(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    other = environment_make(people, name="other")
    assert as_person(people.dana).get(at(other, f"changes/{change_of(running).pk}/")).status_code == 404


# Logs ----------------------------------------------------------------------------------------------------------------


def test_missed_lines_are_given_in_order(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    change = change_of(running)
    LogLine.objects.bulk_create(
        LogLine(
            workspace_id=running.pk, change=change, stream="build", number=n, at=change.created_at, text=f"line {n}"
        )
        for n in range(1, 6)
    )
    dana = as_person(people.dana)
    lines = dana.get(at(running, "log/?stream=build&after=3")).json()["lines"]
    assert [(line["n"], line["text"], line["level"]) for line in lines] == [
        (4, "line 4", "info"),
        (5, "line 5", "info"),
    ]
    assert dana.get(at(running, "log/?stream=application&after=0")).json() == {"lines": []}
    for query in ("", "?stream=x", "?stream=build&after=-1", "?stream=build&change=x"):
        assert dana.get(at(running, f"log/{query}")).status_code == 404
    assert as_person(people.mallory).get(at(running, "log/?stream=build")).status_code == 404
    text = b"".join(dana.get(at(running, "log/download/?stream=build")).streaming_content).decode()
    assert [line.split(maxsplit=2)[2] for line in text.splitlines()] == [f"line {n}" for n in range(1, 6)]
    page = dana.get(at(running, "logs/?stream=build")).content.decode()
    assert page.index("line 1") < page.index("line 5")


# Opening -------------------------------------------------------------------------------------------------------------


def test_the_owner_of_a_running_environment_is_sent_to_its_own_host(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    dana = as_person(people.dana)
    first = dana.get(at(running, "open/"))
    assert first["Location"] == f"http://{running.slug}.apps.localhost:8000/lab"
    ticket = dana.get(f"/environments/open/{running.slug}/?path=/lab/tree/a.ipynb&challenge={'0' * 64}")
    assert ticket["Location"].startswith(f"http://{running.slug}.apps.localhost:8000/_slipway/ticket?t=")
    running.refresh_from_db()
    assert running.last_used_at


def test_nobody_else_opens_it(people: People, running: Environment, as_person: Callable[..., Client]) -> None:
    for url in (at(running, "open/"), f"/environments/open/{running.slug}/", at(running, "open/waiting/")):
        for name in ("mira", "pete", "ada", "mallory"):
            assert as_person(getattr(people, name)).get(url).status_code == 404, (name, url)
        assert as_person().get(url).status_code == 302


def test_a_bookmark_to_a_stopped_environment_starts_nothing_by_itself(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    dana = as_person(people.dana)
    dana.post(at(running, "stop/"))
    change_drive(change_of(running))
    page = dana.get(f"/environments/open/{running.slug}/?path=/lab/tree/a.ipynb").content.decode()
    assert "Start and open" in page
    assert "Stopped by Dana" in page
    assert not Change.objects.active().exists()
    moved = dana.post(at(running, "start/"), {"open": "1", "path": "/lab/tree/a.ipynb"})
    assert moved["Location"] == at(running, "?open=%2Flab%2Ftree%2Fa.ipynb")
    page = dana.get(moved["Location"]).content.decode()
    assert "This tab moves on to JupyterLab when it is ready." in page
    change_drive(change_of(running))
    waiting = at(running, "open/waiting/?path=/lab/tree/a.ipynb")
    fragment = dana.get(waiting, headers={"HX-Request": "true", "X-Live": "true"})
    assert 'hx-trigger="load"' in fragment.content.decode()
    onward = dana.get(waiting, headers={"HX-Request": "true"})
    assert onward.headers["HX-Redirect"] == at(running, "open/?path=%2Flab%2Ftree%2Fa.ipynb")


@pytest.mark.parametrize("path", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_a_path_never_leads_to_another_host(
    people: People, running: Environment, as_person: Callable[..., Client], path: str
) -> None:
    answer = as_person(people.dana).get(at(running, "open/"), {"path": path})
    assert answer["Location"].startswith(f"http://{running.slug}.apps.localhost:8000/")
    assert "evil" not in answer["Location"]


def test_memory_in_use_is_shown_against_its_limit(
    people: People, running: Environment, as_person: Callable[..., Client]
) -> None:
    from django.utils import timezone

    ServiceStatusFactory(
        workspace=running.workspace, memory_bytes=2**30, isolation="bubblewrap", observed_at=timezone.now()
    )
    page = as_person(people.dana).get(at(running, "part/overview/")).content.decode()
    assert "1.0 GB of 2.0 GB" in page
    assert "From everybody else" in page
    assert 'title="bubblewrap"' in page, "the technical name is there for who looks for it"
