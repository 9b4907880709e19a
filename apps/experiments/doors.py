"""The `/mlflow/` route, wired to the portal's tokens and teams."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.urls import reverse

from apps.accounts.models import ApiToken
from apps.accounts.services import token_authenticate
from apps.environments.models import Environment
from apps.experiments.hints import Hints
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_proxy import MlflowProxy
from apps.experiments.model_writes import Witness

READING = {ApiToken.Scope.READ, ApiToken.Scope.WRITE, ApiToken.Scope.MLFLOW}
WRITING = {ApiToken.Scope.WRITE, ApiToken.Scope.MLFLOW}


def principal_of(secret: str) -> MlflowPrincipal | None:
    """Who a bearer token stands for at MLflow; None when it cannot be used.

    An environment's own token acts for that environment's team only, and ends with the environment.
    """
    token = token_authenticate(secret)
    if token is None:
        return None
    granted = set(token.scopes)
    scopes = {"read"} if granted & READING else set()
    if granted & WRITING:
        scopes.add("write")
    if token.environment_id is not None:
        environment = Environment.objects.living().select_related("team").filter(pk=token.environment_id).first()
        if environment is None:
            return None
        team = environment.team.slug
        return MlflowPrincipal(
            token.user.username, frozenset({team}), frozenset(scopes), str(environment.pk), default_team=team
        )
    teams = frozenset(token.user.teams.values_list("slug", flat=True))
    return MlflowPrincipal(token.user.username, teams, frozenset(scopes), reads_everything=token.user.sees_everything)


def mlflow_application(in_database: Callable[[Callable[..., Any]], Any]) -> MlflowProxy:
    """The route as an ASGI application; `in_database` makes a coroutine of a function that asks the database."""
    return MlflowProxy(
        upstream=settings.MLFLOW_TRACKING_URI,
        authenticate=in_database(principal_of),
        secret=settings.MLFLOW_SERVER_SECRET,
        bearer=settings.MLFLOW_SERVER_TOKEN,
        account_url=settings.PORTAL_URL + reverse("accounts:account"),
        touched=Hints().touched,
        witness=Witness().watch,
    )
