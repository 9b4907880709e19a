"""What is pruned, and when. Apps register; beat runs it every hour, in small steps that lock no table for long."""

import logging
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from apps.core.models import IdempotencyKey, LiveEvent

log = logging.getLogger(__name__)

LIVE_EVENT_AGE = timedelta(hours=24)
IDEMPOTENCY_AGE = timedelta(hours=48)
BATCH = 2000
BUDGET_SECONDS = 20

_prunes: dict[str, Callable[[], QuerySet]] = {}


def register_prune(name: str, expired: Callable[[], QuerySet]) -> None:
    """`expired` gives the rows that may go now. Newest states, audit and metering never register."""
    _prunes[name] = expired


def prune_all() -> dict[str, int]:
    """Delete what has expired; returns rows deleted by name. What does not fit into the time goes with the next run."""
    deadline = monotonic() + BUDGET_SECONDS
    removed = {}
    for name, expired in _prunes.items():
        removed[name] = _prune(expired(), deadline)
        if removed[name]:
            log.info("pruned %d %s", removed[name], name)
    return removed


def _prune(rows: QuerySet, deadline: float) -> int:
    total = 0
    while monotonic() < deadline:
        batch = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not batch:
            break
        rows.model._default_manager.filter(pk__in=batch).delete()
        total += len(batch)
    return total


register_prune("live events", lambda: LiveEvent.objects.filter(created_at__lt=timezone.now() - LIVE_EVENT_AGE))
register_prune(
    "idempotency keys", lambda: IdempotencyKey.objects.filter(created_at__lt=timezone.now() - IDEMPOTENCY_AGE)
)
register_prune("sessions", lambda: Session.objects.filter(expire_date__lt=timezone.now()))
