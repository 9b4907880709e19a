"""Environments that notebooks connect to: those whose module says how (`connect` in module.yaml)."""

import json
from typing import Any

from apps.accounts.models import Membership, User
from apps.environments.models import Environment
from apps.environments.querysets import EnvironmentQuerySet


def clusters_of(*, user: User, kind: str = "", caller: Environment | None = None) -> EnvironmentQuerySet:
    """Clusters that the person sees; with the environment that asks, those of its own team alone.

    Code in an environment acts for its team: it does not reach what its owner sees elsewhere.
    """
    rows = Environment.objects.visible_to(user).filter(module_version__interface__connect__kind__isnull=False)
    if kind:
        rows = rows.filter(module_version__interface__connect__kind=kind)
    if caller is not None:
        rows = rows.filter(team_id=caller.team_id)
        if not is_member(user, caller):
            return rows.none()
    return rows


def is_member(user: User, environment: Environment) -> bool:
    """Whether the person belongs to the environment's team now."""
    return user.is_active and Membership.objects.filter(user=user, team_id=environment.team_id).exists()


def may_connect(user: User, environment: Environment) -> bool:
    """Its owner and everybody of its team: a cluster is there to be shared. Not those who only look after it."""
    return user.is_active and (environment.owner_id == user.pk or is_member(user, environment))


def connect_of(environment: Environment) -> dict[str, str] | None:
    """`{kind, snippet}`, the snippet with the environment's name in it; None for what is no cluster."""
    declared: dict[str, Any] | None = environment.module_version.interface.get("connect")
    if not declared:
        return None
    # The name stands in quotes of the snippet's language, which all these languages escape alike.
    name = json.dumps(environment.name, ensure_ascii=False)[1:-1]
    return {"kind": str(declared["kind"]), "snippet": str(declared["snippet"]).replace("{name}", name)}
