"""What people read on an environment whose module version is not offered any more."""

from typing import Any

from apps.catalog.models import ModuleVersion
from apps.environments.models import Environment
from apps.environments.words import StatusWord

V = ModuleVersion.Status
FLAGS = {V.DEPRECATED: StatusWord("warn", "Deprecated"), V.REVOKED: StatusWord("bad", "Revoked")}


def version_flag(version: ModuleVersion) -> StatusWord | None:
    return FLAGS.get(V(version.status))


def version_notice(environment: Environment) -> dict[str, Any] | None:
    """For the environment's page: what is the matter with its version, and what to do."""
    version = environment.module_version
    flag = version_flag(version)
    if flag is None or environment.status == Environment.Status.DESTROYED:
        return None
    title = f"{environment.module.title} {version.version} is {flag.label.lower()}"
    latest = environment.module.latest_version
    cure = f"Upgrade to {latest.version}." if latest else "There is no other version to upgrade to yet."
    what = "It runs on, and is not started again once it has stopped." if version.status == V.REVOKED else "It goes on."
    return {"tone": flag.tone, "title": title, "text": f"{version.status_reason.rstrip('.')}. {what} {cure}"}
