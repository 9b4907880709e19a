"""Where a version came from and where it goes: data set → run → version → deployment → consumers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.experiments.models import Run
from apps.registry.auditing import target_id
from apps.registry.deployed import Deployment
from apps.registry.models import ModelVersion

CONSUMER_DAYS = 30
MOST_CONSUMERS = 20


@dataclass(frozen=True)
class Node:
    text: str
    note: str = ""
    url: str = ""
    tone: str = ""
    state: str = ""


@dataclass(frozen=True)
class Stage:
    """`nothing` is said where it has no nodes."""

    title: str
    icon: str
    nodes: list[Node] = field(default_factory=list)
    nothing: str = ""


def lineage_of(version: ModelVersion, run: Run | None, deployments: list[Deployment]) -> list[Stage]:
    """`run` where the person sees it, `deployments` those of this version."""
    return [
        Stage("Data sets", "database", _datasets(run), "None was logged with the run."),
        Stage("Run", "flask", _runs(version, run), "It was registered without a run."),
        Stage("Version", "cube", [Node(f"Version {version.version}", note=version.model_id)]),
        Stage("Deployments", "rocket", [_deployment(each) for each in deployments], "Not deployed."),
        Stage("Consumers", "users", _consumers(version), "Nobody has asked it through Slipway in 30 days."),
    ]


def run_url(run_id: str) -> str:
    return reverse("experiments:run", args=[run_id]) if run_id else ""


def _datasets(run: Run | None) -> list[Node]:
    found = [each for each in (run.datasets if run else []) if isinstance(each, dict)]
    return [Node(str(each.get("name") or "unnamed"), note=_dataset_note(each)) for each in found[:20]]


def _dataset_note(data: dict[str, Any]) -> str:
    digest = f"digest {data['digest']}" if data.get("digest") else ""
    return " · ".join(part for part in (str(data.get("context") or ""), digest) if part)


def _runs(version: ModelVersion, run: Run | None) -> list[Node]:
    if run is not None:
        return [Node(run.name or run.run_id[:8], note=run.experiment.name, url=run_url(run.run_id))]
    return [Node(version.run_id[:8], note="not in the list of runs, or not shared with you")] if version.run_id else []


def _deployment(each: Deployment) -> Node:
    return Node(each.title, note=each.owner, url=each.url, tone=each.tone, state=each.label)


def _consumers(version: ModelVersion) -> list[Node]:
    """Who sent predictions through the portal lately."""
    since = timezone.now() - timedelta(days=CONSUMER_DAYS)
    rows = AuditEvent.objects.filter(
        target_type="registeredmodel",
        target_id=target_id(version.model_id),
        action="registry:version:predicted",
        at__gte=since,
        after__version=version.version,
    )
    people = User.objects.filter(pk__in=rows.values("actor"))
    return [
        Node(person.display_name, note="through Slipway") for person in people.order_by("username")[:MOST_CONSUMERS]
    ]
