"""Histories of metrics, as MLflow keeps them, made into curves for charts. The caller checks who may see the runs.

A curve is kept as the JSON text that the page reads, because a chart of 20 runs asks for 20 of them at once:

    {"steps": [0, 1, …], "values": [0.5, null, …], "from": 1795202143171, "times": [0, 1993, …],
     "odd": {"1": "NaN"}, "sampled": false}

`from` and `times` are milliseconds: since 1970 the one, since `from` the others. A value that is not finite is null,
and `odd` says by its place what it was: "NaN", "∞" or "−∞". `sampled` tells that MLflow left out points in between.
"""

import json
import logging
import math
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.core.cache import cache

from apps.experiments import gateway
from apps.experiments.exceptions import TrackerRefused

log = logging.getLogger(__name__)

POINTS_MOST = 2500  # MLflow's own limit of a run
ANSWER_POINTS = 25_000  # about what one answer should hold: MLflow needs 35 ms for a thousand
PAGE_POINTS = 5000
KEPT_SECONDS = 12 * 3600
WHOLE = 0  # in place of a number of points: nothing was left out
SAMPLED = '"sampled":true}'
PARALLEL = 2  # MLflow's own process does one thing at a time
INFINITE = 1.797e308  # MLflow stores an infinity as the largest double
EMPTY = json.dumps({"steps": [], "values": [], "from": 0, "times": [], "odd": {}, "sampled": False})
COLUMNS = "/slipway/histories"  # what our own server adds: `apps.experiments.mlflow_server.histories`
Columns = tuple[list[int], list[int], list[float]]  # steps, milliseconds since 1970, values
_pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="curves")
_asked: dict[tuple[Any, ...], "Future[dict[str, str]]"] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class CurveOf:
    """A run whose curve is wanted. `version` changes when the run did; None for one that still runs: not kept."""

    run_id: str
    version: str | None


