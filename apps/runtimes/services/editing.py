"""What platform engineers do: make a Python environment, edit its requirements, deprecate a version."""

import re

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.runtimes.exceptions import RuntimeBusy, RuntimeInvalid, RuntimeTaken, RuntimeUnchanged, RuntimeWrongStatus
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.permissions import RuntimePermission, require
from apps.runtimes.registry import deprecated_callbacks
from apps.runtimes.requirements import requirements_check
from apps.runtimes.services.standing import agents_wake, latest_settle

S = RuntimeVersion.Status
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.10")
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?")
# Taken by addresses of pages.
RESERVED_SLUGS = frozenset({"new"})
MAX_VERSIONS = 500


def runtime_create(
    *, actor: User, slug: str, title: str, requirements: str, summary: str = "", python: str = "3.11"
) -> RuntimeVersion:
    """A new Python environment; returns its first version, which an agent locks and builds.

    Raises `RuntimeInvalid` (fields slug, title, summary, python, requirements) or `RuntimeTaken`.
    """
    require(actor, RuntimePermission.MANAGE)
    title, summary = " ".join(title.split()), " ".join(summary.split())
    text, problems = requirements_check(requirements)
    errors = {**_name_errors(slug, title, summary, python), **({"requirements": problems} if problems else {})}
    if errors:
        raise RuntimeInvalid(errors=errors)
    try:
        with transaction.atomic():
            runtime = Runtime.objects.create(slug=slug, title=title, summary=summary, python=python)
            audit_record(
                action="runtimes:runtime:created",
                actor=actor,
                target=runtime,
                after={"slug": slug, "title": title, "python": python},
            )
            return _version_add(runtime, actor, text)
    except IntegrityError:
        message = f"There is a Python environment “{slug}” already. Choose another name, or make a version of that one."
        raise RuntimeTaken(message, errors={"slug": [message]}) from None


@transaction.atomic
def runtime_change(*, runtime: Runtime, actor: User, title: str, summary: str) -> Runtime:
    """Another title or summary; the slug, which links and requests name, stays."""
    require(actor, RuntimePermission.MANAGE)
    row = Runtime.objects.select_for_update().get(pk=runtime.pk)
    title, summary = " ".join(title.split()), " ".join(summary.split())
    if errors := _name_errors(row.slug, title, summary, row.python):
        raise RuntimeInvalid(errors=errors)
    before = {"title": row.title, "summary": row.summary}
    after = {"title": title, "summary": summary}
    if before != after:
        row.title, row.summary = title, summary
        row.save(update_fields=["title", "summary"])
        audit_record(action="runtimes:runtime:changed", actor=actor, target=row, before=before, after=after)
    return row


@transaction.atomic
def runtime_version_create(*, runtime: Runtime, actor: User, requirements: str, force: bool = False) -> RuntimeVersion:
    """The next version, from edited requirements. `force` locks the same text again, for newer packages."""
    require(actor, RuntimePermission.MANAGE)
    row = Runtime.objects.select_for_update().get(pk=runtime.pk)
    text, problems = requirements_check(requirements)
    if problems:
        raise RuntimeInvalid(errors={"requirements": problems})
    newest = row.versions.order_by("-number").first()
    if newest and newest.status in (S.LOCKING, S.BUILDING):
        raise RuntimeBusy(f"Version {newest.number} is being made just now. Wait until it is ready or has failed.")
    if newest and newest.requirements == text and newest.status == S.READY and not force:
        message = f"Version {newest.number} has the same requirements. Lock them again to get newer packages."
        raise RuntimeUnchanged(message, errors={"requirements": [message]})
    return _version_add(row, actor, text)


@transaction.atomic
def runtime_version_retry(*, version: RuntimeVersion, actor: User) -> RuntimeVersion:
    """Try again what failed: what could not be locked is locked, what could not be built is built."""
    require(actor, RuntimePermission.MANAGE)
    row = _locked(version)
    if row.status in (S.LOCKING, S.BUILDING):
        return row
    if row.status != S.FAILED:
        raise RuntimeWrongStatus("Only a version that failed can be tried again. Make a new version instead.")
    row.status = S.BUILDING if row.lock else S.LOCKING
    row.status_since, row.reason = timezone.now(), ""
    row.save(update_fields=["status", "status_since", "reason"])
    audit_record(action="runtimes:version:retried", actor=actor, target=row)
    agents_wake()
    return row


@transaction.atomic
def runtime_version_deprecate(*, version: RuntimeVersion, actor: User, reason: str = "") -> RuntimeVersion:
    """No new environment takes it; those that have it go on, and their owners are told. A second time is a no-op."""
    require(actor, RuntimePermission.MANAGE)
    row = _locked(version)
    if row.status == S.DEPRECATED:
        return row
    if row.status != S.READY:
        raise RuntimeWrongStatus("Only a version that is ready can be deprecated.")
    row.status, row.status_since, row.reason = S.DEPRECATED, timezone.now(), " ".join(reason.split())[:300]
    row.save(update_fields=["status", "status_since", "reason"])
    latest_settle(row.runtime)
    audit_record(
        action="runtimes:version:deprecated", actor=actor, target=row, after={"reason": row.reason} if reason else {}
    )
    for callback in deprecated_callbacks:
        callback(row)
    return row


@transaction.atomic
def runtime_version_restore(*, version: RuntimeVersion, actor: User) -> RuntimeVersion:
    """Take a deprecation back."""
    require(actor, RuntimePermission.MANAGE)
    row = _locked(version)
    if row.status == S.READY:
        return row
    if row.status != S.DEPRECATED:
        raise RuntimeWrongStatus("Only a deprecated version can be offered again.")
    row.status, row.status_since, row.reason = S.READY, timezone.now(), ""
    row.save(update_fields=["status", "status_since", "reason"])
    latest_settle(row.runtime)
    audit_record(action="runtimes:version:restored", actor=actor, target=row)
    return row


def _locked(version: RuntimeVersion) -> RuntimeVersion:
    """Version and runtime held until the transaction ends, always the runtime first."""
    runtime = Runtime.objects.select_for_update().get(pk=version.runtime_id)
    row = RuntimeVersion.objects.select_for_update().get(pk=version.pk)
    row.runtime = runtime
    return row


def _version_add(runtime: Runtime, actor: User, text: str) -> RuntimeVersion:
    last = runtime.versions.aggregate(last=Max("number"))["last"] or 0
    if last >= MAX_VERSIONS:
        raise RuntimeInvalid(f"It has {MAX_VERSIONS} versions. Make another Python environment.")
    version = RuntimeVersion.objects.create(
        runtime=runtime, number=last + 1, status=S.LOCKING, requirements=text, created_by=actor
    )
    audit_record(
        action="runtimes:version:created", actor=actor, target=version, after={"requirements": text.splitlines()}
    )
    agents_wake()
    return version


def _name_errors(slug: str, title: str, summary: str, python: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not SLUG.fullmatch(slug) or slug in RESERVED_SLUGS:
        errors["slug"] = ["Use up to 60 lower-case letters, digits and hyphens, with a letter or digit at both ends."]
    if not title or not title.isprintable():
        errors["title"] = ["Give it a title, without characters that cannot be seen."]
    elif len(title) > 80:
        errors["title"] = ["At most 80 characters."]
    if len(summary) > 300:
        errors["summary"] = ["At most 300 characters."]
    if python not in PYTHONS:
        errors["python"] = [f"Choose one of {', '.join(sorted(PYTHONS))}."]
    return errors
