"""Curves of runs that have just ended are read before anybody looks: MLflow needs 30 ms for a thousand points."""

from collections import defaultdict
from datetime import timedelta

from django.utils import timezone

from apps.experiments.exceptions import TrackerAway
from apps.experiments.gateway.histories import POINTS_MOST, CurveOf, curves_read
from apps.experiments.models import Run, RunMetric

ENDED_WITHIN = timedelta(minutes=3)
RUNS_MOST = 60
METRICS_MOST = 4
TOGETHER = 10


def curves_keep() -> int:
    """Keeps the curves of a few metrics of each, the experiment's main one first; returns how many it looked after."""
    recent = Run.objects.filter(ended_at__gte=timezone.now() - ENDED_WITHIN).exclude(status__in=Run.ACTIVE)
    runs = {run.pk: run for run in recent.select_related("experiment").order_by("-ended_at")[:RUNS_MOST]}
    names: dict[int, list[str]] = defaultdict(list)
    curved = RunMetric.objects.filter(run__in=list(runs), step__gt=0).order_by("key")
    for pk, name in curved.values_list("run_id", "key"):
        names[pk].append(name)
    wanted: dict[str, list[CurveOf]] = defaultdict(list)
    for pk, metrics in names.items():
        main = runs[pk].experiment.main_metric
        for name in sorted(metrics, key=lambda name: (name != main, name))[:METRICS_MOST]:
            wanted[name].append(CurveOf(runs[pk].run_id, runs[pk].fingerprint))
    try:
        for name, curves in wanted.items():
            for begin in range(0, len(curves), TOGETHER):
                curves_read(curves[begin : begin + TOGETHER], [name], points=POINTS_MOST)
    except TrackerAway:
        pass  # Whoever looks then reads them, once MLflow is back.
    return sum(len(curves) for curves in wanted.values())
