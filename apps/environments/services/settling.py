"""What an environment is when a change came to nothing: as it was before."""

from typing import Any

from apps.catalog.models import ModuleVersion
from apps.core.crypto import decrypt_json
from apps.environments.models import Environment
from apps.environments.services.values import inputs_fields
from apps.provisioning.models import Change

S = Environment.Status
DECISIVE = (Change.Kind.CREATE, Change.Kind.START, Change.Kind.STOP)


def settled_fields(environment: Environment) -> dict[str, Any]:
    """Status, wish and inputs from before the change that was discarded, cancelled or failed before it did anything.

    A failure stands until something succeeds: discarding a plan does not mend a crashed notebook.
    """
    fields = settled_inputs(environment)
    if environment.failure:
        return {**fields, "status": S.FAILED}
    last = (
        Change.objects.filter(workspace_id=environment.pk, status=Change.Status.APPLIED, kind__in=DECISIVE)
        .order_by("-finished_at")
        .values_list("kind", flat=True)
        .first()
    )
    if last is None:
        return {**fields, "status": S.FAILED, "failure": Environment.Failure.START}
    stopped = last == Change.Kind.STOP
    return {**fields, "status": S.STOPPED if stopped else S.RUNNING, "desired_running": not stopped}


def settled_inputs(environment: Environment) -> dict[str, Any]:
    """Inputs, size and version from before an update that changed nothing."""
    if not environment.settled_cipher:
        return {}
    before = decrypt_json(bytes(environment.settled_cipher))
    version = ModuleVersion.objects.get(pk=before["module_version"])
    return {
        **inputs_fields(version.parsed().variables, before["inputs"]),
        "preset": before["preset"],
        "module_version_id": version.pk,
        # What was encrypted before runtimes could be chosen does not speak of one.
        **({"runtime_version_id": before["runtime_version"]} if "runtime_version" in before else {}),
        "settled_cipher": None,
    }
