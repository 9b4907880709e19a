"""Writes what runs used into their rows, so that lists can be ordered and summed by it."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from apps.environments.models import Environment
from apps.experiments.models import Run
from apps.experiments.usage import Use, use_by_run

log = logging.getLogger(__name__)

# Metering is mended for some minutes after the fact; until then a run is counted again.
SETTLED = timedelta(minutes=3)
EVERY = timedelta(seconds=50)
AT_ONCE = 50
CHAINED = 50


def uses_count(*, now: datetime | None = None) -> int:
    """Count anew for environments in which a run goes on, or has ended lately; returns how many were counted."""
    now = now or timezone.now()
    due = environments_due(now=now)
    for environment_id in due:
        try:
            environment_count(environment_id=environment_id, now=now)
        except Exception:
            # One that cannot be counted must not keep the others from it.
            log.exception("what runs used of environment %s cannot be counted", environment_id)
    return len(due)


def environments_due(*, now: datetime) -> list[UUID]:
    rows = Run.objects.exclude(environment_id=None).exclude(started_at=None)
    ended = Q(ended_at__isnull=False) & Q(used_until__lt=F("ended_at") + SETTLED)
    active = Q(ended_at=None, used_until__lt=now - EVERY)
    gone = Environment.objects.filter(destroyed_at__lt=now - SETTLED).values("pk")
    never = Q(used_until=None)
    lost = Q(ended_at=None, used_until__isnull=False, environment_id__in=gone)
    found = rows.filter(never | ended | active).exclude(lost & ~never).order_by()
    return [pk for pk in found.values_list("environment_id", flat=True).distinct()[:AT_ONCE] if pk is not None]


def environment_count(*, environment_id: UUID, now: datetime) -> None:
    """Count the runs that are due and all that overlapped them, which share with them."""
    rows = Run.objects.filter(environment_id=environment_id).exclude(started_at=None)
    due = rows.filter(Q(used_until=None) | Q(ended_at=None) | Q(used_until__lt=F("ended_at") + SETTLED))
    since = due.order_by("started_at").values_list("started_at", flat=True).first()
    if since is None:
        return
    # Back to a moment at which no run was under way: nothing before it has a part in what comes after.
    for _ in range(CHAINED):
        across = rows.filter(Q(ended_at=None) | Q(ended_at__gt=since), started_at__lt=since)
        earlier = across.order_by("started_at").values_list("started_at", flat=True).first()
        if earlier is None:
            break
        since = earlier
    uses = use_by_run(environment_id=environment_id, start=since, end=now, now=now)
    counted = list(rows.filter(started_at__gte=since).values_list("run_id", flat=True))
    _uses_write(counted, uses, now)


_WRITE = """
    UPDATE experiments_run AS run
       SET core_seconds = said.cores, memory_byte_seconds = said.memory, gpu_seconds = said.gpus, used_until = %s
      FROM unnest(%s::text[], %s::float8[], %s::float8[], %s::float8[]) AS said(run_id, cores, memory, gpus)
     WHERE run.run_id = said.run_id
"""


def _uses_write(run_ids: list[str], uses: dict[str, Use] | None, now: datetime) -> None:
    found = [(uses.get(run_id) or Use()) if uses is not None else None for run_id in sorted(run_ids)]
    columns = [
        [None if use is None else getattr(use, name) for use in found]
        for name in ("core_seconds", "memory_byte_seconds", "gpu_seconds")
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [now, sorted(run_ids), *columns])
