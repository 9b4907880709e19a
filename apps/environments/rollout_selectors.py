"""Reads over rollouts, and over which environments have which version of a module."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from apps.accounts.models import User
from apps.catalog.models import Module, ModuleVersion
from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.selectors import VERSIONS_OFFERED, versions_once


def rollouts_going_on() -> list[UUID]:
    """Rollouts that run, and ended ones of which something is still under way."""
    under_way = RolloutItem.objects.filter(rollout=OuterRef("pk")).under_way()
    failed = RolloutItem.objects.filter(rollout=OuterRef("pk"), state=RolloutItem.State.FAILED)
    rows = Rollout.objects.filter(
        Q(state=Rollout.State.RUNNING) | Exists(under_way) | Q(Exists(failed), state="paused")
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:100])


def versions_in_use(*, user: User, module: Module) -> list[dict[str, Any]]:
    """How many living environments have which version, newest version first; published ones that nobody has as well."""
    living = Environment.objects.visible_to(user).living().filter(module=module).order_by()
    used = dict(living.values_list("module_version").annotate(count=Count("pk")))
    rows = ModuleVersion.objects.visible_to(user).filter(module=module).light().order_by("-created_at", "-id")
    shown = rows.filter(Q(pk__in=used) | Q(status=ModuleVersion.Status.PUBLISHED))[:VERSIONS_OFFERED]
    return [{"version": version, "count": used.get(version.pk, 0)} for version in shown]


def environments_of_module(*, user: User, module: Module, version: str = "") -> QuerySet[Environment]:
    """Living environments of a module, perhaps of one version, by name."""
    rows = Environment.objects.visible_to(user).living().filter(module=module)
    if version:
        rows = rows.filter(module_version__version=version)
    rows = rows.select_related("team", "owner").prefetch_related(versions_once())
    return rows.defer("inputs_cipher", "secrets_cipher", "settled_cipher").order_by("name", "id")


def rollout_counts(rollout: Rollout) -> dict[str, int]:
    """How many turns are in which state."""
    rows = RolloutItem.objects.filter(rollout=rollout).order_by().values_list("state")
    return dict(rows.annotate(count=Count("pk")))
