"""What agents do with retrievals and checks: claim one, and say what came of it. Each step is one conditional update.

A claim names the agent by its lease: holder and fence. What an agent says of a row that is no longer its own changes
nothing; rows of agents that are gone go back into the line.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F
from django.db.models.functions import Now

from apps.audit.services import audit_record
from apps.catalog.models import ModuleRetrieval, ModuleVersion, VersionCheck
from apps.core import live

R, C = ModuleRetrieval.Status, VersionCheck.Status
# Heard by platform engineers and auditors, who see everything.
AUDIENCE = "team:catalog"
LOG_LENGTH = 20_000
PROBLEM_LENGTH = 8_000
OUTPUT_LENGTH = 64_000
SUMMARY_LENGTH = 600


@dataclass(frozen=True)
class Claimant:
    """An agent by its lease."""

    holder: UUID
    fence: int


def abandoned_requeue(is_held: Exists) -> int:
    """Put back what agents had claimed that hold no lease any more; `is_held` tells of a row whether they do."""
    rows = ModuleRetrieval.objects.filter(status=R.RUNNING).exclude(is_held)
    count = rows.update(status=R.QUEUED, holder=None, started_at=None)
    checks = VersionCheck.objects.filter(status=C.RUNNING).exclude(is_held)
    return count + checks.update(status=C.QUEUED, holder=None, started_at=None, attempt=F("attempt") + 1)


def retrieval_claim(claimant: Claimant) -> ModuleRetrieval | None:
    """The oldest retrieval in line, now this agent's; None without one."""
    for key in ModuleRetrieval.objects.filter(status=R.QUEUED).order_by("created_at").values_list("pk", flat=True)[:5]:
        mine = ModuleRetrieval.objects.filter(pk=key, status=R.QUEUED).update(
            status=R.RUNNING, holder=claimant.holder, fence=claimant.fence, started_at=Now()
        )
        if mine:
            retrieval_publish(key)
            return ModuleRetrieval.objects.select_related("source", "requested_by").get(pk=key)
    return None


@transaction.atomic
def retrieval_done(
    retrieval: ModuleRetrieval, claimant: Claimant, *, version: ModuleVersion, is_new: bool, commit: str, log: str
) -> bool:
    fields = {"version": version, "is_new": is_new, "commit": commit, "log": _tail(log, LOG_LENGTH)}
    if not _retrieval_end(retrieval, claimant, status=R.DONE, **fields):
        return False
    audit_record(
        action="catalog:retrieval:done",
        actor=retrieval.requested_by,
        target=retrieval,
        after={"version": version.version, "commit": commit, "new": is_new},
    )
    return True


@transaction.atomic
def retrieval_fail(
    retrieval: ModuleRetrieval, claimant: Claimant, *, field: str, problem: str, log: str = "", commit: str = ""
) -> bool:
    problem = _clean(problem)[:PROBLEM_LENGTH]
    fields = {"problem_field": field, "problem": problem, "log": _tail(log, LOG_LENGTH), "commit": commit}
    if not _retrieval_end(retrieval, claimant, status=R.FAILED, **fields):
        return False
    audit_record(
        action="catalog:retrieval:failed",
        actor=retrieval.requested_by,
        target=retrieval,
        after={"field": field, "problem": problem[:500]},
    )
    return True


def _retrieval_end(retrieval: ModuleRetrieval, claimant: Claimant, **fields: object) -> bool:
    mine = ModuleRetrieval.objects.filter(
        pk=retrieval.pk, status=R.RUNNING, holder=claimant.holder, fence=claimant.fence
    )
    if not mine.update(finished_at=Now(), **fields):
        return False
    retrieval_publish(retrieval.pk)
    return True


def check_claim(claimant: Claimant, *, of: UUID | None = None) -> VersionCheck | None:
    """The next check in line, of a version or of any whose checks nobody is at; now this agent's."""
    rows = VersionCheck.objects.filter(status=C.QUEUED).order_by("created_at", "position")
    if of is not None:
        rows = rows.filter(version_id=of).order_by("position")
    else:
        rows = rows.exclude(version__checks__status=C.RUNNING)
    for key in rows.values_list("pk", flat=True)[:5]:
        mine = VersionCheck.objects.filter(pk=key, status=C.QUEUED).update(
            status=C.RUNNING, holder=claimant.holder, fence=claimant.fence, started_at=Now()
        )
        if mine:
            check = VersionCheck.objects.select_related("version__module").get(pk=key)
            checks_publish(check.version_id)
            return check
    return None


@transaction.atomic
def check_done(check: VersionCheck, claimant: Claimant, *, status: str, summary: str, output: str, engine: str) -> bool:
    mine = VersionCheck.objects.filter(pk=check.pk, status=C.RUNNING, holder=claimant.holder, fence=claimant.fence)
    fields = {"summary": _clean(summary)[:SUMMARY_LENGTH], "output": _middle_cut(output), "engine": engine[:60]}
    if not mine.update(status=status, finished_at=Now(), **fields):
        return False
    checks_publish(check.version_id)
    return True


def retrieval_publish(key: UUID) -> None:
    with transaction.atomic():
        live.publish(audience=AUDIENCE, topic=f"retrieval:{key}", kind="status")


def checks_publish(version: UUID) -> None:
    with transaction.atomic():
        live.publish(audience=AUDIENCE, topic=f"module-version:{version}", kind="status")


def _clean(text: str) -> str:
    return text.replace("\x00", "")


def _tail(text: str, length: int) -> str:
    return _clean(text)[-length:]


def _middle_cut(text: str) -> str:
    text = _clean(text)
    if len(text) <= OUTPUT_LENGTH:
        return text
    half = OUTPUT_LENGTH // 2 - 40
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
