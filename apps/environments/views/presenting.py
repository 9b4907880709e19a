"""The parts of an environment's page, each as one of the components takes it."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.template.defaultfilters import capfirst
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.core.templatetags.portal_ui import bytes_size
from apps.core.templatetags.portal_ui import time as time_tag
from apps.environments.clusters import connect_of, may_connect
from apps.environments.durations import duration_words
from apps.environments.failure_words import diagnostic_label
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.permissions import permissions_of
from apps.environments.runtime_choice import label_of
from apps.environments.selectors import change_last, drift_found, files_would_be_lost
from apps.environments.stopping import KEPT, STARTED_OUTSIDE, STOPPED_OUTSIDE, lost_on_stop
from apps.environments.version_flags import version_notice
from apps.environments.views.actions import (
    action_link,
    action_post,
    change_actions,
    menu_actions,
    primary_action,
    secondary_actions,
)
from apps.environments.views.progress import progress_of
from apps.environments.words import ISOLATION_WORDS, IsolationWord, status_word
from apps.metering.selectors import usage_this_month
from apps.provisioning.models import Change, ServiceStatus
from apps.provisioning.permissions import ChangePermission
from apps.provisioning.permissions import can as change_can
from apps.provisioning.selectors import change_active

S = Environment.Status
# What a machine is, here or in a cloud; the rest is on the settings page.
SHOWN_INPUTS = ("cpu", "memory_gb", "instance_type", "workers_most", "repository")
MEMORY_LOST = "Files are kept; what is only in memory is lost."
TABS = (("detail", "Activity"), ("logs", "Logs"), ("resources", "Resources"), ("settings", "Settings"))


@dataclass
class EnvironmentPage:
    """One environment as one person sees it; what is expensive is looked up once."""

    environment: Environment
    user: User
    granted: frozenset[P] = field(init=False)
    active: Change | None = field(init=False)

    def __post_init__(self) -> None:
        self.granted = permissions_of(self.user, self.environment)
        self.active = change_active(self.environment.pk)

    @cached_property
    def services(self) -> list[ServiceStatus]:
        return services_of(self.environment)

    @property
    def live(self) -> dict[str, str]:
        return {"topic": self.environment.topic}

    def fragment(self, name: str) -> dict[str, str]:
        """What an element follows, and where its new content comes from."""
        return {**self.live, "url": reverse("environments:fragment", args=[self.environment.pk, name])}

    def header(self) -> dict[str, Any]:
        row, word = self.environment, status_word(self.environment)
        meta = [
            {"text": row.owner.display_name, "icon": "user"},
            {
                "text": row.team.name,
                "icon": "users",
                "url": f"{reverse('environments:list')}?scope=all&team={row.team.slug}",
            },
            {
                "text": f"{row.module.title} {row.module_version.version}",
                "icon": "package",
                "url": reverse("catalog:module", args=[row.module.slug]),
            },
        ]
        return {
            "heading": row.name,
            "crumbs": [{"label": "Environments", "url": reverse("environments:list")}],
            "state": {"tone": word.tone, "label": word.label, "reason": row.status_reason},
            "meta": meta,
            "primary": primary_action(row, self.granted, self.active),
            "actions": secondary_actions(row, self.granted, self.active),
            "menu": menu_actions(row, self.granted, self.active),
            "live": self.fragment("header"),
        }

    def tabs(self, current: str) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "url": reverse(f"environments:{name}", args=[self.environment.pk]),
                "active": name == current,
            }
            for name, label in TABS
        ]

    def overview(self) -> dict[str, Any]:
        """Progress while something goes on, otherwise the facts; and above them why something failed."""
        shown: dict[str, Any] = {"live": self.fragment("overview"), "environment": self.environment}
        shown["version_notice"] = version_notice(self.environment)
        if self.active and self.active.kind != Change.Kind.REFRESH:
            progress = progress_of(self.environment, self.active)
            may_cancel = change_can(self.user, ChangePermission.CANCEL, self.active)
            may_kill = change_can(self.user, ChangePermission.KILL, self.active)
            progress["actions"] = change_actions(self.environment, self.active, may_cancel, may_kill)
            if self.active.status != Change.Status.AWAITING_APPROVAL:
                shown["progress"] = progress
            shown["waiting"] = self._waiting()
        else:
            shown["failure"] = self._failure()
            shown["notice"] = self._notice()
            shown["connect"] = self._connect()
        if "progress" not in shown:
            shown["facts"] = facts_of(self.environment, self.services)
        return shown

    def _waiting(self) -> dict[str, Any] | None:
        if not self.active or self.active.status != Change.Status.AWAITING_APPROVAL:
            return None
        url = reverse("environments:change", args=[self.environment.pk, self.active.pk])
        return {
            "tone": "warn",
            "title": "Something would be taken over"
            if self.active.imports
            else "Something would be replaced or destroyed",
            "text": "Nothing happens before you have looked at what will change.",
            "actions": [{"label": "See what will change", "url": url, "method": "get", "style": "primary"}],
        }

    def _failure(self) -> dict[str, Any] | None:
        row = self.environment
        if row.status != S.FAILED:
            return None
        change = change_last(row)
        diagnostic = change.failure_detail if change and change.status == Change.Status.FAILED else ""
        if change and row.failure in (Environment.Failure.CRASH, Environment.Failure.MEMORY):
            diagnostic = ""
        actions = []
        if diagnostic and change:
            url = reverse("environments:change", args=[row.pk, change.pk])
            actions = [{"label": "See the whole change", "url": url, "method": "get", "small": True}]
            if change.imports and P.TAKE_OVER in self.granted and not self.active:
                actions.append(action_link("take_over", row, "Give other ids", small=True))
        elif row.failure in (Environment.Failure.CRASH, Environment.Failure.MEMORY):
            url = f"{reverse('environments:logs', args=[row.pk])}?stream=application"
            actions = [{"label": "See the log", "url": url, "method": "get", "small": True}]
        return {
            "tone": "bad",
            "title": status_word(row).label,
            "text": row.status_reason,
            "diagnostic": diagnostic,
            "diagnostic_label": diagnostic_label(change) if change else "",
            "actions": actions,
        }

    def _notice(self) -> dict[str, Any] | None:
        """What a running environment's owner should know now: it stops soon, or nothing keeps neighbours apart."""
        row = self.environment
        if row.status == S.RUNNING and row.expires_at and row.expires_at - timezone.now() < timedelta(minutes=15):
            stops = format_html(
                "It stops {}. {}", time_tag(row.expires_at), lost_on_stop(row.module_version) or MEMORY_LOST
            )
            actions = [a for a in secondary_actions(row, self.granted, None) if a["label"].startswith("Extend")]
            return {"tone": "warn", "title": "Stops soon", "text": stops, "actions": actions}
        if row.status == S.RUNNING and any(service.isolation == "none" for service in self.services):
            return {
                "tone": "warn",
                "title": "Nothing keeps environments on this machine apart",
                "text": "Others who run something here could read its files. Tell a platform engineer.",
            }
        return self._drift()

    def _connect(self) -> dict[str, str] | None:
        """The lines to paste into a notebook, for those who may connect to what runs."""
        row = self.environment
        if row.status != S.RUNNING or not (declared := connect_of(row)) or not may_connect(self.user, row):
            return None
        return declared

    def _drift(self) -> dict[str, Any] | None:
        row = self.environment
        found = drift_found(row) if row.status in (S.RUNNING, S.STOPPED) else None
        if found is None:
            return None
        url = reverse("environments:change", args=[row.pk, found.pk])
        actions: list[dict[str, Any]] = [{"label": "See what changed", "url": url, "method": "get", "small": True}]
        # Stopped or started outside, it is as its status says: what is left to do is the button above.
        if P.UPDATE in self.granted and row.status_reason not in (STOPPED_OUTSIDE, STARTED_OUTSIDE):
            actions.append(action_post("reconcile", row, "Undo these changes", "refresh", small=True))
        return {
            "tone": "warn",
            "title": "Changed outside Slipway",
            "text": "It is not as it was built.",
            "actions": actions,
        }

    def destroy_dialog(self) -> dict[str, Any]:
        return destroy_context(self.environment, self.services)


