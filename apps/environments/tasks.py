"""Stop times. Beat runs this every few seconds; running it twice, late or not at all for a while does no harm."""

import logging

from celery import shared_task
from django.utils import timezone

from apps.core.exceptions import Conflict
from apps.environments.services import environment_warn, environments_due
from apps.environments.services.lifetime import environment_expire, environments_to_warn

log = logging.getLogger(__name__)
AT_ONCE = 100


@shared_task
def environments_stop_expired() -> None:
    """Warn the owners of what stops soon, then stop what is due. What is busy is left for the next time."""
    moment = timezone.now()
    for environment in environments_to_warn(moment)[:AT_ONCE]:
        environment_warn(environment=environment)
    for environment in environments_due(moment)[:AT_ONCE]:
        try:
            environment_expire(environment=environment)
        except Conflict:
            log.info("environment %s is busy; its stop time is looked at again", environment.pk)
