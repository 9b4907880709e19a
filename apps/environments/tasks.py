"""Stop times and idle probes. Beat runs them; running one twice, late or not at all for a while does no harm."""

import logging
from uuid import UUID

from celery import shared_task

from apps.core.clock import database_now
from apps.core.exceptions import Conflict
from apps.environments.gateway import kernels_ask
from apps.environments.rollout_selectors import rollouts_going_on
from apps.environments.selectors import environments_with_kernels
from apps.environments.services import environment_warn, environments_due, kernels_record
from apps.environments.services.lifetime import environment_expire, environments_to_warn
from apps.environments.services.looking import environments_look
from apps.environments.services.rollouts import rollout_advance

log = logging.getLogger(__name__)
AT_ONCE = 100


@shared_task
def environments_stop_expired() -> None:
    """Warn the owners of what stops soon, then stop what is due. What is busy is left for the next time."""
    moment = database_now()
    for environment in environments_to_warn(moment)[:AT_ONCE]:
        environment_warn(environment=environment)
    for environment in environments_due(moment)[:AT_ONCE]:
        try:
            environment_expire(environment=environment)
        except Conflict:
            log.info("environment %s is busy; its stop time is looked at again", environment.pk)


@shared_task(expires=30)
def kernels_look() -> None:
    """Note in which notebooks a kernel computes. Asking is no activity of a person."""
    known = environments_with_kernels()
    known_since = {upstream.environment_id: since for upstream, since in known}
    for environment_id, busy_since in kernels_ask([upstream for upstream, _ in known]).items():
        before = known_since[environment_id]
        # A kernel's own time moves with each of its messages; the first one seen of a computation stays.
        since = min(before, busy_since) if before and busy_since else busy_since
        if since != before:
            kernels_record(environment_id=environment_id, busy_since=since)


@shared_task
def rollout_wake(rollout_id: str) -> None:
    """Move one rollout on; see `rollout_advance`."""
    rollout_advance(rollout_id=UUID(rollout_id))


@shared_task(expires=60)
def clouds_look() -> None:
    """Find out what stopped by itself in a cloud."""
    environments_look()


@shared_task(expires=30)
def rollouts_wake() -> None:
    """Find again what the queue lost, and what only a wait has settled."""
    for rollout_id in rollouts_going_on():
        rollout_advance(rollout_id=rollout_id)
