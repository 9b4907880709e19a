"""What the home page shows to each role. Every read is bounded, and begins from what the person may see."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Min, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Membership, Team, User
from apps.environments.models import Environment
from apps.provisioning.models import Change, Machine

ROWS = 5
IDLE_AFTER = timedelta(hours=2)
FAILURE_DAYS = 7
MODULE_DAYS = 30
MACHINE_SILENCE = timedelta(seconds=60)
S = Environment.Status


class Median(Aggregate):
    """PostgreSQL's median of a duration."""

    function = "percentile_cont"
    template = "percentile_cont(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def _environments(rows: QuerySet[Environment]) -> QuerySet[Environment]:
    return rows.select_related("team", "owner", "module").defer("inputs_cipher", "secrets_cipher", "inputs")


def environments_continue(*, user: User, team: Team | None = None) -> list[Environment]:
    """The person's own, last used first."""
    rows = Environment.objects.visible_to(user).owned_by(user).living()
    if team is not None:
        rows = rows.filter(team=team)
    return list(_environments(rows).order_by(F("last_used_at").desc(nulls_last=True), "-created_at", "id")[:ROWS])


def changes_waiting_for(*, user: User) -> list[Change]:
    """Plans of one's own environments that wait for a click, oldest first."""
    rows = Change.objects.filter(status=Change.Status.AWAITING_APPROVAL, workspace__owner=user)
    return list(rows.select_related("workspace").defer("values", "plan").order_by("created_at")[:ROWS])


def teams_managed(user: User, team: Team | None = None) -> list[Team]:
    """Teams the person manages; with a chosen one, that one only."""
    rows = Team.objects.filter(memberships__user=user, memberships__role=Membership.Role.MANAGER)
    return list(rows.filter(pk=team.pk) if team else rows)


@dataclass(frozen=True)
class TeamAttention:
    """What a manager looks after, in three lists of environments of the team."""

    waiting: list[Environment]
    failed: list[Environment]
    idle: list[Environment]


def team_attention(teams: list[Team]) -> TeamAttention:
    """Waiting for approval (oldest first), failed (newest first), running without anybody using it (longest first)."""
    rows = _environments(Environment.objects.filter(team__in=teams))
    quiet = timezone.now() - IDLE_AFTER
    idle = rows.filter(status=S.RUNNING, open_connections=0, kernels_busy_since=None, status_since__lt=quiet).filter(
        Q(last_activity_at=None) | Q(last_activity_at__lt=quiet)
    )
    return TeamAttention(
        waiting=list(rows.filter(status=S.AWAITING_APPROVAL).order_by("status_since", "id")[: ROWS * 2]),
        failed=list(rows.filter(status=S.FAILED).order_by("-status_since", "id")[: ROWS * 2]),
        idle=list(idle.order_by(F("last_activity_at").asc(nulls_first=True), "id")[: ROWS * 2]),
    )


def failures_by_cause() -> list[dict[str, Any]]:
    """Failed changes of the last days, by cause: `{failure_code, count, people}`."""
    since = timezone.now() - timedelta(days=FAILURE_DAYS)
    rows = Change.objects.filter(status=Change.Status.FAILED, finished_at__gte=since)
    counted = (
        rows.order_by()
        .values("failure_code")
        .annotate(count=Count("pk"), people=Count("workspace__owner", distinct=True))
    )
    return [dict(row) for row in counted.order_by("-count", "failure_code")[:10]]


def modules_success(user: User) -> list[dict[str, Any]]:
    """Launches of the last 30 days by module: `{slug, title, done, failed, share (percent), median (timedelta)}`."""
    since = timezone.now() - timedelta(days=MODULE_DAYS)
    ended = Q(status__in=(Change.Status.APPLIED, Change.Status.FAILED))
    rows = Change.objects.visible_to(user).filter(ended, kind=Change.Kind.CREATE, finished_at__gte=since).order_by()
    took = ExpressionWrapper(F("finished_at") - F("created_at"), output_field=DurationField())
    counted = rows.values(slug=F("module_version__module__slug"), title=F("module_version__module__title")).annotate(
        done=Count("pk", filter=Q(status=Change.Status.APPLIED)),
        failed=Count("pk", filter=Q(status=Change.Status.FAILED)),
        median=Median(took, filter=Q(status=Change.Status.APPLIED)),
    )
    return [
        {**row, "share": 100 * row["done"] / (row["done"] + row["failed"])} for row in counted.order_by("title")[:50]
    ]


@dataclass(frozen=True)
class Line:
    """Changes not yet finished."""

    queued: int
    active: int
    waiting: int
    oldest_queued_at: datetime | None


def line() -> Line:
    status = Change.Status
    counted = Change.objects.active().aggregate(
        queued=Count("pk", filter=Q(status=status.QUEUED)),
        active=Count("pk", filter=Q(status__in=(status.PLANNING, status.PLANNED, status.APPLYING))),
        waiting=Count("pk", filter=Q(status=status.AWAITING_APPROVAL)),
        oldest_queued_at=Min("created_at", filter=Q(status=status.QUEUED)),
    )
    return Line(**counted)


def machines() -> list[dict[str, Any]]:
    """The machines and whether their agent lives: `{machine, is_up, disk_share (percent free or None)}`."""
    cutoff = timezone.now() - MACHINE_SILENCE
    return [
        {
            "machine": row,
            "is_up": row.seen_at is not None and row.seen_at > cutoff,
            "disk_share": 100 * (row.free_disk_bytes or 0) / row.disk_bytes if row.disk_bytes else None,
        }
        for row in Machine.objects.order_by("name")[:50]
    ]
