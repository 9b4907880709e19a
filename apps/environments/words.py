"""What people read for the states of an environment and its changes, with the colour that goes with the word."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from apps.accounts.models import User
from apps.environments.models import Environment
from apps.environments.stopping import lost_on_stop
from apps.provisioning.models import Change

S = Environment.Status
C = Change.Status


@dataclass(frozen=True)
class StatusWord:
    """`tone` is one of neutral, busy, good, warn, bad."""

    tone: str
    label: str


STATUS_WORDS = {
    S.AWAITING_APPROVAL: StatusWord("warn", "Waiting for approval"),
    S.QUEUED: StatusWord("busy", "In line"),
    S.PROVISIONING: StatusWord("busy", "Building"),
    S.RUNNING: StatusWord("good", "Running"),
    S.STOPPING: StatusWord("busy", "Stopping"),
    S.STOPPED: StatusWord("neutral", "Stopped, files kept"),
    S.STARTING: StatusWord("busy", "Starting"),
    S.UPDATING: StatusWord("busy", "Updating"),
    S.FAILED: StatusWord("bad", "Failed"),
    S.DESTROYING: StatusWord("busy", "Destroying"),
    S.DESTROYED: StatusWord("neutral", "Destroyed"),
}

CHANGE_TONES = {
    C.QUEUED: "busy",
    C.PLANNING: "busy",
    C.PLANNED: "busy",
    C.AWAITING_APPROVAL: "warn",
    C.APPLYING: "busy",
    C.APPLIED: "good",
    C.FAILED: "bad",
    C.CANCELLED: "neutral",
    C.DISCARDED: "neutral",
}

# What a change does to an environment while it is going on; None leaves the status as it is.
STATUS_DURING: dict[str, str | None] = {
    Change.Kind.CREATE: S.PROVISIONING,
    Change.Kind.UPDATE: S.UPDATING,
    Change.Kind.STOP: S.STOPPING,
    Change.Kind.START: S.STARTING,
    Change.Kind.DESTROY: S.DESTROYING,
    Change.Kind.REFRESH: None,
}

FAILURE_OF_KIND = {
    Change.Kind.CREATE: Environment.Failure.START,
    Change.Kind.START: Environment.Failure.START,
    Change.Kind.UPDATE: Environment.Failure.UPDATE,
    Change.Kind.STOP: Environment.Failure.STOP,
    Change.Kind.DESTROY: Environment.Failure.DESTROY,
}


def status_word(environment: Environment) -> StatusWord:
    if environment.status == S.FAILED and environment.failure:
        return StatusWord("bad", environment.get_failure_display())
    if environment.status == S.STOPPED and lost_on_stop(environment.module_version):
        return StatusWord("neutral", "Stopped")
    return STATUS_WORDS[S(environment.status)]


def change_word(change: Change) -> StatusWord:
    if change.is_active and change.cancel_requested_at:
        return StatusWord("busy", "Cancelling")
    return StatusWord(CHANGE_TONES[C(change.status)], change.get_status_display())


def clock_of(moment: datetime, person: User) -> str:
    """A time of day as the person's clock shows it, with the date when it is not today: "18:00", "22 Nov 09:00"."""
    try:
        zone = ZoneInfo(person.time_zone) if person.time_zone else timezone.get_current_timezone()
    except (ZoneInfoNotFoundError, ValueError):
        zone = timezone.get_current_timezone()
    local, today = moment.astimezone(zone), timezone.now().astimezone(zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local.day} {local:%b %H:%M}"


def level_shown(level: str) -> str:
    """A log level as pages colour it: debug, info, warn or error."""
    return {"warning": "warn", "critical": "error", "trace": "debug"}.get(level, level)


_OUTCOMES = {
    "create": ("has launched", "could not launch", "gave up launching"),
    "start": ("has started", "could not start", "gave up starting"),
    "stop": ("has stopped", "could not stop", "gave up stopping"),
    "update": ("has changed", "could not change", "gave up changing"),
    "destroy": ("has destroyed", "could not destroy", "gave up destroying"),
    "refresh": ("has checked", "could not check", "gave up checking"),
}
# What the audit log says of an action, between the actor and the environment's name.
AUDIT_WORDS = {
    "environments:environment:create": "launched",
    "environments:environment:start": "asked to start",
    "environments:environment:stop": "asked to stop",
    "environments:environment:update": "asked to change",
    "environments:environment:destroy": "asked to destroy",
    "environments:environment:refresh": "asked to check",
    "environments:environment:open": "opened",
    "environments:environment:extend": "moved the stop time of",
    "environments:environment:connect": "connected to",
    "environments:rollout:start": "began to roll out",
    "environments:rollout:continue": "continued the rollout of",
    "environments:rollout:pause": "paused the rollout of",
    "environments:rollout:skip": "left an environment out of the rollout of",
    "environments:rollout:give": "gave values for the rollout of",
    "environments:rollout:stop": "stopped the rollout of",
    "environments:rollout:finish": "finished the rollout of",
    **{
        f"environments:environment:{kind}-{status}": words
        for kind, outcomes in _OUTCOMES.items()
        for status, words in zip(("done", "failed", "cancelled", "discarded"), (*outcomes, outcomes[-1]), strict=True)
    },
}


@dataclass(frozen=True)
class IsolationWord:
    """How an environment is kept from its neighbours: `value` and `note` for its owner, `title` names the means."""

    value: str
    note: str
    title: str


ISOLATION_WORDS = {
    "bubblewrap+uid": IsolationWord(
        "From everybody else",
        "Others on this machine see neither its files nor its processes.",
        "bubblewrap, with a system user of its own",
    ),
    "bubblewrap": IsolationWord(
        "From everybody else", "Others on this machine see neither its files nor its processes.", "bubblewrap"
    ),
    "landlock": IsolationWord(
        "Its files are",
        "Others on this machine cannot open its files; they can see that its processes exist.",
        "Landlock, without bubblewrap",
    ),
    "none": IsolationWord(
        "Not kept apart", "Others who run something on this machine could read its files.", "no isolation works here"
    ),
}
