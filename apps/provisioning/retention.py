"""Which rows of provisioning may go. Changes stay, with their plans and outcomes; a workspace's newest state stays."""

from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from apps.core.retention import before, register_prune
from apps.provisioning.models import Change, CommandRecord, LogCursor, LogLine, StateVersion
from apps.provisioning.set_usage import retired_values_done

STREAMS_AT_ONCE = 50

# The newest line of each stream by its index, and not one look at the lines themselves.
TOO_LONG = """
SELECT w.id, s.stream, newest.number
  FROM provisioning_workspace w
 CROSS JOIN (VALUES ('build'), ('application')) AS s(stream)
 CROSS JOIN LATERAL (SELECT number FROM provisioning_logline
                      WHERE workspace_id = w.id AND stream = s.stream ORDER BY number DESC LIMIT 1) AS newest
 CROSS JOIN LATERAL (SELECT number FROM provisioning_logline
                      WHERE workspace_id = w.id AND stream = s.stream ORDER BY number LIMIT 1) AS oldest
 WHERE oldest.number <= newest.number - %s
 LIMIT %s
"""


def register() -> None:
    register_prune("log lines", log_lines_old)
    register_prune("log lines of long logs", log_lines_of_long_logs)
    register_prune("log cursors", log_cursors_old)
    register_prune("state versions", state_versions_old)
    register_prune("command records", command_records_old)
    register_prune("retired values of variable sets", retired_values_done)


def log_lines_old() -> QuerySet[LogLine]:
    """Not the newest line of a stream, from which the next one takes its number, nor those of a change under way."""
    newer = LogLine.objects.filter(
        workspace=OuterRef("workspace"), stream=OuterRef("stream"), number__gt=OuterRef("number")
    )
    rows = LogLine.objects.filter(Exists(newer), at__lt=before(days=settings.KEEP_LOG_DAYS))
    return rows.exclude(change__in=Change.objects.active())


def log_lines_of_long_logs() -> QuerySet[LogLine]:
    """An application that writes without end must not fill the disk within the days."""
    with connection.cursor() as cursor:
        cursor.execute(TOO_LONG, [settings.KEEP_LOG_LINES, STREAMS_AT_ONCE])
        long: list[tuple[Any, str, int]] = cursor.fetchall()
    beyond = Q(pk__in=[])
    for workspace_id, stream, newest in long:
        beyond |= Q(workspace_id=workspace_id, stream=stream, number__lte=newest - settings.KEEP_LOG_LINES)
    return LogLine.objects.filter(beyond)


def log_cursors_old() -> QuerySet[LogCursor]:
    """Cursors of build logs whose workspace has been destroyed; those of a workspace that lives are few."""
    return LogCursor.objects.filter(workspace__destroyed_at__lt=before(days=settings.KEEP_LOG_DAYS))


def state_versions_old() -> QuerySet[StateVersion]:
    """Beyond the days, and beyond the number that is kept of each workspace whatever their age."""
    of_workspace = StateVersion.objects.filter(workspace=OuterRef("workspace")).order_by("-id").values("id")
    kept = max(1, settings.KEEP_STATE_VERSIONS)
    oldest_kept = Subquery(of_workspace[kept - 1 : kept])
    rows = StateVersion.objects.filter(created_at__lt=before(days=settings.KEEP_STATE_DAYS), id__lt=oldest_kept)
    return rows.exclude(change__in=Change.objects.active())


def command_records_old() -> QuerySet[CommandRecord]:
    return CommandRecord.objects.filter(
        change__finished_at__lt=before(days=settings.KEEP_COMMAND_DAYS),
        created_at__lt=before(days=settings.KEEP_COMMAND_DAYS),
    )
