"""What an environment adds to provisioning's own streams: run context for experiments, log lines for open pages."""

from typing import Any

from apps.core import live
from apps.environments.models import Environment
from apps.environments.services.values import RESERVED
from apps.environments.words import level_shown
from apps.provisioning.models import Change, Workspace
from apps.provisioning.selectors import workspace_outputs


def run_context(workspace: Workspace, change: Change) -> dict[str, str]:
    """Tags of every experiment run that starts in the environment."""
    rows = Environment.objects.select_related("team", "owner", "runtime_version__runtime").defer(
        "runtime_version__lock"
    )
    environment = rows.filter(pk=workspace.pk).first()
    if environment is None:
        return {}
    digest = workspace_outputs(workspace).get("runtime_digest", {}).get("value")
    return {
        "slipway.team": environment.team.slug,
        "slipway.user": environment.owner.username,
        "slipway.environment": environment.name,
        "slipway.environment_id": str(environment.pk),
        **({"slipway.runtime_digest": str(digest)} if digest else {}),
        **({"slipway.runtime": str(environment.runtime_version)} if environment.runtime_version else {}),
    }


def request_told(workspace: Workspace, change: Change) -> dict[str, Any]:
    """What rules learn of who asks for what; secret inputs are masked, inputs left open have the module's default."""
    environment = (
        Environment.objects.select_related("team", "owner", "module", "module_version", "runtime_version__runtime")
        .filter(pk=workspace.pk)
        .first()
    )
    if environment is None:
        return {}
    declared = [v for v in environment.module_version.interface["variables"] if v["name"] not in RESERVED]
    defaults = {v["name"]: v["default"] for v in declared if v["has_default"] and not v["sensitive"]}
    runtime = environment.runtime_version
    return {
        "user": change.requested_by.username if change.requested_by else "",
        "owner": environment.owner.username,
        "team": environment.team.slug,
        "module": environment.module.slug,
        "version": environment.module_version.version,
        "target": environment.module.target,
        "environment": environment.name,
        "inputs": {**defaults, **environment.inputs},
        "ttl_seconds": environment.ttl_seconds,
        "runtime": f"{runtime.runtime.slug}@{runtime.number}" if runtime else None,
    }


def log_observed(workspace: Workspace, stream: str, lines: list[dict[str, Any]]) -> None:
    """New lines, already stored, to the pages that show them."""
    shown = [{**line, "level": level_shown(str(line["level"]))} for line in lines]
    live.publish(
        audience=f"team:{workspace.team_id}",
        topic=f"environment:{workspace.pk}",
        kind="log",
        data={"stream": stream, "lines": shown},
    )
