"""A change under way as steps, with the time it takes and usually takes; for `components/progress.html`."""

from typing import Any

from django.utils import timezone

from apps.environments.models import Environment
from apps.environments.selectors import applications_of
from apps.provisioning.models import Change
from apps.provisioning.selectors import queue_position, usual_duration

C, K = Change.Status, Change.Kind
DOING = {
    K.CREATE: "Building",
    K.START: "Starting",
    K.STOP: "Stopping",
    K.UPDATE: "Changing",
    K.DESTROY: "Destroying",
    K.REFRESH: "Looking",
}
DONE = {
    K.CREATE: "Running",
    K.START: "Running",
    K.STOP: "Stopped",
    K.UPDATE: "Done",
    K.DESTROY: "Destroyed",
    K.REFRESH: "Done",
}
# Where each status stands in the row of steps; one that waits for a click stands after the planning.
PLACE = {C.QUEUED: 0, C.PLANNING: 1, C.AWAITING_APPROVAL: 2, C.PLANNED: 2, C.APPLYING: 2}
FAST = 8.0


def progress_of(environment: Environment, change: Change) -> dict[str, Any]:
    """Everything the component needs, by the server's clock."""
    usual = usual_duration(module_version_id=change.module_version_id, kind=change.kind)
    end = change.finished_at or timezone.now()
    return {
        "steps": steps_of(environment, change, usual.median if usual else None),
        "elapsed_s": max(0, round((end - change.created_at).total_seconds())),
        "usual": {"median_s": round(usual.median, 1), "p90_s": round(usual.p90, 1)} if usual else None,
        "done": change.steps_done,
        "total": max(1, change.steps_total),
        "waiting_for": _waiting_for(environment, change),
        "failed": change.status == C.FAILED,
    }


def steps_of(environment: Environment, change: Change, median: float | None = None) -> list[dict[str, str]]:
    """In line → Planning → Building (2 of 4: Python packages) → Running."""
    labels = ["In line", "Planning", DOING[K(change.kind)], DONE[K(change.kind)]]
    here = PLACE.get(C(change.status), 3)
    if change.status in (C.FAILED, C.CANCELLED, C.DISCARDED):
        here = 2 if change.applying_at else 1 if change.planning_at else 0
    steps = [{"label": label, "state": _state(index, here), "detail": ""} for index, label in enumerate(labels)]
    if change.status == C.APPLIED:
        return [{**step, "state": "done"} for step in steps]
    if change.status == C.FAILED:
        steps[here]["state"] = "failed"
    steps[here]["detail"] = _detail(change, median)
    return steps


def _state(index: int, here: int) -> str:
    return "done" if index < here else "current" if index == here else "todo"


def _detail(change: Change, median: float | None) -> str:
    if change.status == C.QUEUED:
        place = queue_position(change)
        wait = f", about {round(place * (median or FAST))} s" if place > 1 else ""
        ordinal = {1: "next", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")
        return f"{ordinal}{wait}"
    if change.status == C.AWAITING_APPROVAL:
        return "waits for a click"
    if change.cancel_requested_at and change.is_active:
        return "cancelling; what is finished is kept"
    if change.status in (C.APPLYING, C.FAILED) and change.step:
        if change.steps_total:
            return f"{min(change.steps_done + 1, change.steps_total)} of {change.steps_total}: {change.step}"
        return change.step
    return ""


def _waiting_for(environment: Environment, change: Change) -> str:
    applications = applications_of(environment.module_version)
    if applications and change.step == applications[0].title:
        return f"{applications[0].title} to answer"
    return change.step or "Terraform"
