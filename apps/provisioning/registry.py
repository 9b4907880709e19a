"""Where apps above provisioning hear of changes and services, without provisioning knowing them.

They register in `AppConfig.ready()`. Callbacks run inside the transaction of the write they hear of: what they write
commits or rolls back with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from apps.provisioning.models import Change, ServiceStatus, StateVersion, Workspace

ChangeCallback = Callable[["Change"], None]
ServiceCallback = Callable[["Workspace", "ServiceStatus", str], None]
ProcessCallback = Callable[["Workspace", "ServiceStatus", datetime | None], None]
StateCallback = Callable[["StateVersion", dict[str, Any]], None]
LogCallback = Callable[["Workspace", str, list[dict[str, Any]]], None]
ContextCallback = Callable[["Workspace", "Change"], dict[str, str]]
RequestCallback = Callable[["Workspace", "Change"], dict[str, Any]]
PlanGate = Callable[["Change", dict[str, Any], dict[str, Any]], "list[Finding]"]
Callback = TypeVar("Callback", bound=Callable[..., object])


@dataclass(frozen=True)
class Finding:
    """What a rule says of a plan. `effect` is deny or warn; require-approval is kept for the approvals app.

    `message` says what is wrong, `cure` what to do; `address` is the resource, where it is about one.
    """

    policy: str
    rule: str
    effect: str
    message: str
    cure: str = ""
    address: str = ""


change_callbacks: list[ChangeCallback] = []
service_callbacks: list[ServiceCallback] = []
process_callbacks: list[ProcessCallback] = []
state_callbacks: list[StateCallback] = []
log_callbacks: list[LogCallback] = []
context_callbacks: list[ContextCallback] = []
request_callbacks: list[RequestCallback] = []
plan_gates: list[PlanGate] = []


def _register(callbacks: list[Callback], callback: Callback) -> Callback:
    if callback not in callbacks:
        callbacks.append(callback)
    return callback


def on_change(callback: ChangeCallback) -> ChangeCallback:
    """Called with the change after every transition and every new step."""
    return _register(change_callbacks, callback)


def on_service(callback: ServiceCallback) -> ServiceCallback:
    """Called with the workspace, the row and its previous status (empty at first) when a service's state changes."""
    return _register(service_callbacks, callback)


def on_process(callback: ProcessCallback) -> ProcessCallback:
    """Called with the workspace, the row and when its former process was last seen alive (None where there was none),
    whenever a service's process began, ended or was replaced by another."""
    return _register(process_callbacks, callback)


def on_state(callback: StateCallback) -> StateCallback:
    """Called with every new state version and its content, which is Terraform's state file, secrets and all."""
    return _register(state_callbacks, callback)


def on_log(callback: LogCallback) -> LogCallback:
    """Called with the workspace, the stream and its new lines `{n, at, level, text}`, which are stored already."""
    return _register(log_callbacks, callback)


def context_for(callback: ContextCallback) -> ContextCallback:
    """Adds strings to the run context, with which every experiment run in the workspace is tagged."""
    return _register(context_callbacks, callback)


def request_for(callback: RequestCallback) -> RequestCallback:
    """Adds to what rules are told of the request: who asks, for which team, with which module and inputs (masked)."""
    return _register(request_callbacks, callback)


def plan_gate(callback: PlanGate) -> PlanGate:
    """Called with the change, its plan (Terraform's JSON, secrets masked) and the request, before anything is applied.

    A finding with the effect "deny" ends the change.
    """
    return _register(plan_gates, callback)
