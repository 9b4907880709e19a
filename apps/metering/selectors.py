"""What was used, in a window of time: sums over the parts of intervals that lie in it, by one query."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.accounts.models import User
from apps.metering.models import ResourceInterval

Group = Literal["day", "team", "user", "environment", "kind"]
GROUPS: tuple[str, ...] = get_args(Group)
COLUMNS = {
    "day": "day.begins",
    "team": "i.team_id",
    "user": "i.user_id",
    "environment": "i.workspace_id",
    "kind": "r.kind",
}
FIELDS = {"day": "day", "team": "team_id", "user": "user_id", "environment": "environment_id", "kind": "kind"}

# A process that runs is counted as far as it was seen to run; everything else, a cloud's machine too, is there until it
# is known to be gone.
END = """COALESCE(i.ended_at, CASE WHEN i.state = 'running' AND i.run_started_at IS NOT NULL THEN i.seen_at
                                  ELSE %(now)s END)"""
SECONDS = "GREATEST(0, EXTRACT(EPOCH FROM LEAST({end}, {until}) - GREATEST(i.started_at, {since})))"
ACTIVE = "(i.state <> 'stopped')::int"
SUMS = f"""
    COALESCE(SUM(s * COALESCE(i.cpu_cores, 0) * {ACTIVE}), 0),
    COALESCE(SUM(s * COALESCE(i.memory_bytes, 0) * {ACTIVE}), 0),
    COALESCE(SUM(s * i.gpu_count * {ACTIVE}), 0),
    COALESCE(SUM(s * COALESCE(i.disk_bytes, 0)), 0),
    COALESCE(SUM(s), 0),
    COALESCE(SUM(s * (i.state = 'running')::int), 0)
"""


@dataclass(frozen=True)
class Usage:
    """What was used in a window, and by whom where it was asked for by that; the rest of the first five is None.

    `core_seconds` is cores times seconds and so on; memory and disk are in bytes times seconds. A stopped resource
    counts for its disk alone. `existed_seconds` and `running_seconds` add up the seconds of all resources. What has no
    limit or no known size (`ResourceInterval` with NULL) adds nothing to the sums.
    """

    day: date | None
    team_id: UUID | None
    user_id: int | None
    environment_id: UUID | None
    kind: str | None
    core_seconds: Decimal
    memory_byte_seconds: Decimal
    gpu_seconds: Decimal
    disk_byte_seconds: Decimal
    existed_seconds: Decimal
    running_seconds: Decimal


@dataclass(frozen=True)
class ResourceUse:
    """One interval as far as it lies in a window."""

    interval: ResourceInterval
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def usage(
    *,
    start: datetime,
    end: datetime,
    by: Sequence[Group] = (),
    visible_to: User | None = None,
    team_id: UUID | None = None,
    user_id: int | None = None,
    environment_id: UUID | None = None,
    now: datetime | None = None,
    limit: int | None = None,
) -> list[Usage]:
    """Use in [start, end), one row for each group in the order of the groups; days are those of UTC.

    Without groups it is one row, of zeros where nothing was used. With `visible_to` only what that person may see.
    """
    names = [name for name in GROUPS if name in by]
    where, values = _conditions(visible_to, team_id=team_id, user_id=user_id, environment_id=environment_id)
    values |= {"start": start, "end": min(end, max(start, now or timezone.now())), "now": now or timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute(_statement(names, where, limit), values)
        rows = cursor.fetchall()
    sums = [field.name for field in fields(Usage)][len(GROUPS) :]
    return [_usage(names, sums, row) for row in rows]


def usage_of_environment(*, environment_id: UUID, start: datetime, end: datetime) -> Usage:
    """All of one environment's use in [start, end)."""
    return usage(start=start, end=end, environment_id=environment_id)[0]


def usage_this_month(*, environment_id: UUID) -> Usage:
    """What one environment has used since the first of the month (UTC)."""
    now = timezone.now()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return usage_of_environment(environment_id=environment_id, start=first, end=now)


def resources_used(*, workspace_id: UUID, start: datetime, end: datetime) -> list[ResourceUse]:
    """Which resources of a workspace there were while something ran in it, with their sizes, oldest first."""
    now = timezone.now()
    rows = ResourceInterval.objects.filter(workspace_id=workspace_id).during(start, end).select_related("resource")
    found = []
    for row in rows.order_by("started_at", "id"):
        watched = row.state == ResourceInterval.State.RUNNING and row.run_started_at is not None
        last = row.ended_at or (row.seen_at if watched else now)
        begin, until = max(row.started_at, start), min(last, end)
        if until > begin:
            found.append(ResourceUse(row, begin, until))
    return found


def _statement(names: list[str], where: str, limit: int | None) -> str:
    """Put together from the constants above; what comes from a caller is a parameter."""
    since, until, days = "%(start)s", "%(end)s", ""
    if "day" in names:
        since, until = "GREATEST(day.begins, %(start)s)", "LEAST(day.begins + interval '1 day', %(end)s)"
        days = f"""
            CROSS JOIN LATERAL generate_series(
                date_trunc('day', GREATEST(i.started_at, %(start)s), 'UTC'),
                LEAST({END}, %(end)s),
                interval '1 day'
            ) AS day(begins)
        """
    groups = ", ".join(COLUMNS[name] for name in names)
    return f"""
        SELECT {groups + "," if groups else ""} {SUMS}
          FROM metering_resourceinterval i
          {"JOIN metering_meteredresource r ON r.id = i.resource_id" if "kind" in names else ""}
          {days}
          CROSS JOIN LATERAL (SELECT {SECONDS.format(end=END, until=until, since=since)} AS s) AS part
         WHERE i.started_at < %(end)s AND (i.ended_at IS NULL OR i.ended_at > %(start)s) {where}
         {f"GROUP BY {groups} HAVING SUM(s) > 0 ORDER BY {groups}" if groups else ""}
         {f"LIMIT {int(limit)}" if limit else ""}
    """  # noqa: S608


def _conditions(visible_to: User | None, **wanted: Any) -> tuple[str, dict[str, Any]]:
    columns = {"team_id": "i.team_id", "user_id": "i.user_id", "environment_id": "i.workspace_id"}
    given = {name: value for name, value in wanted.items() if value is not None}
    where = "".join(f" AND {columns[name]} = %({name})s" for name in given)
    if visible_to is not None and not visible_to.sees_everything:
        where += " AND (i.user_id = %(person)s OR i.team_id = ANY(%(teams)s))"
        given["person"] = visible_to.pk
        given["teams"] = list(visible_to.memberships.values_list("team_id", flat=True))
    return where, given


def _usage(names: list[str], sums: list[str], row: tuple[Any, ...]) -> Usage:
    groups: dict[str, Any] = dict.fromkeys(FIELDS.values())
    for name, value in zip(names, row, strict=False):
        groups[FIELDS[name]] = value.astimezone(UTC).date() if name == "day" else value
    return Usage(**groups, **dict(zip(sums, row[len(names) :], strict=True)))
