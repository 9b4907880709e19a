"""Sending a prediction to where a version is deployed."""

from typing import Any

from django.core.cache import cache

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.rates import rate_check
from apps.registry.auditing import AuditTarget
from apps.registry.deployed import Answer, Deployment, deployments_of, provider_of
from apps.registry.exceptions import NotDeployed
from apps.registry.models import ModelVersion

RATE = "120/min"
# One event an hour says that somebody uses a version; one for each prediction would say no more.
AUDIT_SECONDS = 3600


def prediction_send(*, version: ModelVersion, actor: User, deployment: str, payload: dict[str, Any]) -> Answer:
    """`deployment` is the key of one that serves this version; empty takes the first that the person may ask.

    Raises `NotAllowed`, `NotDeployed`, `PredictionFailed`, `PredictionInvalid`, `TooManyRequests`.
    """
    rate_check(scope="predict", user_id=actor.pk, default=RATE)
    found = [each for each in deployments_of([version.model_id], actor) if each.version == version.version]
    wanted = _choose(found, deployment)
    provider = provider_of(wanted.key)
    if provider is None:
        raise NotDeployed("This deployment is no longer there.")
    answer = provider.predict(wanted.key, actor, payload)
    if cache.add(f"registry:predicted:{actor.pk}:{version.pk}", 1, timeout=AUDIT_SECONDS):
        audit_record(
            action="registry:version:predicted",
            actor=actor,
            target=AuditTarget(version.model),
            team_id=version.model.team_id,
            after={"version": version.version, "deployment": wanted.title},
        )
    return answer


def _choose(found: list[Deployment], key: str) -> Deployment:
    if key:
        wanted = next((each for each in found if each.key == key), None)
    else:
        wanted = next((each for each in found if each.may_predict), found[0] if found else None)
    if wanted is None:
        raise NotDeployed("This version is not deployed where you could send it a prediction.")
    return wanted
