"""MLflow's runs, as its REST API says them: JSON objects with `info`, `data`, `inputs` and `outputs`."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway import AnswerTooLarge, call, offers
from apps.experiments.gateway.workspaces import experiments_by_workspace

RunJson = dict[str, Any]
ViewType = Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]
NEWEST_FIRST = ("attributes.start_time DESC",)
IDS_AT_ONCE = 200
SEARCH_SECONDS = 25.0
PAGES = "/slipway/runs"  # what our own server adds: `apps.experiments.mlflow_server.run_pages`


@dataclass(frozen=True)
class RunPage:
    """Some runs in the order asked for; `next_token` is empty after the last. Tokens are offsets: pages may shift."""

    runs: list[RunJson]
    next_token: str


def runs_search(
    *,
    experiment_ids: Sequence[str],
    filter: str = "",
    order_by: Sequence[str] = NEWEST_FIRST,
    view_type: ViewType = "ALL",
    max_results: int = 100,
    page_token: str = "",
    most_bytes: int | None = None,
) -> RunPage:
    """One page of runs, of experiments of one workspace.

    Raises `TrackerAway`, `TrackerRefused`, and `AnswerTooLarge` with `most_bytes`.
    """
    if not experiment_ids:
        return RunPage([], "")
    body: dict[str, Any] = {
        "experiment_ids": list(experiment_ids),
        "run_view_type": view_type,
        "max_results": max_results,
        "order_by": list(order_by),
    }
    if filter:
        body["filter"] = filter
    if page_token:
        body["page_token"] = page_token
    search = PAGES if offers(PAGES) else "runs/search"
    answer = call("POST", search, json=body, seconds=SEARCH_SECONDS, most_bytes=most_bytes)
    return RunPage(list(answer.get("runs") or ()), str(answer.get("next_page_token") or ""))


def run_get(run_id: str) -> RunJson:
    """One run, archived or not. Raises `TrackerRefused` with `absent` where there is none."""
    answer = call("GET", "runs/get", params={"run_id": run_id})
    return dict(answer["run"])


def runs_by_id(
    ids: Iterable[str], *, experiment_ids: Sequence[str], most_bytes: int | None = None
) -> dict[str, RunJson]:
    """Those of the runs that MLflow has in these experiments, by id, archived ones too."""
    wanted = [run_id for run_id in dict.fromkeys(ids) if run_id.isalnum() and run_id.isascii()]
    found: dict[str, RunJson] = {}
    for together in experiments_by_workspace(experiment_ids).values() if wanted else ():
        for begin in range(0, len(wanted), IDS_AT_ONCE):
            found |= _by_id(wanted[begin : begin + IDS_AT_ONCE], together, most_bytes)
    return found


def _by_id(ids: list[str], experiment_ids: Sequence[str], most_bytes: int | None) -> dict[str, RunJson]:
    """Runs with very many metrics are asked for in halves, the last one alone whatever its size."""
    listed = ", ".join(f"'{run_id}'" for run_id in ids)
    try:
        page = runs_search(
            experiment_ids=experiment_ids,
            filter=f"attributes.run_id IN ({listed})",
            max_results=len(ids),
            most_bytes=most_bytes if len(ids) > 1 else None,
        )
    except AnswerTooLarge:
        half = len(ids) // 2
        return _by_id(ids[:half], experiment_ids, most_bytes) | _by_id(ids[half:], experiment_ids, most_bytes)
    return {run["info"]["run_id"]: run for run in page.runs}


def run_if_there(run_id: str) -> RunJson | None:
    try:
        return run_get(run_id)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise


def offset_token(offset: int) -> str:
    """A page token as MLflow makes them (`SearchUtils.create_page_token`): base64 of {"offset": n}."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()
