"""When an environment stops by itself: extending, warning, and what is due."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F as Column
from django.db.models import QuerySet
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core import live
from apps.core.clock import database_now
from apps.core.exceptions import InvalidInput
from apps.environments.durations import duration_words
from apps.environments.exceptions import WrongStatus
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import ttl_limits
from apps.environments.services.locking import environment_lock
from apps.environments.services.running import environment_stop
from apps.environments.stopping import stop_words
from apps.environments.words import clock_of
from apps.notifications.models import Notification
from apps.notifications.services import notify

S = Environment.Status
WARN_BEFORE = timedelta(minutes=15)
SHORTEST = 60


@transaction.atomic
def environment_extend(
    *, environment: Environment, actor: User, seconds: int | None = None, until: datetime | None = None
) -> Environment:
    """Move the stop time of a running environment: by `seconds` later, or to `until`.

    The module's maximum counts from now. Raises `InvalidInput` beyond it and for times that have passed.
    """
    row = environment_lock(environment, actor, P.EXTEND)
    if row.status not in (S.RUNNING, S.UPDATING, S.AWAITING_APPROVAL) or row.expires_at is None:
        raise WrongStatus("Only what is running has a stop time to move.")
    if (seconds is None) == (until is None):
        raise InvalidInput("Give seconds or until.", errors={"seconds": ["Give seconds or until, not both."]})
    moment = database_now()
    new = until if until is not None else max(row.expires_at, moment) + timedelta(seconds=seconds or 0)
    latest = moment + timedelta(seconds=ttl_limits(row.module_version).maximum)
    field = "until" if until is not None else "seconds"
    if new < moment + timedelta(seconds=SHORTEST):
        raise InvalidInput("That time has passed.", errors={field: ["Give a time that lies ahead."]})
    if new > latest + timedelta(seconds=60):
        longest = duration_words(ttl_limits(row.module_version).maximum)
        message = f"At most {longest} from now: {clock_of(latest, row.owner)}."
        raise InvalidInput(message, errors={field: [message]})
    old, row.expires_at, row.warned_for = row.expires_at, new, None
    Environment.objects.filter(pk=row.pk).update(expires_at=new, warned_for=None)
    audit_record(
        action="environments:environment:extend",
        actor=actor,
        target=row,
        team_id=row.team_id,
        before={"expires_at": old.isoformat()},
        after={"expires_at": new.isoformat()},
    )
    live.publish(audience=f"team:{row.team_id}", topic=row.topic, kind="status", data={"status": row.status})
    return row


def environments_due(moment: datetime) -> QuerySet[Environment]:
    """Running environments whose stop time has come."""
    return Environment.objects.filter(status=S.RUNNING, expires_at__lte=moment).order_by("expires_at", "id")


def environments_to_warn(moment: datetime) -> QuerySet[Environment]:
    """Running environments that stop within a quarter of an hour and whose owner has not heard of that time yet."""
    soon = Environment.objects.filter(status=S.RUNNING, expires_at__gt=moment, expires_at__lte=moment + WARN_BEFORE)
    return soon.exclude(warned_for=Column("expires_at")).select_related("owner", "module_version")


@transaction.atomic
def environment_warn(*, environment: Environment) -> bool:
    """Tell the owner once for each stop time; False when it has been extended or told meanwhile."""
    row = Environment.objects.filter(pk=environment.pk, status=S.RUNNING, expires_at=environment.expires_at)
    if row.exclude(warned_for=Column("expires_at")).update(warned_for=Column("expires_at")) != 1:
        return False
    assert environment.expires_at is not None
    left = max(60, round((environment.expires_at - database_now()).total_seconds() / 60) * 60)
    notify(
        user=environment.owner,
        text=(
            f"{environment.name} stops in {duration_words(left)} "
            f"({clock_of(environment.expires_at, environment.owner)}). {stop_words(environment)}"
        ),
        url=reverse("environments:detail", args=[environment.pk]),
        action="Extend 2 h",
        level=Notification.Level.ACTION,
        key=f"environment-stops:{environment.pk}:{environment.expires_at:%Y%m%d%H%M%S}",
    )
    topic = f"environment:{environment.pk}"
    live.publish(audience=f"team:{environment.team_id}", topic=topic, kind="status", data={"status": S.RUNNING})
    return True


@transaction.atomic
def environment_expire(*, environment: Environment) -> bool:
    """Stop what is due; False when its owner has extended or stopped it meanwhile. Raises `EnvironmentBusy`."""
    row = environment_lock(environment, None, P.STOP)
    if row.status != S.RUNNING or row.expires_at is None or row.expires_at > database_now():
        return False
    reason = f"Its stop time, {clock_of(row.expires_at, row.owner)}, was reached"
    environment_stop(environment=row, actor=None, reason=reason)
    return True
