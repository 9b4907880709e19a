"""Reads over changes, their logs and how long they take."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, QuerySet

from apps.core.crypto import decrypt_json
from apps.core.retention import before
from apps.provisioning.models import Change, LogLine, StateVersion, Workspace

SAMPLE = 50
ENOUGH = 5


@dataclass(frozen=True)
class UsualDuration:
    """Median and 90th percentile, in seconds, of the last `count` changes of a kind."""

    median: float
    p90: float
    count: int


def usual_duration(*, module_version_id: UUID, kind: str) -> UsualDuration | None:
    """How long a kind of change usually takes from click to done; None until five of them are known."""
    times = list(
        Change.objects.filter(
            module_version_id=module_version_id, kind=kind, status=Change.Status.APPLIED, cancel_requested_at=None
        )
        .order_by("-finished_at")
        .values_list(F("finished_at") - F("created_at"), flat=True)[:SAMPLE]
    )
    # A click is timed by the web process and the end by the database: their clocks may differ.
    seconds = sorted(max(0.0, time.total_seconds()) for time in times)
    if len(seconds) < ENOUGH:
        return None
    return UsualDuration(
        seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, int(len(seconds) * 0.9))], len(seconds)
    )


def change_active(workspace_id: UUID) -> Change | None:
    return Change.objects.active().filter(workspace_id=workspace_id).select_related("workspace").first()


def queue_position(change: Change) -> int:
    """Place in line from 1, among what waits to be begun."""
    waiting = Change.objects.filter(status=Change.Status.QUEUED)
    return waiting.filter(created_at__lt=change.created_at).count() + 1


def log_lines(
    *, workspace_id: UUID, stream: str, after: int = 0, limit: int = 2000, change_id: UUID | None = None
) -> QuerySet[LogLine]:
    """Lines with a number above `after`, oldest first."""
    rows = LogLine.objects.filter(workspace_id=workspace_id, stream=stream).after(after)
    if change_id is not None:
        rows = rows.filter(change_id=change_id)
    return rows.order_by("number")[:limit]


def log_tail(*, workspace_id: UUID, stream: str, limit: int = 500, change_id: UUID | None = None) -> list[LogLine]:
    """The last lines, oldest first."""
    rows = LogLine.objects.filter(workspace_id=workspace_id, stream=stream)
    if change_id is not None:
        rows = rows.filter(change_id=change_id)
    return list(reversed(rows.order_by("-number")[:limit]))


def log_removed(change: Change) -> bool:
    """Whether lines of the change's log have gone because of their age; see `apps.provisioning.retention`."""
    return change.finished_at is not None and change.created_at < before(days=settings.KEEP_LOG_DAYS)


def workspace_outputs(workspace: Workspace) -> dict[str, Any]:
    """The outputs of the last apply, sensitive ones included; empty before the first."""
    return decrypt_json(bytes(workspace.outputs)) if workspace.outputs else {}


def state_newest(workspace_id: UUID) -> StateVersion | None:
    return StateVersion.objects.filter(workspace_id=workspace_id).order_by("-id").first()