def services_of(environment: Environment) -> list[ServiceStatus]:
    """What the machine says of its services, by name."""
    return list(ServiceStatus.objects.filter(workspace_id=environment.pk).order_by("name"))


def destroy_context(environment: Environment, services: list[ServiceStatus]) -> dict[str, Any]:
    """What `components/confirm_name.html` needs to ask for a destroy."""
    lost = files_would_be_lost(environment)
    held = next((service.disk_bytes for service in services if service.disk_bytes is not None), None)
    size = "" if held is None else f" ({bytes_size(held)})"
    return {
        "title": f"Destroy {environment.name}",
        "url": reverse("environments:destroy", args=[environment.pk]),
        "name": environment.name if lost else "",
        "lost": [f"All files in its home folder{size}", "This cannot be undone."] if lost else [],
        "kept": ["Experiments, models and the history of changes stay."],
        "submit": f"Destroy {environment.name}",
        "cancel_url": reverse("environments:detail", args=[environment.pk]),
    }


def stop_context(environment: Environment) -> dict[str, Any]:
    """What the page that asks before a stop says."""
    lost = lost_on_stop(environment.module_version)
    return {
        "url": reverse("environments:stop", args=[environment.pk]),
        "lost": lost,
        "kept": "" if lost else f"{KEPT} What is only in memory is lost.",
        "submit": f"Stop {environment.name}",
        "cancel_url": reverse("environments:detail", args=[environment.pk]),
    }


