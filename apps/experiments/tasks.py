"""Keeps the index of runs true. Beat wakes it; a turn that is lost, late or doubled does no harm."""

from celery import shared_task

from apps.core.queue import enqueue
from apps.experiments.services.curve_keeping import curves_keep
from apps.experiments.services.indexing.working import index_turn
from apps.experiments.services.using import uses_count

WORK = "apps.experiments.tasks.index_work"


@shared_task(name=WORK, expires=8)
def index_work() -> None:
    """While the first import goes on, the next piece follows at once; beat finds it again should that be lost."""
    if index_turn():
        enqueue(WORK)


@shared_task(name="apps.experiments.tasks.uses_count", expires=55)
def uses_count_now() -> None:
    """What runs used of their environments, as far as it was metered."""
    uses_count()


@shared_task(name="apps.experiments.tasks.curves_keep", expires=12)
def curves_keep_now() -> None:
    """Curves of what has just ended, for whoever opens its charts next."""
    curves_keep()
