"""MLflow's experiments, as its REST API says them."""

from typing import Any

from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway import call

ExperimentJson = dict[str, Any]
PAGE = 1000


def experiments_all(*, changed_since_ms: int | None = None) -> list[ExperimentJson]:
    """Every experiment, archived ones too; or those whose name or state changed since then (tags do not count)."""
    body: dict[str, Any] = {"view_type": "ALL", "max_results": PAGE, "order_by": ["experiment_id ASC"]}
    if changed_since_ms is not None:
        body["filter"] = f"last_update_time >= {int(changed_since_ms)}"
    found: dict[str, ExperimentJson] = {}
    while True:
        answer = call("POST", "experiments/search", json=body)
        found |= {each["experiment_id"]: each for each in answer.get("experiments") or ()}
        if not (token := answer.get("next_page_token")):
            return list(found.values())
        body["page_token"] = token


def experiment_get(experiment_id: str) -> ExperimentJson:
    """One experiment, archived or not. Raises `TrackerRefused` with `absent` where there is none."""
    return dict(call("GET", "experiments/get", params={"experiment_id": experiment_id})["experiment"])


def experiment_if_there(experiment_id: str) -> ExperimentJson | None:
    try:
        return experiment_get(experiment_id)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
