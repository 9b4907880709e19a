"""Reading MLflow's registry. Beat runs them; running one twice, late or not at all for a while does no harm."""

import logging
from time import monotonic

from celery import shared_task

from apps.core.queue import enqueue
from apps.experiments import hints
from apps.experiments.exceptions import TrackerAway
from apps.experiments.mlflow_rules import Kind
from apps.registry.services import indexing
from apps.registry.services.details import version_details_read, versions_pending

log = logging.getLogger(__name__)
DETAILS_SECONDS = 10.0
HINTS_AT_ONCE = 50


@shared_task(expires=10)
def registry_index() -> None:
    """What is new in MLflow's registry, and which aliases were moved outside Slipway."""
    if indexing.registry_round() and versions_pending(1):
        enqueue("apps.registry.tasks.versions_look")


@shared_task(expires=60)
def versions_look() -> None:
    """Read files of versions that are new, some at a time; the next round goes on."""
    until = monotonic() + DETAILS_SECONDS
    for pk in versions_pending():
        if monotonic() > until:
            return
        try:
            version_details_read(pk)
        except TrackerAway:
            return


@shared_task(expires=5)
def hints_look() -> None:
    """Models that were just written through `/mlflow/`: what is said about them is true within seconds."""
    for name in hints.take(Kind.REGISTERED_MODEL, HINTS_AT_ONCE):
        try:
            indexing.registry_touch(name)
        except TrackerAway:
            hints.leave(Kind.REGISTERED_MODEL, [name])
            return
    if versions_pending(1):
        enqueue("apps.registry.tasks.versions_look")


@shared_task(expires=30)
def registry_touch(name: str) -> None:
    """Somebody says that this model has changed (a webhook, a write through `/mlflow/`): a hint, looked at once."""
    try:
        indexing.registry_touch(name)
    except TrackerAway:
        log.info("MLflow does not answer; a model is read in a later round")
