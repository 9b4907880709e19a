"""Reads of Python environments."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from apps.accounts.models import User
from apps.runtimes.lockfile import Difference, packages_difference
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.querysets import RuntimeVersionQuerySet

S = RuntimeVersion.Status
UNDER_WAY = (S.LOCKING, S.BUILDING)
HEAVY = ("lock", "requirements", "log")


@dataclass(frozen=True)
class StatusWord:
    tone: str
    label: str


WORDS = {
    S.LOCKING: StatusWord("busy", "Locking"),
    S.BUILDING: StatusWord("busy", "Building"),
    S.READY: StatusWord("good", "Ready"),
    S.FAILED: StatusWord("bad", "Failed"),
    S.DEPRECATED: StatusWord("neutral", "Deprecated"),
}


def status_word(version: RuntimeVersion) -> StatusWord:
    return WORDS[S(version.status)]


def runtimes_listed(user: User) -> QuerySet[Runtime]:
    """With their newest version, ready or not, as `newest`, a list of at most one."""
    newest = (
        RuntimeVersion.objects.visible_to(user)
        .defer(*HEAVY, "packages")
        .order_by("runtime_id", "-number")
        .distinct("runtime_id")
    )
    rows = Runtime.objects.visible_to(user).select_related("latest_version")
    heavy = [f"latest_version__{name}" for name in HEAVY]
    return rows.defer(*heavy).prefetch_related(Prefetch("versions", queryset=newest, to_attr="newest"))


def versions_listed(runtime: Runtime, user: User) -> RuntimeVersionQuerySet:
    rows = RuntimeVersion.objects.visible_to(user).filter(runtime=runtime)
    return rows.select_related("created_by").defer(*HEAVY).order_by("-number", "-id")


def version_before(version: RuntimeVersion) -> RuntimeVersion | None:
    """The last one before it that was locked: what a difference is usually asked to."""
    rows = RuntimeVersion.objects.filter(runtime=version.runtime_id, number__lt=version.number).exclude(lock="")
    return rows.defer(*HEAVY).order_by("-number").first()


def difference_between(before: RuntimeVersion | None, after: RuntimeVersion) -> Difference | None:
    """None where there is nothing to compare with, or the version has not been locked."""
    if before is None or not after.packages:
        return None
    return packages_difference(before.packages, after.packages)
