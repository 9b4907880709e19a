"""The page each role lands on, the shell around every page, and search."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.environments.models import Environment
from apps.notifications.services import notify
from apps.provisioning.models import Change
from tests.cast import Cast, browser
from tests.factories import environment_make, environment_running


def home(user: Any, **query: str) -> Any:
    return browser(user).get("/", query)


def test_a_member_without_anything_is_shown_the_way_to_launch(cast: Cast) -> None:
    page = home(cast.dana).content.decode()
    assert "No environment yet" in page
    assert f'href="{reverse("environments:launch")}"' in page


def test_a_member_continues_where_they_left(cast: Cast) -> None:
    old, new = environment_running(cast, name="nb-older"), environment_running(cast, name="nb-newer")
    Environment.objects.filter(pk=old.pk).update(last_used_at=timezone.now(), status="running")
    Environment.objects.filter(pk=new.pk).update(status="stopped")
    answer = home(cast.dana)
    assert [row["environment"].name for row in answer.context["own"]] == ["nb-older", "nb-newer"]
    assert [row["action"]["label"] for row in answer.context["own"]] == ["Open", "Start"]
    page = answer.content.decode()
    assert reverse("environments:open", args=[old.pk]) in page
    assert f'action="{reverse("environments:start", args=[new.pk])}"' in page
    assert "nb-older" not in home(cast.mallory).content.decode()
    assert home(cast.dana, team="churn").context["own"] == []


def test_what_needs_a_person_is_on_their_page(cast: Cast) -> None:
    environment = environment_make(cast)
    Change.objects.filter(workspace_id=environment.pk).update(status=Change.Status.AWAITING_APPROVAL)
    notify(user=cast.dana, text="nb stops in 15 min", level="action")
    page = home(cast.dana).content.decode()
    assert "waits for your click" in page
    assert "nb stops in 15 min" in page


def test_a_manager_sees_what_waits_fails_and_idles_in_the_team(cast: Cast) -> None:
    waiting, failed, idle, busy = (environment_make(cast, name=f"nb{number}") for number in range(4))
    long_ago = timezone.now() - timedelta(hours=5)
    Environment.objects.filter(pk=waiting.pk).update(status="awaiting_approval")
    Environment.objects.filter(pk=failed.pk).update(status="failed", failure="crash")
    Environment.objects.filter(pk__in=[idle.pk, busy.pk]).update(status="running", status_since=long_ago)
    Environment.objects.filter(pk=busy.pk).update(kernels_busy_since=long_ago)
    context = home(cast.mira).context
    for part, expected in (("team_waiting", waiting), ("team_failed", failed), ("team_idle", idle)):
        assert [row["environment"].pk for row in context[part]] == [expected.pk]
    assert "managed" not in home(cast.dana).context


def test_a_platform_engineer_sees_failures_line_and_times(cast: Cast) -> None:
    environment_running(cast, name="done")
    environment = environment_make(cast, name="broken")
    Change.objects.filter(workspace_id=environment.pk).update(
        status="failed", failure_code="provisioning:health", finished_at=timezone.now()
    )
    environment_make(cast, name="queued")
    answer = home(cast.pete)
    assert answer.context["failures"] == [{"failure_code": "provisioning:health", "count": 1, "people": 1}]
    (module,) = answer.context["modules"]
    assert (module["done"], module["failed"], module["share"]) == (1, 1, 50.0)
    assert module["median"] > timedelta(0)
    assert answer.context["line"].queued == 1
    assert "shows_platform" not in home(cast.mira).context


def test_an_auditor_sees_what_was_done_last(cast: Cast) -> None:
    environment_make(cast)
    page = home(cast.ada).content.decode()
    assert "Latest" in page
    assert "Continue" not in page


EVERYBODY = ["Home", "Environments", "Experiments", "Models", "People"]
NAV = {
    "dana": EVERYBODY,
    "mira": [*EVERYBODY, "Variable sets"],
    "pete": [*EVERYBODY, "Modules", "Rollouts", "Variable sets", "Python environments", "Policies", "Audit"],
    "ada": [*EVERYBODY, "Rollouts", "Variable sets", "Policies", "Audit"],
}


@pytest.mark.parametrize("name", NAV)
def test_the_left_bar_holds_the_places_of_a_role(cast: Cast, name: str) -> None:
    answer = home(getattr(cast, name))
    assert [entry["label"] for entry in answer.context["nav"]] == NAV[name]
    assert [entry["label"] for entry in answer.context["nav"] if entry["active"]] == ["Home"]
    for entry in answer.context["nav"]:
        assert browser(getattr(cast, name)).get(entry["url"]).status_code == 200


def test_the_team_filter_knows_ones_teams_only(cast: Cast) -> None:
    answer = home(cast.dana, team="vision")
    assert [team.slug for team in answer.context["teams"]] == ["churn", "vision"]
    assert answer.context["team"] == cast.vision
    assert home(cast.dana, team="pricing").context["team"] == None  # noqa: E711 - a lazy object
    assert "?team=vision" in answer.context["nav"][1]["url"]


def test_the_shell_costs_three_queries_however_much_there_is(cast: Cast, django_assert_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = browser(cast.dana)
    for _ in range(20):
        notify(user=cast.dana, text="x")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(reverse("accounts:password")).status_code == 200
    # Two more are the session and the person.
    assert len(captured) <= 5


@pytest.mark.parametrize(("name", "limit"), [("dana", 12), ("mira", 16), ("pete", 20), ("ada", 10)])
def test_home_costs_the_same_with_many_environments(
    cast: Cast, name: str, limit: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        environment_make(cast, name=f"nb{number}")
    client = browser(getattr(cast, name))
    with django_assert_max_num_queries(limit):
        client.get("/")


def find(user: Any, text: str) -> list[tuple[str, str]]:
    answer = browser(user).get("/search/", {"q": text})
    assert answer.status_code == 200
    return [(result.kind, result.title) for result in answer.context["results"]]


def test_search_finds_environments_modules_people_places_and_actions(cast: Cast) -> None:
    environment_make(cast, name="churn-model")
    assert ("Notebook", "churn-model") in find(cast.dana, "CHURN mod")
    assert ("Person", "Mira") in find(cast.dana, "mir")
    assert ("Place", "Environments") in find(cast.dana, "environ")
    assert ("Action", "Make an API token") in find(cast.dana, "token")
    assert any(kind == "Module" for kind, _ in find(cast.dana, "notebook"))


def test_search_finds_nothing_a_person_may_not_see(cast: Cast) -> None:
    environment_make(cast, name="churn-model")
    assert find(cast.mallory, "churn-model") == []
    assert find(cast.mallory, "mira") == []
    assert find(cast.dana, "audit") == []
    assert find(cast.dana, "add a person") == []
    assert ("Action", "Add a person") in find(cast.pete, "add a person")


def test_the_palette_gets_options_and_the_browser_a_page(cast: Cast) -> None:
    environment_make(cast, name="nb-one")
    fragment = browser(cast.dana).get("/search/", {"q": "nb-one"}, headers={"HX-Request": "true"}).content.decode()
    assert 'role="option"' in fragment
    assert "<html" not in fragment
    assert "nb-one" in browser(cast.dana).get("/search/", {"q": "nb-one"}).content.decode()
    assert browser(None).get("/search/").status_code == 302


def test_search_is_limited_per_person(cast: Cast, settings: Any) -> None:
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "search": "2/min"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    client = browser(cast.dana)
    assert [client.get("/search/?q=a").status_code for _ in range(3)] == [200, 200, 429]


def test_the_admin_is_for_platform_engineers(cast: Cast) -> None:
    assert browser(cast.pete).get("/admin/").status_code == 200
    assert browser(cast.pete).get(reverse("admin:accounts_user_changelist")).status_code == 200
    for user in (cast.dana, cast.ada, None):
        answer = browser(user).get("/admin/")
        assert answer.status_code == 302
        assert "sign-in" in browser(user).get(answer["Location"])["Location"]


def test_the_admin_changes_roles_through_the_service(cast: Cast) -> None:
    from apps.audit.models import AuditEvent

    url = reverse("admin:accounts_user_change", args=[cast.dana.pk])
    inline = {f"memberships-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    fields = {"first_name": "Dana", "last_name": "", "email": cast.dana.email, "is_active": "on", "is_auditor": "on"}
    assert browser(cast.pete).post(url, {**fields, **inline}).status_code == 302
    cast.dana.refresh_from_db()
    assert cast.dana.is_auditor
    event = AuditEvent.objects.get(action="accounts:user:changed")
    assert (event.before, event.after) == ({"is_auditor": False}, {"is_auditor": True})
    assert browser(cast.mira).post(url, fields).status_code == 302
    add = reverse("admin:accounts_team_changelist")
    assert browser(cast.pete).get(f"{add}add/").status_code == 403
