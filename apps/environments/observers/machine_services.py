"""An environment's status, derived from what the machine sees of its services."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.core.clock import database_now
from apps.core.templatetags.portal_ui import bytes_size
from apps.environments.models import Environment
from apps.environments.observers.writing import environment_of, environment_publish, environment_write, tell_owner
from apps.environments.words import clock_of
from apps.notifications.models import Notification
from apps.provisioning.models import ServiceStatus, Workspace
from apps.provisioning.selectors import change_active

S, F = Environment.Status, Environment.Failure
MENDED = (F.CRASH, F.MEMORY)


def service_observed(workspace: Workspace, service: ServiceStatus, previous: str) -> None:
    """Called when a service's status, restarts or memory kills change. A change that is going on speaks for itself."""
    environment = environment_of(workspace.pk)
    if environment is None:
        return
    active = change_active(workspace.pk)
    if active is not None and active.kind != "refresh":
        environment_publish(environment)
        return
    if service.status in ("crashed", "out_of_memory", "out_of_disk"):
        _died(environment, service)
    elif service.status == "running":
        _runs(environment, service, previous)
    elif service.status == "stopped" and environment.status == S.RUNNING:
        reason = service.reason or "It was ended outside Slipway"
        environment_write(environment, {"status": S.STOPPED, "status_reason": reason, "open_connections": 0})
    else:
        environment_publish(environment)


def memory_words(environment: Environment, service: ServiceStatus, ended: str) -> str:
    """ "4 GB reached at 14:02, kernel ended, files are safe. Choose a larger size." """
    at = clock_of(timezone.now(), environment.owner)
    limit = (
        bytes_size(service.memory_limit_bytes).replace(".0 ", " ") if service.memory_limit_bytes else "The memory limit"
    )
    return f"{limit} reached at {at}, {ended} ended, files are safe. Choose a larger size."


def _died(environment: Environment, service: ServiceStatus) -> None:
    if environment.status not in (S.RUNNING, S.FAILED) or (
        environment.status == S.FAILED and environment.failure not in MENDED
    ):
        return
    what = f"the {environment.module.get_kind_display().lower()}"
    if service.status == "out_of_memory":
        failure, reason, action = F.MEMORY, memory_words(environment, service, f"{what} was"), "Choose a larger size"
    elif service.status == "out_of_disk":
        failure, reason, action = F.CRASH, service.reason, "Start it to make room"
    else:
        at = clock_of(timezone.now(), environment.owner)
        failure, action = F.CRASH, "See the log"
        why = f" ({service.reason})" if service.reason else ""
        reason = f"It ended unexpectedly at {at}{why}. Files are safe. Start it again, or look at its log first."
    if environment.failure == failure and environment.status == S.FAILED:
        environment_publish(environment)
        return
    environment_write(
        environment, {"status": S.FAILED, "failure": failure, "status_reason": reason, "open_connections": 0}
    )
    heads = {"out_of_memory": "ran out of memory: ", "out_of_disk": "ran out of disk: "}
    head = heads.get(service.status, "crashed: ")
    tell_owner(
        environment,
        head + reason[:1].lower() + reason[1:],
        key=f"died:{environment.pk}:{timezone.now():%Y%m%d%H%M%S}",
        action=action,
        level=Notification.Level.FAILURE,
    )


def _runs(environment: Environment, service: ServiceStatus, previous: str) -> None:
    fields: dict[str, Any] = {}
    came_back = environment.status == S.FAILED and environment.failure in MENDED
    resumed = environment.status == S.STOPPED and environment.desired_running
    if came_back or resumed:
        at = clock_of(timezone.now(), environment.owner)
        fields = {"status": S.RUNNING, "failure": F.NONE, "status_reason": f"Came back at {at}" if came_back else ""}
        if environment.expires_at is None:
            fields["expires_at"] = database_now() + timedelta(seconds=environment.ttl_seconds)
    elif environment.status == S.RUNNING and previous == "running" and service.oom_kills:
        _kernel_died(environment, service)
        return
    environment_write(environment, fields)


def _kernel_died(environment: Environment, service: ServiceStatus) -> None:
    """The machine ended a process inside the service for its memory: the application itself runs on."""
    key = f"oom:{environment.pk}:{service.oom_kills}:{service.started_at:%Y%m%d%H%M%S}" if service.started_at else ""
    if key and Notification.objects.filter(user=environment.owner, key=key).exists():
        environment_publish(environment)
        return
    reason = memory_words(environment, service, "a kernel was")
    environment_write(environment, {"status_reason": reason})
    tell_owner(environment, f"ran out of memory: {reason}", key=key, action="Resize", level=Notification.Level.FAILURE)
