"""The states of a version: draft, published, deprecated, revoked. A version's files never change, its state does."""

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.catalog.exceptions import SourceInvalid, VersionNotReady, VersionState
from apps.catalog.models import Module, ModuleVersion, VersionCheck
from apps.catalog.permissions import CatalogPermission, require
from apps.catalog.precedence import precedence
from apps.catalog.registry import state_callbacks

S = ModuleVersion.Status
REASON_LENGTH = 400
PAST = {S.PUBLISHED: "published", S.DEPRECATED: "deprecated", S.REVOKED: "revoked"}


@transaction.atomic
def module_version_publish(*, version: ModuleVersion, actor: User) -> ModuleVersion:
    """Offer a draft to everybody. Raises `VersionNotReady` while a check runs, or where one failed."""
    require(actor, CatalogPermission.PUBLISH)
    row = _locked(version)
    if row.status == S.PUBLISHED:
        return row
    if row.status != S.DRAFT:
        raise VersionState(f"{row} is {row.get_status_display().lower()}: bring it back instead.")
    if reason := publish_obstacle(row):
        raise VersionNotReady(reason)
    row.published_by = actor
    return _move(row, S.PUBLISHED, actor, "", "published")


@transaction.atomic
def module_version_deprecate(*, version: ModuleVersion, actor: User, reason: str) -> ModuleVersion:
    """No new launches; what was launched goes on, and its owners are told."""
    return _withdraw(version, actor, reason, S.DEPRECATED, (S.PUBLISHED,))


@transaction.atomic
def module_version_revoke(*, version: ModuleVersion, actor: User, reason: str) -> ModuleVersion:
    """No launches and no starts; what runs is flagged, and its owners are told."""
    return _withdraw(version, actor, reason, S.REVOKED, (S.PUBLISHED, S.DEPRECATED))


@transaction.atomic
def module_version_restore(*, version: ModuleVersion, actor: User, reason: str) -> ModuleVersion:
    """Publish again what was deprecated or revoked."""
    require(actor, CatalogPermission.PUBLISH)
    reason = _reason(reason)
    row = _locked(version)
    if row.status == S.PUBLISHED:
        return row
    if row.status == S.DRAFT:
        raise VersionState(f"{row} is a draft: publish it.")
    return _move(row, S.PUBLISHED, actor, reason, "restored")


def publish_obstacle(version: ModuleVersion) -> str:
    """Why this draft cannot be published now, and what to do; empty where it can."""
    checks = list(version.checks.defer("output"))
    if not checks:
        return "It has not been checked yet: run the checks."
    if waiting := [check for check in checks if check.is_active]:
        return f"Its checks are not done ({', '.join(check.get_name_display().lower() for check in waiting)}): wait."
    if failed := [check for check in checks if check.status == VersionCheck.Status.FAILED]:
        first = failed[0]
        return (
            f"{first.get_name_display()} failed: {first.summary.rstrip('.')}. "
            "Mend the module, raise its version and register it again."
        )
    return ""


def latest_choose(module: Module) -> None:
    """Make the newest published version the one that is launched; the catalog's words are those of that version.

    The newest is the highest by semantic versioning: a correction of an old version takes nobody back.
    """
    published = list(module.versions.filter(status=S.PUBLISHED).defer("archive", "readme", "changelog"))
    latest = max(published, key=lambda row: (precedence(row.version), row.created_at), default=None)
    fields = {"latest_version": latest}
    if latest is not None:
        fields |= {name: latest.interface[name] for name in ("title", "summary", "kind", "target", "icon")}
    for name, value in fields.items():
        setattr(module, name, value)
    module.save(update_fields=list(fields))


def _withdraw(version: ModuleVersion, actor: User, reason: str, to: S, allowed: tuple[S, ...]) -> ModuleVersion:
    require(actor, CatalogPermission.PUBLISH)
    reason = _reason(reason)
    row = _locked(version)
    if row.status == to:
        return row
    if row.status not in allowed:
        raise VersionState(f"{row} is {row.get_status_display().lower()} and cannot be {PAST[to]}.")
    return _move(row, to, actor, reason, PAST[to])


def _locked(version: ModuleVersion) -> ModuleVersion:
    """The version as it is now. The module's row is held, so that two of its versions do not change at once."""
    Module.objects.select_for_update(no_key=True).get(pk=version.module_id)
    rows = ModuleVersion.objects.select_for_update(of=("self",), no_key=True).defer("archive", "readme", "changelog")
    return rows.select_related("module").get(pk=version.pk)


def _move(row: ModuleVersion, to: S, actor: User, reason: str, verb: str) -> ModuleVersion:
    before = {"status": row.status}
    row.status, row.status_reason, row.status_since = to, reason, timezone.now()
    row.save(update_fields=["status", "status_reason", "status_since", "published_by"])
    latest_choose(row.module)
    audit_record(
        action=f"catalog:module-version:{verb}",
        actor=actor,
        target=row,
        before=before,
        after={"status": to.value, "reason": reason, "digest": row.digest},
    )
    for callback in state_callbacks:
        callback(row, actor, reason)
    return row


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise SourceInvalid(errors={"reason": ["Say why: owners of environments read it."]})
    if len(text) > REASON_LENGTH:
        raise SourceInvalid(errors={"reason": [f"At most {REASON_LENGTH} characters."]})
    return text
