"""What people read for the states of module versions, retrievals and checks, with the colour of each."""

from typing import NamedTuple

from apps.catalog.models import ModuleRetrieval, ModuleVersion, VersionCheck

V, R, C = ModuleVersion.Status, ModuleRetrieval.Status, VersionCheck.Status


class Word(NamedTuple):
    """`tone` is one of neutral, busy, good, warn, bad."""

    tone: str
    label: str


VERSION_TONES = {V.DRAFT: "neutral", V.PUBLISHED: "good", V.DEPRECATED: "warn", V.REVOKED: "bad"}
RETRIEVAL_TONES = {R.QUEUED: "busy", R.RUNNING: "busy", R.DONE: "good", R.FAILED: "bad"}
CHECK_TONES = {C.QUEUED: "busy", C.RUNNING: "busy", C.PASSED: "good", C.FAILED: "bad", C.SKIPPED: "neutral"}


def version_word(version: ModuleVersion) -> Word:
    return Word(VERSION_TONES[V(version.status)], version.get_status_display())


def retrieval_word(retrieval: ModuleRetrieval) -> Word:
    if retrieval.status == R.DONE and not retrieval.is_new:
        return Word("neutral", "Nothing new")
    return Word(RETRIEVAL_TONES[R(retrieval.status)], retrieval.get_status_display())


def check_word(check: VersionCheck) -> Word:
    return Word(CHECK_TONES[C(check.status)], check.get_status_display())


# What the audit log says of an action, between the actor and the target's name.
AUDIT_WORDS = {
    "catalog:module-version:registered": "registered",
    "catalog:module-version:published": "published",
    "catalog:module-version:deprecated": "deprecated",
    "catalog:module-version:revoked": "revoked",
    "catalog:module-version:restored": "brought back",
    "catalog:module-version:checked": "had checked",
    "catalog:source:created": "added the module source",
    "catalog:source:changed": "changed the module source",
    "catalog:source:removed": "removed the module source",
    "catalog:retrieval:requested": "asked to retrieve",
    "catalog:retrieval:done": "retrieved",
    "catalog:retrieval:failed": "could not retrieve",
}
