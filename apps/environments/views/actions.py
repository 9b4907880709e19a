"""The buttons of an environment, by its status and by what the person may do, for `components/action.html`."""

from functools import cache
from typing import Any
from uuid import UUID

from django.urls import reverse

from apps.environments.durations import duration_words
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import applications_of
from apps.environments.stopping import lost_on_stop
from apps.provisioning.models import Change

S, F = Environment.Status, Environment.Failure
Action = dict[str, Any]
EXTEND_BY = 2 * 3600
NOBODY = UUID(int=0)


def environment_address(name: str, pk: UUID) -> str:
    """`reverse()` for the addresses that hold an environment's id alone; a list asks for 150 of them."""
    before, after = _around(name)
    return f"{before}{pk}{after}"


@cache
def _around(name: str) -> tuple[str, str]:
    before, _, after = reverse(f"environments:{name}", args=[NOBODY]).partition(str(NOBODY))
    return before, after


def action_post(name: str, environment: Environment, label: str, icon: str = "", **more: Any) -> Action:
    url = environment_address(name, environment.pk)
    return {"label": label, "url": url, "method": "post", "icon": icon, **more}


def action_link(name: str, environment: Environment, label: str, icon: str = "", **more: Any) -> Action:
    url = environment_address(name, environment.pk)
    return {"label": label, "url": url, "method": "get", "icon": icon, **more}


def primary_action(environment: Environment, granted: frozenset[P], active: Change | None) -> Action | None:
    """The one thing that is most likely wanted now."""
    if active and active.status == Change.Status.AWAITING_APPROVAL:
        url = reverse("environments:change", args=[environment.pk, active.pk])
        return {"label": "See what will change", "url": url, "method": "get", "icon": "eye"}
    applications = applications_of(environment.module_version)
    if environment.status == S.RUNNING and P.OPEN in granted and applications:
        return action_link("open", environment, f"Open {applications[0].title}", "external-link", new_tab=True)
    if environment.status == S.STOPPED and P.START in granted:
        if applications:
            return action_post("start", environment, "Start and open", "player-play", hidden={"open": "1"})
        return action_post("start", environment, "Start", "player-play")
    if environment.status == S.FAILED and not active:
        if environment.failure == F.MEMORY and P.UPDATE in granted:
            return action_link("settings", environment, "Choose a larger size", "adjustments")
        if P.RETRY in granted:
            return action_post("retry", environment, "Try again", "refresh")
    return None


def secondary_actions(environment: Environment, granted: frozenset[P], active: Change | None) -> list[Action]:
    """Buttons beside the primary one."""
    shown: list[Action] = []
    if environment.status == S.RUNNING and not active:
        if P.EXTEND in granted:
            label = f"Extend {duration_words(EXTEND_BY)}"
            shown.append(action_post("extend", environment, label, "clock", hidden={"seconds": EXTEND_BY}))
        if P.STOP in granted:
            # Where a stop loses something, the page says what before it asks.
            asks = lost_on_stop(environment.module_version)
            action = action_link if asks else action_post
            shown.append(action("stop", environment, "Stop", "player-stop"))
    if environment.status == S.FAILED and environment.failure == F.MEMORY and P.RETRY in granted:
        shown.append(action_post("retry", environment, "Start again", "refresh"))
    if environment.status == S.FAILED and environment.failure == F.UPDATE and P.STOP in granted and not active:
        shown.append(action_post("stop", environment, "Stop", "player-stop"))
    return shown


def menu_actions(environment: Environment, granted: frozenset[P], active: Change | None) -> list[Action]:
    """What stands behind ⋯."""
    if environment.status == S.DESTROYED:
        return []
    shown: list[Action] = []
    latest = environment.module.latest_version
    if P.UPDATE in granted:
        shown.append(action_link("settings", environment, "Resize", "adjustments"))
    if P.UPGRADE in granted and latest and latest.pk != environment.module_version_id and not active:
        shown.append(action_link("upgrade", environment, f"Upgrade to {latest.version}", "arrow-right"))
    if P.TAKE_OVER in granted and not active and environment.module_version.interface.get("takeover"):
        shown.append(action_link("take_over", environment, "Take over existing", "plug"))
    if P.REFRESH in granted and not active:
        shown.append(action_post("refresh", environment, "Check for drift", "refresh"))
    if P.DESTROY in granted:
        if shown:
            shown.append({"divider": True})
        if active and active.kind != Change.Kind.DESTROY:
            reason = "Wait for what is going on, or cancel it"
            shown.append({"label": "Destroy", "icon": "trash", "disabled_reason": reason})
        elif not active:
            shown.append(action_link("destroy", environment, "Destroy", "trash", style="danger"))
    return shown


def change_actions(environment: Environment, change: Change, may_cancel: bool, may_kill: bool) -> list[Action]:
    """What can be done with a change that is going on."""
    if not change.is_active:
        return []
    arguments = [environment.pk, change.pk]
    if change.cancel_requested_at:
        if may_kill and not change.kill_confirmed_at:
            url = reverse("environments:change_kill", args=arguments)
            return [{"label": "End Terraform by force", "url": url, "method": "post", "style": "danger-quiet"}]
        return []
    if may_cancel and change.status != Change.Status.AWAITING_APPROVAL:
        url = reverse("environments:change_cancel", args=arguments)
        return [{"label": "Cancel", "url": url, "method": "post", "icon": "x", "style": "quiet"}]
    return []
