"""Python environments that come with Slipway: locked by its developers, known from the first start."""

from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from apps.audit.services import audit_record
from apps.runtimes.lockfile import lock_digest, lock_packages
from apps.runtimes.models import Runtime, RuntimeVersion


def runtime_seed(
    *, slug: str, title: str, requirements: Path, lock: Path, python: str = "3.11", summary: str = ""
) -> RuntimeVersion:
    """The version with this lock, ready; made as the newest one where no version has it.

    Called at every start. A version that a platform engineer has deprecated stays so. The text of the lock is kept as
    it is, so that a module that brings the same lock shares one built environment with it.
    """
    text = lock.read_text(encoding="utf-8")
    fields = {"requirements": requirements.read_text(encoding="utf-8"), "lock": text, "digest": lock_digest(text)}
    try:
        with transaction.atomic():
            runtime, _ = Runtime.objects.get_or_create(
                slug=slug, defaults={"title": title, "python": python, "summary": summary}
            )
            runtime = Runtime.objects.select_for_update().get(pk=runtime.pk)
            known = runtime.versions.filter(digest=fields["digest"]).exclude(status="failed").first()
            return known or _create(runtime, fields)
    except IntegrityError:  # Another process seeds it at the same time.
        return RuntimeVersion.objects.get(runtime__slug=slug, digest=fields["digest"])


def _create(runtime: Runtime, fields: dict[str, str]) -> RuntimeVersion:
    now = timezone.now()
    version = RuntimeVersion.objects.create(
        runtime=runtime,
        number=(runtime.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        status=RuntimeVersion.Status.READY,
        packages=lock_packages(fields["lock"], python=runtime.python),
        locked_at=now,
        ready_at=now,
        **fields,
    )
    runtime.latest_version = version
    runtime.save(update_fields=["latest_version"])
    audit_record(
        action="runtimes:version:seeded",
        actor=None,
        target=version,
        after={"digest": version.digest, "packages": len(version.packages)},
    )
    return version
