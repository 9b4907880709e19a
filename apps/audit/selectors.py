"""Reads of what was done."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent


def events_for(*, target: Model, user: User) -> QuerySet[AuditEvent]:
    """What happened to one object, newest first, as far as the person may see. Slice it."""
    return (
        AuditEvent.objects.visible_to(user)
        .filter(target_type=target._meta.model_name, target_id=str(target.pk))
        .select_related("actor")
        .order_by("-id")
    )


def events_filter(
    rows: QuerySet[AuditEvent],
    *,
    q: str = "",
    action: str = "",
    actor: str = "",
    team_id: Any = None,
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[AuditEvent]:
    """Narrow down: `q` in target or actor, `action` by its beginning, days in the person's zone, inclusive."""
    if q:
        rows = rows.filter(Q(target_name__icontains=q) | Q(actor_name__icontains=q) | Q(correlation_id=q))
    if action:
        rows = rows.filter(action__startswith=action)
    if actor:
        rows = rows.filter(actor_name=actor)
    if team_id:
        rows = rows.filter(team_id=team_id)
    if since:
        rows = rows.filter(at__gte=_midnight(since))
    if until:
        rows = rows.filter(at__lt=_midnight(until + timedelta(days=1)))
    return rows


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
