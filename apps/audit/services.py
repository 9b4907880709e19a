"""Recording what was done. Called inside the transaction of the write, so that neither exists without the other."""

from typing import Any

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.correlation import correlation_id


def audit_record(
    *,
    action: str,
    actor: User | None,
    target: Any,
    team_id: Any = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    via: str = "",
) -> AuditEvent:
    """Append an event. `action` is `<app>:<subject>:<verb>`; values in `before` and `after` must already be masked.

    Without an actor the portal itself acted (a stop time was reached, an agent reported a result).
    """
    return AuditEvent.objects.create(
        action=action,
        actor=actor,
        actor_name=actor.username if actor else "Slipway",
        target_type=target._meta.model_name,
        target_id=str(target.pk),
        target_name=str(target)[:200],
        team_id=team_id,
        before=before or {},
        after=after or {},
        correlation_id=correlation_id.get(),
        via=via,
    )
