"""The states of a change and the only way from one to the next: a conditional update of one row."""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from apps.provisioning.exceptions import LeaseLost
from apps.provisioning.models import Change
from apps.provisioning.registry import change_callbacks

S = Change.Status

ALLOWED: dict[str, frozenset[str]] = {
    S.QUEUED: frozenset({S.PLANNING, S.CANCELLED, S.FAILED}),
    S.PLANNING: frozenset({S.PLANNED, S.AWAITING_APPROVAL, S.FAILED, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.PLANNED, S.DISCARDED, S.CANCELLED}),
    S.PLANNED: frozenset({S.APPLYING, S.APPLIED, S.PLANNING, S.CANCELLED, S.FAILED}),
    S.APPLYING: frozenset({S.APPLIED, S.FAILED, S.CANCELLED, S.PLANNING}),
}
ENDED = frozenset({S.APPLIED, S.FAILED, S.CANCELLED, S.DISCARDED})
TIMES = {
    S.PLANNING: "planning_at",
    S.PLANNED: "planned_at",
    S.AWAITING_APPROVAL: "planned_at",
    S.APPLYING: "applying_at",
}


def change_transition(change: Change, new: str, *, fence: int | None = None, **fields: Any) -> bool:
    """Move `change` from the status it is known to have to `new`; False when the row has moved on meanwhile.

    With `fence` the row must also still belong to that lease of the machine; an agent that lost its lease gets
    `LeaseLost`. The instance is brought up to date and every observer hears of it in the same transaction.
    """
    old = change.status
    if new not in ALLOWED.get(old, frozenset()):
        return False
    values: dict[str, Any] = {"status": new, **fields}
    if new in TIMES:
        values[TIMES[S(new)]] = Now()
    if new in ENDED:
        values |= {"finished_at": Now(), "values": b""}
    with transaction.atomic():
        rows = Change.objects.filter(pk=change.pk, status=old)
        if fence is not None:
            rows = rows.filter(fence=fence)
        if rows.update(**values) != 1:
            _raise_if_lease_lost(change, fence)
            return False
        change.refresh_from_db()
        _tell(change)
    return True


def change_step(change: Change, *, fence: int, step: str, done: int, total: int) -> None:
    """Record what is happening now; the count never moves back."""
    with transaction.atomic():
        rows = Change.objects.filter(pk=change.pk, fence=fence, status=change.status)
        done = max(done, change.steps_done)
        if rows.update(step=step[:200], steps_done=done, steps_total=total) != 1:
            _raise_if_lease_lost(change, fence)
            return
        change.step, change.steps_done, change.steps_total = step[:200], done, total
        _tell(change)


def change_fail(change: Change, *, code: str, summary: str, detail: str = "", fence: int | None = None) -> bool:
    return change_transition(
        change,
        S.FAILED,
        fence=fence,
        failure_code=code,
        failure_summary=summary[:500],
        failure_detail=detail[:20_000],
    )


def _raise_if_lease_lost(change: Change, fence: int | None) -> None:
    if fence is not None and not Change.objects.filter(pk=change.pk, fence=fence).exists():
        raise LeaseLost(f"change {change.pk} is not held under fence {fence} any more")


def _tell(change: Change) -> None:
    for callback in change_callbacks:
        callback(change)
