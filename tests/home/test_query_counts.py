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
from apps.catalog.models import Module
from apps.environments.models import Environment
from apps.experiments.models import Experiment
from apps.notifications.models import Notification
from apps.provisioning.models import Change, LogLine, ServiceStatus, Workspace
from apps.registry.models import AliasMove, ModelAlias, ModelCard, ModelVersion, RegisteredModel
from apps.variable_sets.models import VariableSet
from apps.variable_sets.services import variable_set_value
from tests.cast import Cast, browser
from tests.experiments.factories import run_make
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
# With models, which are deployed, promoted and described.
OF_MODELS: dict[str, tuple[int | None, int | None]] = {
    "/models/": (14, 14),
    "/models/?q=reader&team=vision&ordering=-promoted": (14, 14),
    "/models/vision.reader/": (19, 18),
    "/models/vision.reader/1/": (21, 19),
    "/models/vision.reader/compare/?old=1&new=2": (17, 16),
    "/api/v1/models/": (5, 5),
    "/api/v1/models/vision.reader/": (7, 7),
    "/api/v1/models/vision.reader/versions/": (6, 6),
    "/api/v1/models/vision.reader/aliases/": (6, 6),
    "/api/v1/models/vision.reader/alias-moves/": (9, 9),
    "/api/v1/models/vision.reader/cards/": (8, 8),
}
MANY = 60
FEW_MODELS, MANY_MODELS = 3, 30


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


def models_add(cast: Cast, environment: Environment, numbers: range) -> None:
    """As many more models of the team, and versions, aliases, moves, cards and deployments of the first of them."""
    module, _ = Module.objects.get_or_create(
        slug="local-model-endpoint", defaults={"title": "Model endpoint", "kind": "endpoint", "target": "local"}
    )
    first, _ = RegisteredModel.objects.get_or_create(
        name="vision.reader", defaults={"born": 1, "team": cast.vision, "owner": cast.dana, "fingerprint": "0" * 32}
    )
    experiment, _ = Experiment.objects.get_or_create(id="7", defaults={"name": "vision/digits", "team": cast.vision})
    for number in numbers:
        if number > 1:
            RegisteredModel.objects.create(
                name=f"vision.m{number}", born=number, team=cast.vision, owner=cast.mira, fingerprint="0" * 32
            )
        name = first.name if number == 1 else f"vision.m{number}"
        run = run_make(experiment, run_id=f"{number:032d}", metrics={"auc": 0.9})
        ModelVersion.objects.create(
            model=first, version=number, run_id=run.run_id, status="READY", details="read", fingerprint="0" * 32,
            created_by=cast.mira, metrics={"auc": 0.9}, tags={"stage": "shadow"},
        )  # fmt: skip
        ModelAlias.objects.create(model=first, alias=f"alias-{number}", version=number)
        ModelAlias.objects.create(model_id=name, alias="champion", version=1)
        ModelCard.objects.create(model_name=first.name, born=1, number=number, author=cast.mira, author_name="Mira")
        AliasMove.objects.create(
            model_name=first.name, born=1, alias=f"alias-{number}", to_version=number, actor=cast.mira, via="mlflow",
            actor_name="mira", environment=environment, moved_at=timezone.now(), noticed_at=timezone.now(),
        )  # fmt: skip
        copy_of(environment, number, module=module, inputs={"model_name": name, "model_version": 1})
    RegisteredModel.objects.filter(pk=first.pk).update(version_count=max(numbers), newest_version=max(numbers))


def copy_of(environment: Environment, number: int, **values: Any) -> None:
    workspace, row = Workspace.objects.get(pk=environment.pk), Environment.objects.get(pk=environment.pk)
    workspace.pk = row.pk = type(row.pk)(int=row.pk.int + 1000 + number)
    workspace._state.adding = row._state.adding = True
    row.name, row.slug, row.workspace_id = f"serve-{number}", f"serve-{number}", row.pk
    for name, value in values.items():
        setattr(row, name, value)
    workspace.save()
    row.save()


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


def counts(
    cast: Cast, environment: Environment, pinned: dict[str, tuple[int | None, int | None]] = PINNED
) -> dict[str, tuple[int | None, int | None]]:
    change = Change.objects.filter(workspace_id=environment.pk, kind="create").get()
    variables = VariableSet.objects.earliest("created_at")
    asked = {path: path.format(environment.pk, change.pk, variables.pk) for path in pinned}
    found = {}
    for path, url in asked.items():
        found[path] = tuple(
            None if number is None else queries(browser(person), url)
            for person, number in zip((cast.dana, cast.pete), pinned[path], strict=True)
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


def test_three_models_and_thirty_cost_the_same(cast: Cast, environment: Environment) -> None:
    models_add(cast, environment, range(1, FEW_MODELS + 1))
    assert counts(cast, environment, OF_MODELS) == OF_MODELS
    models_add(cast, environment, range(FEW_MODELS + 1, MANY_MODELS + 1))
    assert counts(cast, environment, OF_MODELS) == OF_MODELS