def stops_at(environment: Environment) -> SafeString | str | None:
    """ "18:00, in 2 h 10 min" """
    if environment.expires_at is None or environment.status in (S.STOPPED, S.DESTROYED):
        return None
    return format_html("{}, {}", time_tag(environment.expires_at, "clock"), time_tag(environment.expires_at, "until"))


def facts_of(environment: Environment, services: list[ServiceStatus]) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    if stops := stops_at(environment):
        facts.append({"label": "Stops", "value": stops, "note": _kept_alive(environment)})
    elif environment.status == S.STOPPED:
        facts.append({"label": "Stopped", "value": time_tag(environment.status_since)})
    elif environment.status == S.DESTROYED:
        facts.append({"label": "Destroyed", "value": time_tag(environment.destroyed_at)})
    if environment.status == S.RUNNING:
        facts += [fact for service in services for fact in _service_facts(service, len(services) > 1)]
    facts += [_input_fact(environment, name) for name in SHOWN_INPUTS if environment.inputs.get(name)]
    if version := environment.runtime_version:
        url = reverse("runtimes:version", args=[version.runtime.slug, version.number])
        facts.append({"label": "Python environment", "value": label_of(version), "url": url})
    if used := float(usage_this_month(environment_id=environment.pk).core_seconds) / 3600:
        facts.append({"label": "Used this month", "value": core_hours(used)})
    facts.append({"label": "Cost", "value": "no price yet"})
    isolation = next((service.isolation for service in services if service.isolation), "")
    if isolation:
        word = ISOLATION_WORDS.get(isolation, IsolationWord(isolation, "", ""))
        facts.append({"label": "Kept apart", "value": word.value, "note": word.note, "title": word.title})
    return facts


def core_hours(hours: float) -> str:
    """ "0.25 core-hours", "12 core-hours", "1,250 core-hours" """
    shown = f"{hours:,.0f}" if hours >= 10 else f"{max(hours, 0.01):.2g}"
    return f"{shown} core-hour{'' if shown == '1' else 's'}"


def _kept_alive(environment: Environment) -> SafeString | str:
    if environment.kernels_busy_since:
        return format_html("A kernel is running since {}", time_tag(environment.kernels_busy_since, "clock"))
    if environment.open_connections:
        return "Open in a browser"
    return f"Runs {duration_words(environment.ttl_seconds)} from a start"


def _input_fact(environment: Environment, name: str) -> dict[str, Any]:
    declared = next((v for v in environment.module_version.interface["variables"] if v["name"] == name), {})
    label = (declared.get("presentation") or {}).get("label") or capfirst(name.replace("_", " "))
    return {"label": label, "value": environment.inputs[name]}


def _service_facts(service: ServiceStatus, several: bool) -> list[dict[str, Any]]:
    facts = []
    prefix = f"{service.name}: " if several else ""
    if service.memory_bytes is not None and service.memory_limit_bytes:
        share = service.memory_bytes / service.memory_limit_bytes
        facts.append(
            {
                "label": capfirst(f"{prefix}memory in use"),
                "value": f"{bytes_size(service.memory_bytes)} of {bytes_size(service.memory_limit_bytes)}",
                "meter": {
                    "value": float(service.memory_bytes),
                    "max": float(service.memory_limit_bytes),
                    "tone": "bad" if share > 0.9 else "warn" if share > 0.75 else "",
                },
            }
        )
    if service.disk_bytes is not None:
        facts.append({"label": capfirst(f"{prefix}files"), "value": bytes_size(service.disk_bytes)})
    return facts
