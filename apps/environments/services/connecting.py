"""Giving out what connects to a cluster."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.exceptions import NotAllowed
from apps.environments.clusters import connect_of, may_connect
from apps.environments.exceptions import ClusterElsewhere, ClusterSilent, WrongStatus
from apps.environments.gateway import connection_ask
from apps.environments.models import Environment
from apps.environments.selectors import application_upstream
from apps.environments.words import status_word

GIVEN = ("address", "versions", "expires_at", "tls", "token", "workers", "minimum", "maximum")


def page_url(environment: Environment) -> str:
    return f"{settings.PORTAL_URL}{reverse('environments:detail', args=[environment.pk])}"


def connection_give(*, environment: Environment, actor: User, caller: Environment | None = None) -> dict[str, Any]:
    """Address and credentials of a running cluster, made by it for this caller, and noted in the audit log.

    `caller` is the environment whose token asks. Raises `NotAllowed`, `WrongStatus`, `ClusterElsewhere`,
    `ClusterSilent`.
    """
    if not may_connect(actor, environment):
        raise NotAllowed(f"Only members of {environment.team.name} connect to it")
    upstream = application_upstream(environment)
    if upstream.status != Environment.Status.RUNNING or not upstream.address:
        word = status_word(environment).label
        raise WrongStatus(
            f"The cluster “{environment.name}” is not running ({word[:1].lower()}{word[1:]}). Its page: "
            f"{page_url(environment)}"
        )
    if caller is not None and _machine(caller) != _machine(environment):
        raise ClusterElsewhere(
            f"The cluster “{environment.name}” runs on another machine than this environment, and listens there only."
        )
    who = f"{actor.username} in {caller.name}" if caller else actor.username
    answer = connection_ask(upstream, who=who)
    declared = connect_of(environment) or {}
    if answer is None or answer.get("kind") != declared.get("kind"):
        raise ClusterSilent(
            f"The cluster “{environment.name}” does not answer just now. Try again in a moment, or see its log: "
            f"{page_url(environment)}"
        )
    audit_record(
        action="environments:environment:connect",
        actor=actor,
        target=environment,
        team_id=environment.team_id,
        after={"from": caller.name if caller else "", "expires_at": str(answer.get("expires_at", ""))},
    )
    return {"kind": answer["kind"], **{name: answer[name] for name in GIVEN if name in answer}}


def _machine(environment: Environment) -> object:
    return environment.workspace.machine_id if environment.workspace else None
