"""The queries of every list page, page of one environment and list of the API, pinned: more rows cost no more of them.

A number here is a decision. Raise it only for what the page now says that it did not say before.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Team, User
from apps.audit.models import AuditEvent
from apps.environments.models import Environment
from apps.notifications.models import Notification
from apps.provisioning.models import Change, LogLine, ServiceStatus, Workspace
from apps.variable_sets.models import VariableSet
from apps.variable_sets.services import variable_set_value
from tests.cast import Cast, browser
from tests.factories import environment_running

# Path → queries of dana, pete; None where the page is not theirs.
PINNED: dict[str, tuple[int | None, int | None]] = {
    "/": (9, 13),
    "/environments/": (11, 11),
    "/environments/?scope=team": (11, 10),
    "/environments/?scope=team&q=nb+dana&ordering=owner": (11, 10),
    "/environments/?status=destroyed": (10, 10),
    "/search/?q=nb": (8, 8),
    "/inbox/": (6, 6),
    "/inbox/menu/": (3, 3),
    "/accounts/": (7, 7),
    "/accounts/people/": (8, 9),
    "/accounts/people/?team=vision": (9, 9),
    "/audit/": (None, 6),
    "/audit/?q=nb": (None, 6),
    "/modules/": (None, 6),
    "/variable-sets/": (7, 6),
    "/variable-sets/counting/?team=vision&target=local": (10, 9),
    "/variable-sets/{2}/": (9, 8),
    "/environments/{0}/": (12, 13),
    "/environments/{0}/logs/?stream=build": (11, 12),
    "/environments/{0}/resources/": (10, 11),
    "/environments/{0}/settings/": (14, 13),
    "/environments/{0}/row/": (5, 5),
    "/environments/{0}/changes/{1}/": (10, 10),
    "/api/v1/environments/": (5, 5),
    "/api/v1/environments/?search=nb": (5, 5),
    "/api/v1/environments/?count=false": (4, 4),
    "/api/v1/environments/{0}/": (4, 4),
    "/api/v1/changes/": (4, 4),
    "/api/v1/changes/?status=applied&search=nb": (4, 4),
    "/api/v1/audit/": (3, 3),
    "/api/v1/teams/": (5, 5),
    "/api/v1/teams/vision/members/": (5, 5),
    "/api/v1/users/": (4, 4),
    "/api/v1/modules/": (4, 4),
    "/api/v1/variable-sets/": (4, 4),
    "/api/v1/variable-sets/{2}/variables/": (6, 5),
    "/api/v1/modules/local-notebook/versions/": (5, 5),
}
MANY = 60


@pytest.fixture
def environment(cast: Cast) -> Environment:
    """One of dana's that runs, with a message, a line of its log and what its services say."""
    made = environment_running(cast, name="nb-0")
    ServiceStatus.objects.create(workspace_id=made.pk, name="jupyterlab", status="running", observed_at=timezone.now())
    line_add(made, 1)
    variables_add(cast, 1)
    Notification.objects.create(user=cast.dana, text="nb-0 stops soon")
    Notification.objects.create(user=cast.pete, text="nb-0 stops soon")
    return made


def variables_add(cast: Cast, number: int) -> None:
    """One more set of the team's, and one more variable in the first of them."""
    VariableSet.objects.create(name=f"set {number}", team=cast.vision, target="local", created_by=cast.mira)
    first = VariableSet.objects.earliest("created_at")
    put = {"actor": cast.pete, "kind": "environment", "name": f"KEY_{number}", "value": "plain-value"}
    variable_set_value(variable_set=first, sensitive=False, **put)


def line_add(environment: Environment, number: int) -> None:
    change = Change.objects.filter(workspace_id=environment.pk).latest("created_at")
    LogLine.objects.create(
        workspace_id=environment.pk, change=change, stream="build", number=number, at=timezone.now(), text="Creating"
    )


def more(cast: Cast, environment: Environment) -> None:
    """Copies of all that lists are made of: environments, changes, logs, people, teams, events, messages."""
    now = timezone.now()
    people = User.objects.bulk_create(User(username=f"p{number}", first_name="P") for number in range(MANY))
    Membership.objects.bulk_create(Membership(user=user, team=cast.vision) for user in people)
    teams = Team.objects.bulk_create(Team(slug=f"t{number}", name=f"T{number}") for number in range(MANY))
    Membership.objects.bulk_create(Membership(user=cast.dana, team=team) for team in teams)
    change = Change.objects.filter(workspace_id=environment.pk).latest("created_at")
    for number in range(1, MANY):
        workspace = Workspace.objects.get(pk=environment.pk)
        row = Environment.objects.get(pk=environment.pk)
        key = type(row.pk)(int=row.pk.int + number)
        workspace.pk = row.pk = key
        workspace._state.adding = row._state.adding = True
        row.name, row.slug, row.workspace_id = f"nb-{number}", f"nb-{number}", key
        row.owner = cast.dana if number % 3 else cast.mira
        workspace.save()
        row.save()
        copy = Change.objects.get(pk=change.pk)
        copy.pk, copy.workspace_id = type(row.pk)(int=change.pk.int + number), key
        copy._state.adding = True
        copy.save()
        ServiceStatus.objects.create(workspace_id=key, name="jupyterlab", status="running", observed_at=now)
        line_add(environment, number + 1)
        variables_add(cast, number + 1)
        Change.objects.create(
            workspace_id=environment.pk, kind="stop", status="applied", module_version=change.module_version,
            values=b"", requested_by=cast.mira, finished_at=now + timedelta(seconds=number),
        )  # fmt: skip
    AuditEvent.objects.bulk_create(
        AuditEvent(
            action="environments:environment:stop", actor=person, actor_name=person.username, target_name="nb-0",
            target_type="environment", target_id=str(environment.pk), team_id=environment.team_id,
        )
        for person in people
    )  # fmt: skip
    for person in (cast.dana, cast.pete):
        Notification.objects.bulk_create(Notification(user=person, text=f"nb-{number}") for number in range(MANY))


def counts(cast: Cast, environment: Environment) -> dict[str, tuple[int | None, int | None]]:
    change = Change.objects.filter(workspace_id=environment.pk, kind="create").get()
    variables = VariableSet.objects.earliest("created_at")
    asked = {path: path.format(environment.pk, change.pk, variables.pk) for path in PINNED}
    found = {}
    for path, url in asked.items():
        found[path] = tuple(
            None if pinned is None else queries(browser(person), url)
            for person, pinned in zip((cast.dana, cast.pete), PINNED[path], strict=True)
        )
    return found  # type: ignore[return-value]


def queries(client: Any, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200, url
    return len(captured)


def test_a_few_rows_cost_what_is_pinned(cast: Cast, environment: Environment) -> None:
    assert counts(cast, environment) == PINNED


def test_many_rows_cost_the_same(cast: Cast, environment: Environment) -> None:
    more(cast, environment)
    assert counts(cast, environment) == PINNED
