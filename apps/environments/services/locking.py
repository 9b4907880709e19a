"""How every service takes an environment in hand: its row locked, no change going on, the actor allowed."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.environments.exceptions import EnvironmentBusy, VersionRevoked
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, require
from apps.environments.services.values import terraform_values
from apps.provisioning.exceptions import ChangeActive
from apps.provisioning.imports import Import, imports_known
from apps.provisioning.models import Change
from apps.provisioning.selectors import change_active
from apps.provisioning.services import change_request

# Changes that bring something to run which did not.
STARTING = (Change.Kind.CREATE, Change.Kind.START)
BUILDING = (Change.Kind.CREATE, Change.Kind.START, Change.Kind.UPDATE)
BUSY_WORDS = {
    Change.Kind.CREATE: "It is still being built. Wait for it, or cancel the launch.",
    Change.Kind.UPDATE: "It is being changed just now. Wait for it, or cancel the change.",
    Change.Kind.STOP: "It is stopping just now. Wait for it, or cancel the change.",
    Change.Kind.START: "It is starting just now. Wait for it, or cancel the start.",
    Change.Kind.DESTROY: "It is being destroyed.",
    Change.Kind.REFRESH: "It is being checked for changes made outside Slipway, which takes a few seconds.",
}


def environment_lock(environment: Environment, actor: User | None, permission: EnvironmentPermission) -> Environment:
    """The row as it is now, held until the transaction ends. Without an actor the portal itself acts."""
    assert transaction.get_connection().in_atomic_block
    row = (
        Environment.objects.select_for_update(of=("self",))
        .select_related("team", "owner", "module", "module_version", "workspace")
        .get(pk=environment.pk)
    )
    if actor is not None:
        require(actor, permission, row)
    return row


def require_idle(environment: Environment) -> None:
    """Raises `EnvironmentBusy`, which says what is going on."""
    active = change_active(environment.pk)
    if active is not None:
        raise busy(active)


def busy(active: Change | None) -> EnvironmentBusy:
    if active is None:
        return EnvironmentBusy()
    if active.status == Change.Status.AWAITING_APPROVAL:
        return EnvironmentBusy("A planned change waits for a decision. Apply or discard it first.")
    return EnvironmentBusy(BUSY_WORDS[Change.Kind(active.kind)])


def imports_pending(environment: Environment, kind: str) -> list[Import]:
    """What the last change was to take over, where it never came to that or broke midway.

    Trying a failed launch again must not build anew what it was to find. A plan that failed or was discarded beside a
    running environment is over: what it named may have been wrong.
    """
    if kind not in BUILDING:
        return []
    rows = Change.objects.filter(workspace_id=environment.pk, kind__in=BUILDING).order_by("-created_at", "-id")
    last = rows.defer("values", "plan").first()
    if last is None or last.status == Change.Status.APPLIED:
        return []
    goes_on = last.kind == Change.Kind.CREATE or last.applying_at is not None
    return imports_known(last.imports) if goes_on else []


def begin(
    environment: Environment,
    *,
    kind: str,
    actor: User | None,
    reason: str = "",
    desired_running: bool | None = None,
    fields: dict[str, Any] | None = None,
    audit: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
    imports: list[Import] | None = None,
) -> Change:
    """Request a change of the locked row and write what goes with it; the observer sets the status.

    Without `imports` it takes over what an earlier change was to and has not yet.
    """
    running = environment.desired_running if desired_running is None else desired_running
    new = {"desired_running": running, **(fields or {})}
    version = new.get("module_version") or environment.module_version
    if kind in STARTING and not version.is_startable:
        raise VersionRevoked(
            f"{version.module.title} {version.version} was revoked: {version.status_reason}. "
            "Upgrade to another version, then start it. Nothing was lost."
        )
    before_status = environment.status
    Environment.objects.filter(pk=environment.pk).update(**new)
    for name, value in new.items():
        setattr(environment, name, value)
    assert environment.workspace is not None
    try:
        change = change_request(
            workspace=environment.workspace,
            kind=kind,
            values=terraform_values(environment, running),
            requested_by=actor,
            reason=reason,
            module_version=environment.module_version,
            imports=imports_pending(environment, kind) if imports is None else imports,
        )
    except ChangeActive:
        raise busy(change_active(environment.pk)) from None
    before, after = audit
    if actor is not None and actor.pk != environment.owner_id:
        after = {**after, "owner": environment.owner.username, "break_glass": actor.is_platform_engineer}
    audit_record(
        action=f"environments:environment:{kind}",
        actor=actor,
        target=environment,
        team_id=environment.team_id,
        before={"status": before_status, **before},
        after={"change": str(change.pk), **({"reason": reason} if reason else {}), **after},
    )
    environment.refresh_from_db()
    return change
