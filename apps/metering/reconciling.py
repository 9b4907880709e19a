"""What beat does every minute: find where intervals and rows disagree, and let the services mend it.

Every step asks for at most `AT_ONCE` workspaces, works in a transaction for each, and can be killed or run twice.
"""

import logging
from collections.abc import Callable, Iterable
from uuid import UUID

from django.db import connection
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from apps.metering.models import ResourceInterval
from apps.metering.services import ownership_meter, process_meter, states_meter, workspace_end
from apps.provisioning.models import ServiceStatus, StateVersion, Workspace

log = logging.getLogger(__name__)

AT_ONCE = 200
S = ResourceInterval.State

HEARTBEAT = """
UPDATE metering_resourceinterval AS i
   SET seen_at = s.observed_at
  FROM metering_meteredresource r
  JOIN provisioning_servicestatus s ON s.workspace_id = r.workspace_id AND s.name = r.service
 WHERE i.resource_id = r.id AND i.ended_at IS NULL AND i.state = 'running'
   AND s.started_at = i.run_started_at AND s.observed_at > i.seen_at
"""


def meters_reconcile() -> int:
    """Returns how many workspaces were looked at because something was missing."""
    mended = _each(states_behind(), lambda pk: states_meter(workspace_id=pk))
    mended += _each(ended_behind(), lambda pk: workspace_end(workspace_id=pk))
    mended += _each(owners_behind(), lambda pk: ownership_meter(workspace_id=pk))
    mended += _processes_mend()
    with connection.cursor() as cursor:
        cursor.execute(HEARTBEAT)
    return mended


def states_behind() -> list[UUID]:
    """Workspaces with a state version that has not been metered."""
    newest = StateVersion.objects.filter(workspace=OuterRef("pk")).order_by("-id").values("id")[:1]
    rows = Workspace.objects.filter(Q(meter=None) | Q(meter__done=False)).annotate(newest=Subquery(newest))
    behind = rows.filter(Q(meter=None) | Q(newest__gt=F("meter__state_version"))).exclude(newest=None)
    return list(behind.order_by("created_at", "pk").values_list("pk", flat=True)[:AT_ONCE])


def ended_behind() -> list[UUID]:
    """Destroyed workspaces whose end has not been metered."""
    rows = Workspace.objects.exclude(destroyed_at=None).filter(Q(meter=None) | Q(meter__done=False))
    return list(rows.order_by("destroyed_at", "pk").values_list("pk", flat=True)[:AT_ONCE])


def owners_behind() -> list[UUID]:
    """Workspaces that were given to another team or person without anybody telling."""
    rows = ResourceInterval.objects.open().exclude(team=F("workspace__team"), user=F("workspace__owner"))
    return list(rows.order_by("workspace").values_list("workspace", flat=True).distinct()[:AT_ONCE])


def processes_behind() -> list[tuple[UUID, str]]:
    """Services whose process is another than the interval says, or which run where it says that they do not."""
    status = ServiceStatus.objects.filter(workspace=OuterRef("workspace"), name=OuterRef("resource__service"))
    rows = (
        ResourceInterval.objects.open()
        .filter(resource__kind="service")
        .annotate(watched=Subquery(status.values("id")[:1]), process=Subquery(status.values("started_at")[:1]))
    )
    other = Q(state=S.RUNNING) & (Q(process=None) | ~Q(process=F("run_started_at")))
    stopped_but_runs = Q(state=S.STOPPED) & Q(process__gte=F("started_at"))
    found = rows.exclude(watched=None).filter(other | stopped_but_runs)
    return list(found.order_by("id").values_list("workspace_id", "resource__service")[:AT_ONCE])


def _processes_mend() -> int:
    behind = processes_behind()
    for workspace_id, service in behind:
        status = ServiceStatus.objects.filter(workspace_id=workspace_id, name=service).first()
        if status is not None:
            process_meter(
                workspace_id=workspace_id,
                service=service,
                run_started_at=status.started_at,
                alive_until=None,
                now=timezone.now(),
            )
    return len(behind)


def _each(ids: Iterable[UUID], mend: Callable[[UUID], object]) -> int:
    """One workspace that cannot be metered must not keep the others from it."""
    count = 0
    for pk in ids:
        count += 1
        try:
            mend(pk)
        except Exception:
            log.exception("workspace %s cannot be metered", pk)
    return count
