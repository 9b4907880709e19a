"""What charts are made of: which columns a selection of runs has, and their values, from the index."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, Max
from django.http import QueryDict

from apps.accounts.models import User
from apps.experiments.models import Experiment, Run, RunMetric, RunParam
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.selectors.ordering import Ordering
from apps.experiments.selectors.runs import run_query, selected_runs

RUNS_MOST = 1000  # in charts of the index
CURVES_MOST = 20
COLUMNS_MOST = 300  # of each kind: a run may have logged ten thousand
COLUMNS_ASKED = 30

# Of what a run took; the unit is that of the values below.
OWN = {
    "duration": ("Duration", "s"),
    "core_seconds": ("Core time", "core·s"),
    "memory_byte_seconds": ("Memory time", "GB·h"),
    "gpu_seconds": ("GPU time", "GPU·s"),
}
GIGABYTE_HOUR = 2**30 * 3600
UNITS = (
    (re.compile(r"(_|\b)(seconds?|secs?)$"), "s"),
    (re.compile(r"(_|\b)(milliseconds?|ms)$"), "ms"),
    (re.compile(r"(_|\b)(minutes?)$"), "min"),
    (re.compile(r"(_|\b)(percent|percentage|pct)$"), "%"),
    (re.compile(r"(_|\b)(megabytes|mb)$"), "MB"),
    (re.compile(r"(_|\b)bytes$"), "B"),
    (re.compile(r"(_|\b)watts$"), "W"),
)
LOWER_IS_BETTER = re.compile(
    r"(loss|error|err|rmse|mse|mae|mape|perplexity|ppl|brier|hinge|latency|seconds|_ms|bytes)", re.IGNORECASE
)


@dataclass(frozen=True)
class Column:
    """An axis that a chart can have. `count` is how many of the runs have it, `numbers` how many as a number."""

    key: str
    label: str
    unit: str
    kind: str
    count: int
    numbers: int
    values: int
    history: bool = False
    lower: bool = False

    def said(self) -> dict[str, Any]:
        return asdict(self)


def unit_of(name: str) -> str:
    """The unit that a metric's name ends in, as system metrics and most people name theirs; "" where it says none."""
    return next((unit for pattern, unit in UNITS if pattern.search(name.lower())), "")


def runs_chosen(user: User, run_ids: Iterable[str], *, limit: int = CURVES_MOST) -> list[Run]:
    """The first `limit` of these that the person may see, in the order they are named in."""
    wanted = [run_id for run_id in dict.fromkeys(run_ids) if 0 < len(run_id) <= 32][: limit * 4]
    rows = Run.objects.visible_to(user).filter(run_id__in=wanted).select_related("experiment")
    found = {run.run_id: run for run in rows.defer("haystack", "note")}
    return [found[run_id] for run_id in wanted if run_id in found][:limit]


def columns_of(runs: Sequence[ListedRun], *, experiment: Experiment | None = None) -> list[Column]:
    """Metrics first, then parameters, then what the runs took; each kind by how many of the runs have it."""
    keys = [run.pk for run in runs]
    return [*_metrics(keys, experiment), *_params(keys), *_own(runs)]


def _metrics(keys: list[int], experiment: Experiment | None) -> list[Column]:
    rows = RunMetric.objects.filter(run__in=keys).values("key")
    counted = rows.annotate(n=Count("id"), numbers=Count("value"), different=Count("value", distinct=True))
    found = []
    for row in counted.annotate(last=Max("step")).order_by("-n", "key")[:COLUMNS_MOST]:
        name = row["key"]
        lower = bool(LOWER_IS_BETTER.search(name))
        if experiment is not None and name == experiment.main_metric and experiment.main_metric_chosen:
            lower = experiment.main_goal == Experiment.Goal.LOWEST
        found.append(
            Column(
                key=f"metrics.{name}",
                label=name,
                unit=unit_of(name),
                kind="metric",
                count=row["n"],
                numbers=row["numbers"],
                values=row["different"],
                history=bool(row["last"]),
                lower=lower,
            )
        )
    return found


