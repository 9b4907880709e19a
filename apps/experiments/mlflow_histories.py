"""Histories of metrics in columns, an address that our MLflow server adds to MLflow's own.

    GET /slipway/histories?run_ids=a&run_ids=b&metric_key=loss&max_results=1000
    {"a": {"steps": [0, 1], "times": [1795202143171, 1795202145164], "values": [0.5, NaN]}, "b": …}

The points are those of MLflow's `metrics/get-history-bulk-interval`, which spends most of its answer on writing each
point as a message of its own: 20,000 of them take 0.6 s there, 0.2 s here. Errors are MLflow's own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

PATH = "/slipway/histories"
RUNS_MOST, POINTS_MOST = 100, 2500

Application = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class Histories:
    """ASGI middleware: answers `PATH`, passes everything else on."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET":
            await self._application(scope, receive, send)
            return
        status, body = await asyncio.to_thread(_answer, parse_qs(scope["query_string"].decode("ascii", "replace")))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _answer(query: dict[str, list[str]]) -> tuple[int, bytes]:
    from mlflow.exceptions import MlflowException

    try:
        return 200, json.dumps(_histories(query), separators=(",", ":")).encode()
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json().encode()


def _histories(query: dict[str, list[str]]) -> dict[str, dict[str, list[float]]]:
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_tracking_store

    run_ids, metrics = query.get("run_ids", []), query.get("metric_key", [])
    most = query.get("max_results", [str(POINTS_MOST)])[0]
    if not run_ids or len(run_ids) > RUNS_MOST or len(metrics) != 1 or not most.isdigit():
        raise MlflowException.invalid_parameter_value(f"Name one metric_key and 1 to {RUNS_MOST} run_ids")
    points = _get_tracking_store().get_metric_history_bulk_interval(
        run_ids=run_ids, metric_key=metrics[0], max_results=min(int(most), POINTS_MOST), start_step=None, end_step=None
    )
    found: dict[str, dict[str, list[float]]] = {run: {"steps": [], "times": [], "values": []} for run in run_ids}
    for point in points:
        columns = found[point.run_id]
        columns["steps"].append(point.step)
        columns["times"].append(point.timestamp)
        columns["values"].append(point.value)
    return found
