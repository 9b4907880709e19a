"""Reads over modules, their versions, sources and checks."""

from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from apps.accounts.models import User
from apps.catalog.interface import ModuleInterface
from apps.catalog.interface.difference import InterfaceDifference, interface_difference
from apps.catalog.models import Module, ModuleSource, ModuleVersion
from apps.catalog.precedence import precedence
from apps.catalog.querysets import HEAVY

S = ModuleVersion.Status


def modules_listed(user: User) -> QuerySet[Any]:
    """The catalog as a person sees it, with the newest published version of each module."""
    rows = Module.objects.visible_to(user).select_related("latest_version")
    shown: QuerySet[Any] = rows.defer(*(f"latest_version__{name}" for name in HEAVY))
    return shown


def modules_kept(user: User) -> QuerySet[Any]:
    """The catalog for whoever keeps it: how many versions there are of each module, and how many are drafts."""
    rows: QuerySet[Any] = modules_listed(user).annotate(
        version_count=Count("versions"),
        draft_count=Count("versions", filter=Q(versions__status=S.DRAFT)),
        registered_at=Max("versions__created_at"),
    )
    return rows


def versions_listed(user: User, module: Module) -> QuerySet[Any]:
    rows = ModuleVersion.objects.visible_to(user).light().filter(module=module)
    return rows.select_related("registered_by", "published_by")


def version_before(user: User, version: ModuleVersion) -> ModuleVersion | None:
    """The version that this one follows by semantic versioning, of those a person sees and that were ever published.

    A draft counts only where nothing published comes before.
    """
    rows = ModuleVersion.objects.visible_to(user).light().filter(module=version.module_id).exclude(pk=version.pk)
    earlier = [row for row in rows if precedence(row.version) < precedence(version.version)]
    published = [row for row in earlier if row.status != S.DRAFT]
    return max(published or earlier, key=lambda row: precedence(row.version), default=None)


def version_difference(user: User, version: ModuleVersion) -> tuple[ModuleVersion, InterfaceDifference] | None:
    """(the version before, what changed since); None for the first one."""
    before = version_before(user, version)
    if before is None:
        return None
    before = ModuleVersion.objects.visible_to(user).defer("archive", "readme", "changelog").get(pk=before.pk)
    old: ModuleInterface = before.parsed()
    return before, interface_difference(old, version.parsed())


def sources_listed(user: User) -> QuerySet[Any]:
    rows = ModuleSource.objects.visible_to(user).filter(kind=ModuleSource.Kind.GIT)
    return rows.defer("credential_cipher").annotate(retrieved_at=Max("retrievals__created_at"))
