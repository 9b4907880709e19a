"""Tasks that belong to no app: the sign of life, and pruning."""

from celery import shared_task

from apps.core.health import heartbeat_write
from apps.core.retention import prune_all


@shared_task(name="apps.core.tasks.worker_heartbeat", expires=30)
def worker_heartbeat() -> None:
    heartbeat_write()


@shared_task(name="apps.core.tasks.prune", expires=1800)
def prune() -> None:
    prune_all()