def _params(keys: list[int]) -> list[Column]:
    rows = RunParam.objects.filter(run__in=keys).values("key")
    counted = rows.annotate(n=Count("id"), numbers=Count("number"), different=Count("short", distinct=True))
    return [
        Column(
            key=f"params.{row['key']}",
            label=row["key"],
            unit=unit_of(row["key"]),
            kind="param",
            count=row["n"],
            numbers=row["numbers"],
            values=row["different"],
        )
        for row in counted.order_by("-n", "key")[:COLUMNS_MOST]
    ]


def _own(runs: Sequence[ListedRun]) -> list[Column]:
    found = []
    for key, (label, unit) in OWN.items():
        values = [value for run in runs if (value := own_value(run, key)) is not None]
        # A selection that used no GPU is not asked about its GPUs.
        if values and (key == "duration" or any(values)):
            n = len(values)
            found.append(Column(key, label, unit, "use", n, n, len(set(values)), lower=True))
    return found


def own_value(run: ListedRun, key: str) -> float | None:
    """Duration, core and GPU time in seconds, memory in gigabyte-hours; None where it is not known."""
    if key == "duration":
        return None if run.duration_ms is None else run.duration_ms / 1000
    value: float | None = getattr(run, key)
    return value / GIGABYTE_HOUR if value is not None and key == "memory_byte_seconds" else value


def values_of_columns(runs: Sequence[ListedRun], keys: Iterable[str]) -> dict[str, list[Any]]:
    """Column key → a value for each run, in their order: a number, a text, None where there is none.

    What is not finite is a text too ("NaN", "∞"), so that the charts can say it. Unknown keys are left out.
    """
    wanted = list(dict.fromkeys(keys))[:COLUMNS_ASKED]
    metrics = [key.removeprefix("metrics.") for key in wanted if key.startswith("metrics.")]
    params = [key.removeprefix("params.") for key in wanted if key.startswith("params.")]
    place = {run.pk: index for index, run in enumerate(runs)}
    answer: dict[str, list[Any]] = {
        key: [own_value(run, key) for run in runs] if key in OWN else [None] * len(runs)
        for key in wanted
        if key in OWN or key.startswith(("metrics.", "params."))
    }
    if metrics:
        rows = RunMetric.objects.filter(run__in=list(place), key__in=metrics)
        for pk, name, value in rows.values_list("run_id", "key", "value"):
            answer[f"metrics.{name}"][place[pk]] = _plain(value)
    if params:
        read = RunParam.objects.filter(run__in=list(place), key__in=params)
        for pk, name, short, number in read.values_list("run_id", "key", "short", "number"):
            answer[f"params.{name}"][place[pk]] = short if number is None else number
    return answer


def _plain(value: float | None) -> float | str:
    if value is None:
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return value


@dataclass(frozen=True)
class Selection:
    """The runs that charts are drawn of: the first of `total`, in an order that `by` names."""

    runs: list[ListedRun]
    total: int
    by: str = ""


def selection_of(user: User, query: QueryDict, experiment: Experiment | None = None) -> Selection:
    """Of the query of an address: `run=` again and again, else what the runs table shows for it.

    Raises `FilterInvalid`, for an order `InvalidInput`.
    """
    runs = selected_runs(user, query, experiment, RUNS_MOST)
    if "run" in query:
        return Selection(runs, len(runs))
    asked = run_query(user, query, experiment)
    total = asked.count() if len(runs) >= RUNS_MOST else len(runs)
    return Selection(runs, total, order_said(asked.ordering))


def order_said(ordering: Ordering) -> str:
    """ "newest first", "by metrics.auc, highest first"."""
    if ordering.key == "started_at":
        return "newest first" if ordering.descending else "oldest first"
    return f"by {ordering.column}, {'highest' if ordering.descending else 'lowest'} first"
