"""Keeps the index of runs true. Beat wakes it; a turn that is lost, late or doubled does no harm."""

from celery import shared_task

from apps.core.queue import enqueue
from apps.experiments.services.indexing.working import index_turn

WORK = "apps.experiments.tasks.index_work"


@shared_task(name=WORK, expires=8)
def index_work() -> None:
    """While the first import goes on, the next piece follows at once; beat finds it again should that be lost."""
    if index_turn():
        enqueue(WORK)
