"""Launching the environment of a run once more, through the same door as every launch."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.exceptions import Conflict
from apps.environments.models import Environment
from apps.environments.services import environment_launch
from apps.experiments.models import Run
from apps.experiments.recreation import Recreation


class RecreationImpossible(Conflict):
    code = "experiments:recreation-impossible"
    title = "The environment of this run cannot be recreated"


def run_recreate(
    *,
    actor: User,
    run: Run,
    recreation: Recreation,
    name: str = "",
    secrets: dict[str, Any] | None = None,
    token: str = "",
) -> Environment:
    """Launch what `recreation` says; policies, quotas and inputs are judged by the launch itself.

    `secrets` are sensitive inputs given again. Raises `RecreationImpossible` and whatever `environment_launch` does.
    """
    if recreation.stops or recreation.version is None or recreation.environment is None:
        raise RecreationImpossible(" ".join(recreation.stops))
    known = {variable.name for variable in recreation.secrets}
    given = {key: value for key, value in (secrets or {}).items() if key in known and value}
    with transaction.atomic():
        environment = environment_launch(
            actor=actor,
            team=recreation.environment.team,
            module_version=recreation.version,
            name=name or recreation.name,
            preset=recreation.preset,
            inputs={**recreation.inputs, **given},
            ttl_seconds=recreation.ttl_seconds,
            runtime=recreation.runtime,
            token=token,
        )
        audit_record(
            action="experiments:run:recreated",
            actor=actor,
            target=run,
            team_id=recreation.environment.team_id,
            after={"run": run.run_id, "environment": str(environment.pk), "of": str(recreation.environment.pk)},
        )
    return environment
