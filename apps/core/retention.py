"""What is pruned, and when. Apps register; beat runs it every hour, in small steps that lock no table for long.

Each step deletes one batch in a transaction of its own: it can be killed anywhere and run twice. The newest state of a
workspace, the audit log and metering are kept for ever and never register.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from apps.core.models import IdempotencyKey, LiveEvent

log = logging.getLogger(__name__)

BATCH = 2000
BUDGET_SECONDS = 20

_prunes: dict[str, Callable[[], QuerySet[Any]]] = {}


def register_prune(name: str, expired: Callable[[], QuerySet[Any]]) -> None:
    """`expired` gives the rows that may go now."""
    _prunes[name] = expired


def before(**ago: int) -> datetime:
    """The moment so long ago: `before(days=30)`."""
    return timezone.now() - timedelta(**ago)


def prune_all() -> dict[str, int]:
    """Delete what has expired; returns rows deleted by name. What does not fit into the time goes with the next run.

    Every kind has its share of the time, so that one with much to delete keeps none of the others waiting for ever.
    """
    end = monotonic() + BUDGET_SECONDS
    removed = {}
    for done, (name, expired) in enumerate(_prunes.items()):
        share = (end - monotonic()) / (len(_prunes) - done)
        try:
            removed[name] = _prune(expired, monotonic() + share)
        except DatabaseError:
            log.exception("%s could not be pruned", name)
            continue
        if removed[name]:
            log.info("pruned %d %s", removed[name], name)
    return removed


def _prune(expired: Callable[[], QuerySet[Any]], deadline: float) -> int:
    rows = expired()
    total = 0
    while monotonic() < deadline:
        batch = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not batch:
            break
        rows.model._default_manager.filter(pk__in=batch).delete()
        total += len(batch)
        if len(batch) < BATCH:
            break
    return total


register_prune(
    "live events", lambda: LiveEvent.objects.filter(created_at__lt=before(hours=settings.KEEP_LIVE_EVENT_HOURS))
)
register_prune(
    "idempotency keys",
    lambda: IdempotencyKey.objects.filter(created_at__lt=before(hours=settings.KEEP_IDEMPOTENCY_HOURS)),
)
register_prune("sessions", lambda: Session.objects.filter(expire_date__lt=timezone.now()))
