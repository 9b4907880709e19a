"""MLflow's experiments, as its REST API says them."""

from collections.abc import Iterator
from typing import Any

from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway import call
from apps.experiments.gateway.workspaces import places_keep, workspace_of, workspaces
from apps.experiments.mlflow_rules import Kind, Reference

ExperimentJson = dict[str, Any]
PAGE = 1000


def experiments_all(*, changed_since_ms: int | None = None) -> list[ExperimentJson]:
    """Every experiment, archived ones too; or those whose name or state changed since then (tags do not count).

    Of every workspace, which `workspace` says: "" at a server that has none, whatever that says itself.
    """
    found: dict[str, ExperimentJson] = {}
    for workspace in workspaces():
        for each in _of_workspace(workspace, changed_since_ms):
            found[str(each["experiment_id"])] = _placed(each, workspace)
    if len(workspaces()) > 1:
        places_keep({Reference(Kind.EXPERIMENT, pk): each["workspace"] for pk, each in found.items()})
    return list(found.values())


def _of_workspace(workspace: str, changed_since_ms: int | None) -> Iterator[ExperimentJson]:
    body: dict[str, Any] = {"view_type": "ALL", "max_results": PAGE, "order_by": ["experiment_id ASC"]}
    if changed_since_ms is not None:
        body["filter"] = f"last_update_time >= {int(changed_since_ms)}"
    while True:
        answer = call("POST", "experiments/search", json=body, workspace=workspace)
        for each in answer.get("experiments") or ():
            # Something in between may have dropped the header: then it is not this workspace that was looked at.
            if not workspace or each.get("workspace", workspace) == workspace:
                yield each
        if not (token := answer.get("next_page_token")):
            return
        body["page_token"] = token


def experiment_get(experiment_id: str) -> ExperimentJson:
    """One experiment, archived or not. Raises `TrackerRefused` with `absent` where there is none."""
    workspace = workspace_of(Reference(Kind.EXPERIMENT, experiment_id))
    answer = call("GET", "experiments/get", params={"experiment_id": experiment_id}, workspace=workspace)
    return _placed(answer["experiment"], workspace)


def _placed(experiment: ExperimentJson, workspace: str) -> ExperimentJson:
    return {**experiment, "workspace": workspace}


def experiment_if_there(experiment_id: str) -> ExperimentJson | None:
    try:
        return experiment_get(experiment_id)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
