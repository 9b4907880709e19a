"""What agents report of the version they make. Each report counts only while the version is in the status it is about:
an agent that was cut off and comes late changes nothing that another one has done meanwhile.
"""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.audit.services import audit_record
from apps.runtimes.lockfile import lock_digest, lock_packages
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.services.standing import latest_settle

S = RuntimeVersion.Status
MAX_LOCK = 2_000_000
MAX_LOG = 8000


def _taken(version_id: UUID, status: str) -> RuntimeVersion | None:
    runtime_id = RuntimeVersion.objects.filter(pk=version_id).values_list("runtime_id", flat=True).get()
    runtime = Runtime.objects.select_for_update().get(pk=runtime_id)
    version = RuntimeVersion.objects.select_for_update().get(pk=version_id)
    version.runtime = runtime
    return version if version.status == status else None


@transaction.atomic
def runtime_version_locked(*, version_id: UUID, lock: str) -> RuntimeVersion | None:
    """It is locked and goes on to be built; None where it was not being locked."""
    version = _taken(version_id, S.LOCKING)
    if version is None:
        return None
    if len(lock) > MAX_LOCK:
        return _fail(version, "The lock has more than 2 MB. Name fewer packages.", "")
    now = timezone.now()
    version.lock, version.digest = lock, lock_digest(lock)
    version.packages = lock_packages(lock, python=version.runtime.python)
    version.status, version.status_since, version.locked_at = S.BUILDING, now, now
    version.save(update_fields=["lock", "digest", "packages", "status", "status_since", "locked_at"])
    return version


@transaction.atomic
def runtime_version_ready(*, version_id: UUID, size_bytes: int) -> RuntimeVersion | None:
    """It is built on the machine that made it: from now on it can be chosen."""
    version = _taken(version_id, S.BUILDING)
    if version is None:
        return None
    now = timezone.now()
    version.status, version.status_since, version.ready_at = S.READY, now, now
    version.size_bytes, version.reason = size_bytes, ""
    version.save(update_fields=["status", "status_since", "ready_at", "size_bytes", "reason"])
    latest_settle(version.runtime)
    audit_record(
        action="runtimes:version:ready",
        actor=None,
        target=version,
        after={"digest": version.digest, "packages": len(version.packages), "size_bytes": size_bytes},
    )
    return version


@transaction.atomic
def runtime_version_failed(*, version_id: UUID, status: str, reason: str, log: str) -> RuntimeVersion | None:
    """It could not be locked or built (`status` says which it was); a version that fails is never the latest."""
    version = _taken(version_id, status)
    return _fail(version, reason, log) if version else None


def runtime_version_log(*, version_id: UUID, line: str) -> None:
    """What is being done just now, for those who look on."""
    RuntimeVersion.objects.filter(pk=version_id, status__in=(S.LOCKING, S.BUILDING)).update(log=line[:MAX_LOG])


def runtime_version_measured(*, version_id: UUID, size_bytes: int) -> None:
    """The size of one that came with Slipway, learned where it was built first."""
    RuntimeVersion.objects.filter(pk=version_id, size_bytes=None).update(size_bytes=size_bytes)


def _fail(version: RuntimeVersion, reason: str, log: str) -> RuntimeVersion:
    version.reason, version.log = reason[:500], log[-MAX_LOG:]
    version.status, version.status_since = S.FAILED, timezone.now()
    version.save(update_fields=["reason", "log", "status", "status_since"])
    audit_record(action="runtimes:version:failed", actor=None, target=version, after={"reason": version.reason})
    return version