def points_of(runs: int) -> int:
    """How many points a run gets in a chart of so many runs."""
    return max(250, min(POINTS_MOST, ANSWER_POINTS // max(1, runs)))


def curves_kept(runs: Sequence[CurveOf], metrics: Iterable[str], *, points: int) -> dict[tuple[str, str], str]:
    """Those already known, by (metric, run id). One that was read whole serves a chart of any number of points."""
    names = {
        _cache_key(run, metric, kept): (metric, run.run_id)
        for metric in metrics
        for run in runs
        if run.version
        for kept in (points, WHOLE)
    }
    found: dict[str, bytes] = cache.get_many(list(names)) if names else {}
    return {names[key]: zlib.decompress(packed).decode() for key, packed in found.items()}


def curves_read(runs: Sequence[CurveOf], metrics: Sequence[str], *, points: int) -> dict[str, dict[str, str]]:
    """Metric → run id → the curve's JSON; a run without this metric has an empty one, one that MLflow lost has none.

    Metrics are asked for side by side, each in one call. Raises `TrackerAway`.
    """
    kept = curves_kept(runs, metrics, points=points)
    answer: dict[str, dict[str, str]] = {metric: {} for metric in metrics}
    for (metric, run_id), text in kept.items():
        answer[metric][run_id] = text
    waiting = []
    for metric in metrics:
        missing = [run for run in runs if run.run_id not in answer[metric]]
        waiting += [(metric, _begin(part, metric, points)) for part in _parts(missing)]
    for metric, coming in waiting:
        answer[metric] |= coming.result()
    return answer


def curves_glance(runs: Sequence[CurveOf], metrics: Sequence[str], *, points: int) -> dict[str, dict[str, str]]:
    """A few points of each, to draw while the rest is read; not kept, and not behind what waits to be read."""
    return {metric: history_bulk([run.run_id for run in runs], metric, points=points) for metric in metrics}


def _parts(runs: Sequence[CurveOf]) -> list[list[CurveOf]]:
    """What ended and what still runs, apart: the one is read once, the other again and again."""
    parts = [[run for run in runs if run.version], [run for run in runs if not run.version]]
    return [part for part in parts if part]


def curves_warm(runs: Sequence[CurveOf], metrics: Sequence[str], *, points: int) -> None:
    """Begins to read what a page that is on its way to a browser will ask for first; nobody waits for it."""
    kept = curves_kept(runs, metrics, points=points)
    for metric in metrics:
        missing = [run for run in runs if run.version and (metric, run.run_id) not in kept]
        if missing:
            _begin(missing, metric, points)


def _begin(runs: Sequence[CurveOf], metric: str, points: int) -> "Future[dict[str, str]]":
    """The same question, asked again while it is under way, is answered once."""
    question = (metric, points, tuple(runs))
    with _lock:
        coming = _asked.get(question)
        if coming is None:
            coming = _asked[question] = _pool.submit(_read_and_keep, runs, metric, points)
            coming.add_done_callback(lambda _: _asked.pop(question, None))
    return coming


def _read_and_keep(runs: Sequence[CurveOf], metric: str, points: int) -> dict[str, str]:
    found = history_bulk([run.run_id for run in runs], metric, points=points)
    for run in runs:
        if run.version and run.run_id in found:
            text = found[run.run_id]
            kept = points if text.endswith(SAMPLED) else WHOLE
            cache.set(_cache_key(run, metric, kept), zlib.compress(text.encode(), 1), KEPT_SECONDS)
    return found


def history_bulk(run_ids: Sequence[str], metric: str, *, points: int) -> dict[str, str]:
    """Run id → JSON of its curve, at most `points` of each, the last one always among them.

    MLflow refuses the whole question for one run that it does not know; then each is asked for by itself.
    """
    params = {"run_ids": list(run_ids), "metric_key": metric, "max_results": points}
    try:
        columns = _columns_read(params)
    except TrackerRefused as refused:
        if len(run_ids) == 1:
            log.info("MLflow gives no history of %s: %s", run_ids[0], refused)
            return {}
        alone = (history_bulk([run_id], metric, points=points) for run_id in run_ids)
        return {run_id: text for one in alone for run_id, text in one.items()}
    return {run_id: _curve(*columns.get(run_id, ([], [], [])), points) for run_id in run_ids}


def is_quick() -> bool:
    """Whether the server answers with columns, in a fraction of the time. Raises `TrackerAway`."""
    return gateway.offers(COLUMNS)


def _columns_read(params: dict[str, Any]) -> dict[str, Columns]:
    """Run id → its columns, from whichever address the server has."""
    if is_quick():
        answer = gateway.call("GET", COLUMNS, params=params)
        return {run_id: (one["steps"], one["times"], one["values"]) for run_id, one in answer.items()}
    found: dict[str, Columns] = {}
    for row in gateway.call("GET", "metrics/get-history-bulk-interval", params=params).get("metrics", []):
        steps, stamps, values = found.setdefault(row.get("run_id", ""), ([], [], []))
        # protobuf leaves out a zero, and JSON writes its 64-bit integers as text.
        steps.append(int(row.get("step", 0)))
        stamps.append(int(row.get("timestamp", 0)))
        values.append(float(row.get("value", 0.0)))
    return found


def history_pages(run_id: str, metric: str) -> Iterator[list[tuple[int, int, float | str]]]:
    """Every point of one curve as (step, milliseconds since 1970, value), in the order of time, some thousand each.

    What is not finite is a word, as in a curve. Raises `TrackerAway`; a run that MLflow has lost has no points.
    """
    token = ""
    while True:
        params = {"run_id": run_id, "metric_key": metric, "max_results": PAGE_POINTS}
        try:
            answer = gateway.call(
                "GET", "metrics/get-history", params=params | ({"page_token": token} if token else {})
            )
        except TrackerRefused:
            return
        yield [
            (int(row.get("step", 0)), int(row.get("timestamp", 0)), odd_word(value) or value)
            for row in answer.get("metrics", [])
            for value in [float(row.get("value", 0.0))]
        ]
        token = answer.get("next_page_token", "")
        if not token:
            return


def _curve(steps: list[int], stamps: list[int], values: list[float], points: int) -> str:
    if not steps:
        return EMPTY
    odd = {str(place): word for place, value in enumerate(values) if (word := odd_word(value))}
    first = min(stamps)
    curve = {
        "steps": steps,
        "values": [None if odd_word(value) else value for value in values] if odd else values,
        "from": first,
        "times": [stamp - first for stamp in stamps],
        "odd": odd,
        "sampled": len(steps) >= points,
    }
    return json.dumps(curve, separators=(",", ":"), ensure_ascii=False)


def odd_word(value: float) -> str:
    """How a value that is not finite is called; "" for one that is."""
    if math.isnan(value):
        return "NaN"
    if abs(value) >= INFINITE:
        return "∞" if value > 0 else "−∞"
    return ""


def _cache_key(run: CurveOf, metric: str, points: int) -> str:
    name = blake2b(f"{run.run_id}\0{run.version}\0{metric}\0{points}".encode("utf-8", "replace"), digest_size=16)
    return f"curve:{name.hexdigest()}"
