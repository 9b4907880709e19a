"""Signs that somebody uses an environment. Looking at a page of the portal is none."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.environments.access.contracts import Activity
from apps.environments.models import Environment

BY_PEOPLE = frozenset({Activity.PAGE, Activity.CHANGE, Activity.MESSAGE, Activity.CONNECTED})


@transaction.atomic
def environment_opened(*, environment: Environment, actor: User, outside: str = "") -> None:
    """The owner went to the application: what “Continue” on the home page is ordered by.

    `outside` names one that is not behind the access proxy. Opening it is the last that Slipway sees of its use, so it
    counts as use and is in the audit log.
    """
    now = timezone.now()
    fields = {"last_used_at": now, **({"last_activity_at": now} if outside else {})}
    Environment.objects.filter(pk=environment.pk, owner=actor).update(**fields)
    if outside:
        audit_record(
            action="environments:environment:open",
            actor=actor,
            target=environment,
            team_id=environment.team_id,
            after={"application": outside},
        )


def activity_record(
    *,
    environment_id: UUID | str,
    kind: Activity | str,
    open_connections: int | None = None,
) -> None:
    """What the access proxy saw of one environment.

    A page that asks by itself, or that is closed, is no sign of a person; it only tells how many are open.
    """
    fields: dict[str, object] = {}
    if Activity(kind) in BY_PEOPLE:
        fields["last_activity_at"] = timezone.now()
    if open_connections is not None:
        fields["open_connections"] = max(0, open_connections)
    if fields:
        Environment.objects.filter(pk=environment_id).update(**fields)


def kernels_record(*, environment_id: UUID | str, busy_since: datetime | None) -> None:
    """What the idle probe saw: since when a kernel computes without a pause, None while all are idle."""
    Environment.objects.filter(pk=environment_id).update(kernels_busy_since=busy_since)
